import * as fs from "node:fs";
import * as path from "node:path";
import { quote } from "../../provider/core/quote";
import { siteDown, siteStatus } from "../site";
import { pulumiEnv } from "../toolchain";
import { QuickstartError } from "./errors";
import { Phases } from "./phases";
import { openSession, pulumi, type Places, type Session } from "./session";
import { releaseStateLock } from "./state-lock";
import { factsFile, stackName } from "./stack-file";

type Say = (line: string) => void;

/** `pulumi destroy`, then the site, then the data folder: nothing stays but the cache. */
export async function takeDown(places: Places, say: Say): Promise<void> {
  const report = (line: string): void => {
    say(`  ${line}`);
  };
  const phases = new Phases(say);
  if (fs.existsSync(path.join(places.data, "state", ".pulumi"))) {
    await phases.run("pulumi destroy", () => destroyStack(places, report));
  }
  await phases.run("site", () => siteDown(report));
  // The stack file goes first: without its site it would mislead the next run, the other way round nothing is lost.
  fs.rmSync(path.join(places.checkout, `Pulumi.${stackName}.yaml`), { force: true });
  removeWritten(places.checkout);
  fs.rmSync(places.data, { recursive: true, force: true });
  say("\nEverything is down. What was downloaded or built stays in the cache.");
}

async function destroyStack(places: Places, report: Say): Promise<void> {
  // All that the stack has on an emulated site is in the site's own folder, and goes with it; one that is dead can't be asked.
  const { kind, state } = await siteStatus();
  const inSite = kind === "emulated";
  if (inSite && state === "broken") {
    report("parts of the site have ended: what the stack has there goes with it");
    return;
  }
  try {
    const env = await pulumiEnv(report, { home: path.join(places.data, "pulumi-home") });
    const session = openSession(places.data, env);
    releaseStateLock(places.data);
    if (!(await stackIsThere(session, places.checkout))) return;
    const { code } = await pulumi(session, places.checkout, ["destroy", "--yes", "--stack", stackName], true);
    if (code !== 0) throw new QuickstartError(`pulumi destroy ended with exit code ${code}; what it says is above`);
    await pulumi(session, places.checkout, ["stack", "rm", "--yes", "--stack", stackName], false);
  } catch (error) {
    if (!inSite) {
      const message = `${(error as Error).message}. Nothing else was taken down: \`npm run quickstart -- --destroy\` goes on from here`;
      throw new QuickstartError(message, { cause: error });
    }
    report((error as Error).message);
    report("what the stack still has is on the site, and goes with it");
  }
}

async function stackIsThere(session: Session, checkout: string): Promise<boolean> {
  const { code, stdout } = await pulumi(session, checkout, ["stack", "ls", "--json"], false);
  if (code !== 0) throw new QuickstartError("Pulumi can't list its stacks; what it says is above");
  return (JSON.parse(stdout) as { readonly name: string }[]).some(({ name }) => name.split("/").at(-1) === stackName);
}

/** Facts, reports and evidence of the quickstart's stack, and the folders that are empty without them: what other stacks have there stays. */
export function removeWritten(checkout: string): void {
  const folder = path.join(checkout, ".kvmesh");
  const [reports, evidence] = [path.join(folder, "reports"), path.join(folder, "evidence")];
  const ofStack = fs.existsSync(reports)
    ? fs.readdirSync(reports).filter((name) => name.startsWith(`${stackName}-`))
    : [];
  for (const file of [
    path.join(checkout, factsFile),
    path.join(evidence, stackName),
    ...ofStack.map((name) => path.join(reports, name)),
  ])
    fs.rmSync(file, { recursive: true, force: true });
  for (const place of [reports, evidence, folder])
    if (fs.existsSync(place) && fs.readdirSync(place).length === 0) fs.rmdirSync(place);
}

/** Shell commands that set this checkout's tools, backend and kubeconfig; for `eval`. */
export async function printEnvironment(places: Places, say: (line: string) => void): Promise<void> {
  const env = await pulumiEnv((line) => process.stderr.write(`${line}\n`), {
    home: path.join(places.data, "pulumi-home"),
  });
  const { variables } = openSession(places.data, env);
  say(`export PATH=${quote(env.PATH ?? "")}`);
  for (const name of ["PULUMI_SKIP_UPDATE_CHECK", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"]) {
    if (env[name] !== undefined) say(`export ${name}=${quote(env[name])}`);
  }
  for (const [name, value] of Object.entries(variables)) say(`export ${name}=${quote(value)}`);
}
