import * as fs from "node:fs";
import * as path from "node:path";
import { parse, stringify } from "yaml";
import { SshTransport } from "../../provider/transport/ssh";
import { runWithReport } from "../../report/run";
import { probeHost } from "../facts";
import { shares } from "./shares";
import { gatewayUrl, measureCanary, measureMount, openCluster, proveStrict } from "../measure";
import { chooseSite, getReady, siteStatus, siteUp, type Site } from "../site";
import { pulumiEnv } from "../toolchain";
import { declaredMounts, type DeclaredMount } from "./data-disks";
import { QuickstartError } from "./errors";
import { writeWhole } from "./files";
import { offlinePreview } from "./offline-preview";
import type { Options } from "./options";
import { stackFileIn } from "./existing-file";
import { Phases } from "./phases";
import { openSession, pulumi, type Places, type Session } from "./session";
import { demo, echoImage, factsFile, localStackFile, stackName } from "./stack-file";
import { releaseStateLock } from "./state-lock";
import { renderSummary, type NodeOutput } from "./summary";

const REQUESTS = 2_000;

type Say = (line: string) => void;

/** From a bare machine to a meshed cluster with measured traffic; again: only what changed. Returns the exit code. */
export async function bringUp(options: Options, places: Places, say: Say): Promise<number> {
  const report = (line: string): void => say(`  ${line}`);
  const phases = new Phases(say);

  // A site that is there stays what it is; trying the hardware again would only take time.
  let kind = (await siteStatus()).kind;
  if (kind === undefined) {
    const choice = await phases.run("choose a site", () => chooseSite(report, { yes: options.yes }));
    if (choice.kind === "none") return offlinePreview(choice.reasons, places, say);
    kind = choice.kind;
  }

  const env = await phases.run("tools", async () => {
    if (kind === "emulated") await getReady(report);
    return pulumiEnv(report, { home: path.join(places.data, "pulumi-home") });
  });
  const session = openSession(places.data, env);
  releaseStateLock(places.data);
  const site = await phases.run("site", () => siteUp(report, { yes: options.yes, kind }));
  const canary = await phases.run("stack", () => writeStack(options, site, places, session, report));

  const deployed = fs.existsSync(session.kubeconfig);
  const up = await phases.run("pulumi up", () =>
    runWithReport({
      kind: "up",
      stack: stackName,
      cwd: places.checkout,
      out: session.reportFolder,
      env: session.env,
      // Later runs change what the user just asked to change; the policies speak in the update itself, too.
      args: deployed ? ["--yes", "--skip-preview"] : ["--yes"],
      say,
    }),
  );
  if (up.exitCode !== 0) {
    throw new QuickstartError(
      `pulumi up ended with exit code ${up.exitCode}; what it says is above. The next \`npm run quickstart\` goes on from here; policy report: ${up.files.html}`,
    );
  }

  const outputs = await stackOutputs(session, places.checkout);
  const mounts = await dataDisks(session, places.checkout, outputs.nodes);
  const measured = await phases.run("measurements", async () => ({
    disks: await askMachines(site, mounts, report),
    ...(await measure(session, canary, report)),
  }));
  const { kubeconfig } = session;
  for (const line of renderSummary({
    ...measured,
    nodes: outputs.nodes,
    policy: up.report,
    phases: phases.table(),
    files: { kubeconfig, report: up.files.html, stack: `Pulumi.${stackName}.yaml` },
  })) {
    say(line);
  }
  const mounted = measured.disks.every(({ device }) => device !== undefined);
  return measured.split.asDeclared && measured.strict.proven && mounted ? 0 : 1;
}

