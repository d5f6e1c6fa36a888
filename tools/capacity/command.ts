import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { formatProblem, parseStack } from "../../config";
import { placedFrom, type Placed } from "../../components/nodes/placed";
import type { HostSpec } from "../../config/spec";
import { UserError } from "../../provider/core/kind";
import { capacityOf } from "./capacity";
import { capacityTable } from "./table";

export const USAGE = `npm run capacity -- [--stack NAME] [--state FILE|none] [--json]

What each host of a stack has in cores, memory and disk, what is free, and who has the rest. Asks no host.
  --stack NAME   Pulumi.NAME.yaml; default: the only stack file
  --state FILE   what \`pulumi stack export\` wrote; \`none\`: as if nothing were there yet.
                 Default: \`pulumi stack export\` is asked, where there is a Pulumi and it has the stack
  --json         for programs
Exit code 1: a machine of the stack file has no place, or a thin pool is too small for the disks on it.`;

export interface Output {
  readonly out: (text: string) => void;
  readonly note: (line: string) => void;
}

export function capacityCommand(args: readonly string[], checkout: string, { out, note }: Output): number {
  const { values } = parseArgs({
    args: [...args],
    options: {
      stack: { type: "string" },
      state: { type: "string" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    out(USAGE);
    return 0;
  }
  const stack = values.stack ?? onlyStack(checkout);
  const file = `Pulumi.${stack}.yaml`;
  if (!fs.existsSync(path.join(checkout, file))) throw new UserError(`there is no ${file}`);
  const { config = {} } = (parse(fs.readFileSync(path.join(checkout, file), "utf8")) ?? {}) as {
    config?: Record<string, unknown>;
  };
  const raw = Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) => (key.startsWith("kvmesh:") ? [[key.slice(7), value]] : [])),
  );
  const spec = parseStack(raw, {
    stack,
    readFacts: (name) => JSON.parse(fs.readFileSync(path.resolve(checkout, name), "utf8")) as unknown,
    warn: (problem) => {
      note(formatProblem(problem));
    },
    now: new Date(),
  });
  const placed = placedIn(stateOf(values.state, stack, checkout, note), spec.hosts);
  const capacity = capacityOf(spec, stack, placed);
  out(values.json === true ? JSON.stringify(capacity, undefined, 2) : capacityTable(capacity));
  const tooSmall = capacity.hosts.some(({ thinPool }) => thinPool !== undefined && thinPool.free < 0);
  return capacity.misfits.length === 0 && !tooSmall ? 0 : 1;
}

function onlyStack(checkout: string): string {
  const names = fs.readdirSync(checkout).flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
  if (names.length === 1) return names[0]!;
  throw new UserError(names.length === 0 ? "there is no stack file here" : `say --stack, one of ${names.join(", ")}`);
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
      throw new UserError(`the state can't be read: ${error instanceof Error ? error.message : String(error)}`);
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
    throw new UserError("the state is no JSON: give a file that `pulumi stack export` wrote");
  }
  return placedFrom(
    Object.fromEntries(
      (exported.deployment?.resources ?? []).map(({ urn, type, outputs }) => [urn, { type, outputs }]),
    ),
    hosts,
  );
}
