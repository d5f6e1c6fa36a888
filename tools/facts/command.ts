import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { describeCommand, parseLine } from "../../command/parse";
import { UsageError } from "../../command/errors";
import { readYaml, stacksIn } from "../../command/stack-file";
import { ConfigError, parseFacts } from "../../config";
import { missingSoftware, type HostFacts } from "../../config/facts";
import { UserError } from "../../provider/core/kind";
import { SshTransport } from "../../provider/transport/ssh";
import type { Transport } from "../../provider/transport/transport";
import { hostsIn, type HostToProbe } from "./hosts";
import { changedFacts, formatFacts, probeHost } from "./index";

const WHAT =
  "Probes hosts of a stack file over SSH and writes their facts files, which previews read instead of the hosts.";

/** What became of one host. */
type Outcome = "same" | "different" | "failed";

/** The command's exit code; what it says goes to `say`. `checkout` holds the stack files and their facts files. */
export async function factsCommand(
  args: readonly string[],
  checkout: string,
  say: (line: string) => void,
): Promise<number> {
  const command = describeCommand({
    start: "npm run facts --",
    what: WHAT,
    example: "--check --stack prod",
    codes: { 1: "with --check, a host is not what its file says" },
  })
    .argument("[HOST...]", "default: every host of the stack")
    .option("--check", "write nothing; exit code 1 when a host is not what its file says")
    .option("--stack <NAME>", "Pulumi.NAME.yaml (default: the only stack file that has these hosts)");
  if (!parseLine(command, args, (text) => say(text.trimEnd()))) return 0;
  const { stack, check = false } = command.opts();
  const { identityFile, hosts } = chosenHosts(checkout, stack, command.processedArgs[0]);
  const transport = new SshTransport({
    identityFile: identityFile?.replace(/^~(?=\/)/, os.homedir()),
    connectTimeoutSeconds: 15,
    attempts: 2,
  });
  const outcomes: Outcome[] = [];
  try {
    // One after the other: what it prints is read by a person, and a host takes about 3 s. One that fails stops no other.
    for (const host of hosts) outcomes.push(await refresh(host, { checkout, transport, check, say }));
  } finally {
    transport.close();
  }
  const [failed, different] = (["failed", "different"] as const).map(
    (word) => outcomes.filter((outcome) => outcome === word).length,
  );
  if (failed! > 0) say(`${failed} of ${hosts.length} hosts could not be probed; their files are as they were`);
  if (check && different! > 0)
    say(`${different} of ${hosts.length} facts files are out of date: \`npm run facts\` writes them`);
  return failed! > 0 ? 3 : check && different! > 0 ? 1 : 0;
}

/** The hosts to probe, from the one stack file that is meant. */
function chosenHosts(
  checkout: string,
  stack: string | undefined,
  names: readonly string[],
): { identityFile?: string; hosts: readonly HostToProbe[] } {
  const stacks = (stack === undefined ? stacksIn(checkout) : [stack])
    .map((name) => {
      const file = `Pulumi.${name}.yaml`;
      return { file, ...hostsIn(readYaml(checkout, file), file) };
    })
    .filter(({ hosts }) => names.every((name) => hosts.some((host) => host.name === name)) && hosts.length > 0);
  const [only, ...others] = stacks;
  if (!only) {
    const where = stack === undefined ? "no stack file has" : `Pulumi.${stack}.yaml does not have`;
    throw new UsageError(
      `${where} ${names.length > 0 ? names.join(" and ") : "any hosts"}: declare them in kvmesh:hosts first`,
    );
  }
  if (others.length > 0) {
    throw new UsageError(`${stacks.map(({ file }) => file).join(" and ")} could be meant: add --stack NAME`);
  }
  return { ...only, hosts: only.hosts.filter(({ name }) => names.length === 0 || names.includes(name)) };
}

interface Refresh {
  readonly checkout: string;
  readonly transport: Transport;
  readonly check: boolean;
  readonly say: (line: string) => void;
}

async function refresh(host: HostToProbe, { checkout, transport, check, say }: Refresh): Promise<Outcome> {
  const file = path.join(checkout, host.factsFile);
  const before = savedFacts(file, host.factsFile);
  const warnings: string[] = [];
  let facts: HostFacts;
  try {
    facts = await probeHost(host.endpoint, host.storage, transport, (message) => void warnings.push(message));
  } catch (error) {
    if (!(error instanceof UserError || error instanceof ConfigError)) throw error;
    say(`${host.name}: ${error.message}`);
    return "failed";
  }
  if (!check) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    writeAtomically(file, formatFacts(facts));
  }
  say(`${host.name}: ${told(before, facts, host.factsFile, check)}`);
  for (const warning of warnings) say(`  warning: ${warning}`);
  return "facts" in before && changedFacts(before.facts, facts).length === 0 ? "same" : "different";
}

/** A file that can't be read is no reason not to write a good one. */
function savedFacts(file: string, name: string): { readonly facts: HostFacts } | { readonly why: string } {
  if (!fs.existsSync(file)) return { why: "is not there" };
  try {
    return { facts: parseFacts(JSON.parse(fs.readFileSync(file, "utf8")), name) };
  } catch (error) {
    return { why: `could not be read (${error instanceof Error ? error.message : String(error)})` };
  }
}

function told(before: ReturnType<typeof savedFacts>, facts: HostFacts, name: string, check: boolean): string {
  const free = facts.availableMemory === null ? "free memory unknown" : `${gib(facts.availableMemory)} free`;
  const steal = (facts.stealPercent ?? 0) > 1 ? `, ${facts.stealPercent} % steal` : "";
  const missing = missingSoftware(facts);
  const bare = missing === undefined ? "" : `, no ${missing}: prepare.packages installs it (docs/hosts.md)`;
  const now = `${facts.cpus.length} CPUs, ${facts.accelerator}, ${free}${steal}, ${facts.foreign.length} machines of others${bare}`;
  if ("why" in before) return `${name} ${before.why}${check ? "" : "; it is written now"} (${now})`;
  const changes = changedFacts(before.facts, facts);
  if (changes.length === 0) return `nothing has changed since ${before.facts.probedAt} (${now})`;
  return `changed since ${before.facts.probedAt} (${now})\n${changes.map((change) => `  ${change}`).join("\n")}`;
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

/** Written whole and flushed before it gets its name: a reader sees the old file or the new one. */
function writeAtomically(file: string, text: string): void {
  const fresh = `${file}.${process.pid}.new`;
  try {
    const handle = fs.openSync(fresh, "w", 0o644);
    try {
      fs.writeFileSync(handle, text);
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    fs.renameSync(fresh, file);
  } finally {
    fs.rmSync(fresh, { force: true });
  }
}