/** Writes Pulumi.local.yaml on the first run, changes only the weights on later ones. Returns the canary's share. */
async function writeStack(
  options: Options,
  site: Site,
  places: Places,
  session: Session,
  report: Say,
): Promise<number> {
  const file = path.join(places.checkout, `Pulumi.${stackName}.yaml`);
  const selected = await pulumi(session, places.checkout, ["stack", "select", stackName, "--create"], false);
  if (selected.code !== 0) throw new QuickstartError("the stack could not be made; the Pulumi CLI's message is above");
  const existing = stackFileIn(places.checkout);
  const weights = ["config", "kvmesh:canaries", demo.service, "weights"];
  const ofSite = existing?.getIn(["config", "kvmesh:hosts", "host", "endpoint", "hostKey"]) === site.host.hostKey;
  if (ofSite && existing.hasIn(weights)) {
    const share = options.canary ?? (existing.getIn([...weights, "v2"]) as number);
    existing.setIn([...weights, "v1"], 100 - share);
    existing.setIn([...weights, "v2"], share);
    writeWhole(file, existing.toString());
    report(`${path.basename(file)}: ${share} % to v2, the rest as it was`);
    return share;
  }

  if (existing?.hasIn(weights) && site.kind === "emulated") {
    // What the stack had was in the folder of the site before this one.
    report(`${path.basename(file)} is of a site that is gone: beginning anew`);
    await pulumi(
      session,
      places.checkout,
      ["stack", "rm", "--force", "--yes", "--preserve-config", "--stack", stackName],
      false,
    );
    await pulumi(session, places.checkout, ["stack", "select", stackName, "--create"], false);
    fs.rmSync(session.kubeconfig, { force: true });
  }
  const transport = new SshTransport({ identityFile: site.identityFile, connectTimeoutSeconds: 15, attempts: 4 });
  const odd = (message: string): void => report(`this computer as a host: ${message}`);
  const facts = await probeHost(site.host, site.host.storage, transport, odd).finally(() => {
    transport.close();
  });
  const written = path.join(places.checkout, factsFile);
  writeWhole(written, `${JSON.stringify(facts, undefined, 2)}\n`);
  const share = options.canary ?? 10;
  const text = localStackFile({
    site,
    factsFile,
    authorizedKey: fs.readFileSync(`${site.identityFile}.pub`, "utf8").trim(),
    ...shares(facts, site.existing === undefined),
    canary: share,
  });
  // The passphrase's salt, which `stack init` has just put there, stays.
  const merged = { ...(existing?.toJS() as object | undefined), ...(parse(text) as object) };
  writeWhole(file, stringify(merged));
  report(`wrote ${path.basename(file)}: ${facts.cpus.length} CPUs on the host, ${share} % to v2`);
  return share;
}

interface Outputs {
  readonly kubeconfig: string;
  readonly nodes: readonly NodeOutput[];
}

/** Reads the stack's outputs; the kubeconfig goes to a file that only this user can read. */
async function stackOutputs(session: Session, checkout: string): Promise<Outputs> {
  const args = ["stack", "output", "--json", "--show-secrets", "--stack", stackName];
  const { stdout } = await pulumi(session, checkout, args, false);
  const outputs = JSON.parse(stdout) as Outputs;
  writeWhole(session.kubeconfig, outputs.kubeconfig, 0o600);
  return outputs;
}

async function dataDisks(
  session: Session,
  checkout: string,
  nodes: readonly NodeOutput[],
): Promise<readonly DeclaredMount[]> {
  const { stdout } = await pulumi(session, checkout, ["stack", "export", "--stack", stackName], false);
  return declaredMounts(path.join(checkout, `Pulumi.${stackName}.yaml`), stdout, nodes);
}

/** Asks the machines themselves what is mounted where a data disk should be. */
async function askMachines(site: Site, mounts: readonly DeclaredMount[], report: Say) {
  const transport = new SshTransport({ identityFile: site.identityFile, connectTimeoutSeconds: 15, attempts: 4 });
  try {
    for (const { machine, path: folder } of mounts) report(`${machine} says what is mounted on ${folder}`);
    return await Promise.all(mounts.map((mount) => measureMount(transport, mount)));
  } finally {
    transport.close();
  }
}

/** Asks the running cluster: nodes, pods, how traffic is really split, and whether plaintext is refused. */
async function measure(session: Session, canary: number, report: Say) {
  const cluster = await openCluster(session.kubeconfig, report);
  const kubectlNodes = await cluster.kubectl(["get", "nodes", "-o", "wide"]);
  const url = await gatewayUrl(cluster);
  report(`${REQUESTS} requests to ${url}`);
  const weights = [
    { version: "v1", weight: 100 - canary },
    { version: "v2", weight: canary },
  ];
  const split = await measureCanary({ url, requests: REQUESTS, weights });
  report(`a plaintext client and a mesh client call ${demo.strictService} in ${demo.strictNamespace}`);
  const strict = await proveStrict(cluster, {
    namespace: demo.strictNamespace,
    service: demo.strictService,
    image: echoImage,
  });
  return { kubectlNodes, split, strict };
}
