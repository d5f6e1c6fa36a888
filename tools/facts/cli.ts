import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { ConfigError, parseFacts } from "../../config";
import { hostsIn, type HostToProbe } from "./hosts";
import { UserError } from "../../provider/core/kind";
import { SshTransport } from "../../provider/transport/ssh";
import { changedFacts, formatFacts, probeHost } from "./index";

const USAGE = `npm run facts -- [--stack NAME] [HOST …]

Probes hosts of a stack file over SSH and writes their facts files, which previews read instead of the hosts.
  --stack NAME   Pulumi.NAME.yaml; default: the only stack file that has these hosts
  HOST           default: every host of the stack`;

const checkout = path.resolve(__dirname, "../../..");

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { stack: { type: "string" }, help: { type: "boolean" } },
    allowPositionals: true,
  });
  if (values.help === true) {
    console.log(USAGE);
    return;
  }
  const { identityFile, hosts } = chosenHosts(values.stack, positionals);
  const transport = new SshTransport({
    identityFile: identityFile?.replace(/^~(?=\/)/, os.homedir()),
    connectTimeoutSeconds: 15,
    attempts: 2,
  });
  try {
    // One after the other: what it prints is read by a person, and a host takes about 3 s.
    for (const host of hosts) await refresh(host, transport);
  } finally {
    transport.close();
  }
}

/** The hosts to probe, from the one stack file that is meant. */
function chosenHosts(
  stack: string | undefined,
  names: readonly string[],
): { identityFile?: string; hosts: readonly HostToProbe[] } {
  const stacks = fs
    .readdirSync(checkout)
    .flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? [])
    .filter((name) => stack === undefined || name === stack)
    .map((name) => {
      const file = `Pulumi.${name}.yaml`;
      return { file, ...hostsIn(parse(fs.readFileSync(path.join(checkout, file), "utf8")), file) };
    })
    .filter(({ hosts }) => names.every((name) => hosts.some((host) => host.name === name)) && hosts.length > 0);
  const [only, ...others] = stacks;
  if (!only) {
    const where = stack === undefined ? "no stack file" : `Pulumi.${stack}.yaml`;
    throw new UserError(
      `${where} has ${names.length > 0 ? names.join(" and ") : "hosts"}: declare them in kvmesh:hosts first`,
    );
  }
  if (others.length > 0) {
    throw new UserError(`${stacks.map(({ file }) => file).join(" and ")} could be meant: add --stack NAME`);
  }
  return { ...only, hosts: only.hosts.filter(({ name }) => names.length === 0 || names.includes(name)) };
}

async function refresh(host: HostToProbe, transport: SshTransport): Promise<void> {
  const file = path.join(checkout, host.factsFile);
  const before = fs.existsSync(file)
    ? parseFacts(JSON.parse(fs.readFileSync(file, "utf8")) as unknown, host.factsFile)
    : undefined;
  const facts = await probeHost(host.endpoint, transport);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.new`, formatFacts(facts));
  fs.renameSync(`${file}.new`, file);
  const changes = before && changedFacts(before, facts);
  const cpus = `${facts.cpus.length} CPUs, ${facts.accelerator}`;
  if (!changes) console.log(`${host.name}: ${host.factsFile} is new (${cpus})`);
  else if (changes.length === 0) console.log(`${host.name}: nothing has changed since ${before.probedAt} (${cpus})`);
  else
    console.log(`${host.name}: changed since ${before.probedAt}\n${changes.map((change) => `  ${change}`).join("\n")}`);
}

main().catch((error: unknown) => {
  const known = error instanceof UserError || error instanceof ConfigError;
  console.error(known ? error.message : error);
  process.exitCode = 1;
});
