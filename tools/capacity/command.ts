import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describeCommand, parseLine } from "../../command/parse";
import { UsageError } from "../../command/errors";
import { kvmeshConfig, readYaml, stacksIn } from "../../command/stack-file";
import { formatProblem, parseStack } from "../../config";
import { placedFrom, type Placed } from "../../components/nodes/placed";
import type { HostSpec } from "../../config/spec";
import { capacityOf } from "./capacity";
import { capacityTable } from "./table";

const WHAT =
  "What each host of a stack has in cores, memory and disk, what is free, and who has the rest. Asks no host.";

export interface Output {
  readonly out: (text: string) => void;
  readonly note: (line: string) => void;
}

export function capacityCommand(args: readonly string[], checkout: string, { out, note }: Output): number {
  const command = describeCommand({
    start: "npm run capacity --",
    what: WHAT,
    example: "--stack prod --json",
    codes: { 1: "a machine of the stack file has no place, or a thin pool is too small for the disks on it" },
  })
    .option("--stack <NAME>", "Pulumi.NAME.yaml (default: the only stack file)")
    .option(
      "--state <FILE>",
      "what `pulumi stack export` wrote; `none`: as if nothing were there yet (default: `pulumi stack export` is asked, " +
        "where there is a Pulumi and it has the stack)",
    )
    .option("--json", "for programs");
  if (!parseLine(command, args, out)) return 0;
  const options = command.opts();
  const stack = options.stack ?? onlyStack(checkout);
  const file = `Pulumi.${stack}.yaml`;
  const raw = kvmeshConfig(readYaml(checkout, file), file);
  const spec = parseStack(raw, {
    stack,
    readFacts: (name) => JSON.parse(fs.readFileSync(path.resolve(checkout, name), "utf8")) as unknown,
    warn: (problem) => {
      note(formatProblem(problem));
    },
    now: new Date(),
  });
  const placed = placedIn(stateOf(options.state, stack, checkout, note), spec.hosts);
  const capacity = capacityOf(spec, stack, placed);
  out(options.json === true ? JSON.stringify(capacity, undefined, 2) : capacityTable(capacity));
  const tooSmall = capacity.hosts.some(({ thinPool }) => thinPool !== undefined && thinPool.free < 0);
  return capacity.misfits.length === 0 && !tooSmall ? 0 : 1;
}

function onlyStack(checkout: string): string {
  const names = stacksIn(checkout);
  if (names.length === 1) return names[0]!;
  throw new UsageError(names.length === 0 ? "there is no stack file here" : `say --stack, one of ${names.join(", ")}`);
}

/** The text of an exported state; undefined: none. */
function stateOf(
  given: string | undefined,
  stack: string,
  checkout: string,
  note: (line: string) => void,
): string | undefined {
  if (given === "none") return undefined;
  if (given !== undefined) {
    try {
      return fs.readFileSync(given, "utf8");
    } catch (error) {
      throw new UsageError(`the state can't be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const asked = spawnSync("pulumi", ["stack", "export", "--stack", stack, "--non-interactive"], {
    cwd: checkout,
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
  });
  if (asked.status === 0) return asked.stdout;
  const why = asked.error?.message ?? asked.stderr.trim().split("\n").at(-1) ?? "";
  note(`no state of stack ${stack} (${why}): every machine is shown as planned`);
  return undefined;
}

interface Exported {
  readonly deployment?: {
    readonly resources?: readonly { readonly urn: string; readonly type: string; readonly outputs?: unknown }[];
  };
}

function placedIn(state: string | undefined, hosts: readonly HostSpec[]): readonly Placed[] {
  if (state === undefined) return [];
  let exported: Exported;
  try {
    exported = JSON.parse(state) as Exported;
  } catch {
    throw new UsageError("the state is no JSON: give a file that `pulumi stack export` wrote");
  }
  return placedFrom(
    Object.fromEntries(
      (exported.deployment?.resources ?? []).map(({ urn, type, outputs }) => [urn, { type, outputs }]),
    ),
    hosts,
  );
}
