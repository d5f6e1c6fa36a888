import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as readline from "node:readline";
import type { EngineEvent } from "./events";

export type Kind = "preview" | "up" | "analyze";

export interface PulumiRun {
  readonly kind: Kind;
  readonly stack: string;
  /** Folder of the project. */
  readonly cwd: string;
  readonly pack: string;
  readonly packConfig?: string;
  /** Further arguments for Pulumi. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly onEvent: (event: EngineEvent) => void;
  /** Progress, a line each. */
  readonly say: (line: string) => void;
}

/**
 * Runs the CLI and hands over its engine events.
 *
 * preview and up keep the terminal, so that people see Pulumi's own display; the events come from its event log, which
 * is how Pulumi's Automation API gets them too. `policy analyze` has no such log: its events are its JSON output,
 * which has violations and none of the summaries that say what passed.
 *
 * @returns the CLI's exit code.
 */
export async function runPulumi(run: PulumiRun): Promise<number> {
  return run.kind === "analyze" ? analyze(run) : previewOrUp(run);
}

async function previewOrUp(run: PulumiRun): Promise<number> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-report-"));
  const log = path.join(folder, "events.json");
  try {
    const code = await spawned(
      run,
      [run.kind, "--stack", run.stack, ...packArgs(run), "--event-log", log, ...run.args],
      // The CLI knows --event-log only with its debugging commands on.
      { ...run.env, PULUMI_DEBUG_COMMANDS: "true" },
      "inherit",
    );
    if (fs.existsSync(log))
      for await (const line of readline.createInterface(fs.createReadStream(log))) take(run, line);
    return code;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function analyze(run: PulumiRun): Promise<number> {
  run.say(`judging the state of stack ${run.stack}`);
  return spawned(
    run,
    ["policy", "analyze", "--json", "--stack", run.stack, ...packArgs(run), ...run.args],
    run.env,
    (line) => {
      const event = take(run, line);
      if (event?.policyEvent)
        run.say(`${event.policyEvent.policyName}: ${event.policyEvent.message.trim().split("\n")[1] ?? ""}`);
    },
  );
}

function packArgs({ pack, packConfig }: PulumiRun): readonly string[] {
  return ["--policy-pack", pack, ...(packConfig === undefined ? [] : ["--policy-pack-config", packConfig])];
}

/** Lines that are no JSON objects are the CLI's words for people. */
function take(run: PulumiRun, line: string): EngineEvent | undefined {
  if (!line.startsWith("{")) {
    if (line.trim() !== "") run.say(line);
    return undefined;
  }
  const event = JSON.parse(line) as EngineEvent;
  run.onEvent(event);
  return event;
}

async function spawned(
  run: PulumiRun,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  output: "inherit" | ((line: string) => void),
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn("pulumi", args, {
      cwd: run.cwd,
      env,
      stdio: ["inherit", output === "inherit" ? "inherit" : "pipe", "inherit"],
    });
    child.once("error", (error: NodeJS.ErrnoException) => {
      const reason =
        error.code === "ENOENT"
          ? 'there is no `pulumi` on PATH; install it, or let kvmesh get it: eval "$(npm run -s env)"'
          : error.message;
      reject(new Error(`the Pulumi CLI could not be started: ${reason}`));
    });
    if (child.stdout && output !== "inherit") readline.createInterface(child.stdout).on("line", output);
    child.once("close", (code) => {
      resolve(code ?? 1);
    });
  });
}
