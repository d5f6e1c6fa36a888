import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { EngineEvent } from "./events";
import { readEventLog } from "./log";

export type Kind = "preview" | "up";

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
}

/** How the CLI ended. */
export interface PulumiEnd {
  /** Its own; 128 and the signal's number when a signal ended it. */
  readonly exitCode: number;
  /** Why what it said is not whole: it was killed or interrupted, could not be started, or its log is cut off. */
  readonly broken?: string;
}

/**
 * Runs the CLI and hands over its engine events. Never throws for what the CLI does. It keeps the terminal, so that people
 * see Pulumi's own display; the events come from its event log, which is how Pulumi's Automation API gets them too.
 */
export async function runPulumi(run: PulumiRun): Promise<PulumiEnd> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-report-"));
  const log = path.join(folder, "events.json");
  try {
    const end = await spawned(run, [run.kind, "--stack", run.stack, ...packArgs(run), "--event-log", log, ...run.args]);
    const cut = await readEventLog(log, run.onEvent);
    const broken = end.broken ?? cut;
    return { exitCode: end.exitCode, ...(broken !== undefined && { broken }) };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function packArgs({ pack, packConfig }: PulumiRun): readonly string[] {
  return ["--policy-pack", pack, ...(packConfig === undefined ? [] : ["--policy-pack-config", packConfig])];
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

async function spawned(run: PulumiRun, args: readonly string[]): Promise<PulumiEnd> {
  return new Promise((resolve) => {
    // The CLI knows --event-log only with its debugging commands on.
    const env = { ...run.env, PULUMI_DEBUG_COMMANDS: "true" };
    const child = spawn("pulumi", args, { cwd: run.cwd, env, stdio: "inherit" });
    let interrupted: NodeJS.Signals | undefined;
    // We outlive the signal, to say in the report how the run ended. A terminal sends Ctrl-C to Pulumi as well, for which
    // a second one means to stop without saving: then it is not passed on.
    const pass = (signal: NodeJS.Signals): void => {
      interrupted = signal;
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    };
    for (const signal of SIGNALS) process.on(signal, pass);
    const end = (result: PulumiEnd): void => {
      for (const signal of SIGNALS) process.off(signal, pass);
      resolve(result);
    };
    child.once("error", (error: NodeJS.ErrnoException) => {
      end(launchFailure(error));
    });
    child.once("close", (code, signal) => {
      if (signal !== null) end({ exitCode: 128 + os.constants.signals[signal], broken: `${signal} killed Pulumi` });
      else if (interrupted !== undefined && code !== 0)
        end({ exitCode: code ?? 1, broken: `it was interrupted (${interrupted})` });
      else end({ exitCode: code ?? 1 });
    });
  });
}

export function launchFailure(error: NodeJS.ErrnoException): PulumiEnd {
  const reason =
    error.code === "ENOENT"
      ? 'there is no `pulumi` on PATH; install it, or let kvmesh get it: eval "$(npm run -s env)"'
      : error.message;
  return { exitCode: 127, broken: `the Pulumi CLI could not be started: ${reason}` };
}
