import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { evaluateState, type EvaluateOptions, type StateResource } from "../policies/evaluate";
import { measuredIn } from "./evidence";
import type { Observations } from "./events";
import type { PackConfig } from "./pack-config";
import { launchFailure, type PulumiEnd } from "./pulumi";

const run = promisify(execFile);

interface Export {
  readonly deployment?: {
    readonly manifest?: { readonly version?: string };
    readonly resources?: readonly StateResource[];
    readonly pending_operations?: readonly { readonly type?: string; readonly resource?: { readonly urn?: string } }[];
  };
}

export interface State {
  readonly resources: readonly StateResource[];
  /** Of the CLI that wrote it. */
  readonly version: string | undefined;
  readonly notes: readonly string[];
}

/**
 * @param text what `pulumi stack export` writes.
 * @throws one sentence when it is no whole export.
 */
export function parseState(text: string, source: string): State {
  let content: Export;
  try {
    content = JSON.parse(text) as Export;
  } catch {
    throw new Error(`${source}: this is no JSON, or it is cut off; export it again (\`pulumi stack export\`)`);
  }
  const { deployment } = content;
  if (typeof deployment !== "object")
    throw new Error(`${source}: deployment: found none; give a \`pulumi stack export\``);
  const { resources = [], pending_operations: pending = [] } = deployment;
  const notes = pending.map(
    ({ type = "an operation", resource }) =>
      `An update was interrupted: ${type} of ${resource?.urn?.split("::").slice(2).join("::") ?? "a resource"} is pending. ` +
      "The state may not be what there is; run `pulumi refresh`.",
  );
  if (resources.length === 0) notes.push("The state has no resources.");
  return { resources, version: deployment.manifest?.version, notes };
}

/** The state of a deployed stack; secrets stay encrypted. */
export async function exportState(
  stack: string,
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly args: readonly string[] },
): Promise<PulumiEnd & { readonly text?: string }> {
  const args = ["stack", "export", "--stack", stack, "--non-interactive", ...options.args];
  try {
    const { stdout } = await run("pulumi", args, { cwd: options.cwd, env: options.env, maxBuffer: 2 ** 30 });
    return { exitCode: 0, text: stdout };
  } catch (caught) {
    const error = caught as NodeJS.ErrnoException & { readonly stderr?: string };
    if (error.code === "ENOENT") return launchFailure(error);
    const said = (error.stderr ?? "").trim().split("\n")[0];
    return { exitCode: 1, broken: `the state of ${stack} can't be read: ${said === "" ? error.message : said!}` };
  }
}

/** Our own run of the pack over a state: what passed and what had nothing to judge, `pulumi policy analyze` does not say. */
export function judgeState(
  { resources }: State,
  { packConfig, ...options }: EvaluateOptions & { readonly packConfig: PackConfig },
  observations: Observations,
): void {
  const verdicts = evaluateState(resources, { ...options, settings: packConfig.values });
  observations.addVerdicts(
    verdicts.flatMap((verdict) => {
      const level = packConfig.levelOf(verdict.rule);
      return level === "off" ? [] : [{ ...verdict, level: level ?? verdict.level }];
    }),
  );
  for (const { type, urn, outputs } of resources) {
    const measured = measuredIn(type, urn, outputs);
    if (measured) observations.measured.set(urn, measured);
  }
}
