import { execFile, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface Launch {
  readonly command: readonly string[];
  /** The whole environment: nothing of the test's own comes in but PATH. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Processes of one lab: each has a log, and all of them end with it, by their process ids. */
export class Processes {
  private readonly running = new Map<string, ChildProcess>();

  constructor(private readonly logs: string) {}

  /** The child leads a process group, because pilot-agent has an Envoy below it. */
  start(name: string, { command, env, cwd }: Launch): void {
    const log = fs.openSync(path.join(this.logs, `${name}.log`), "a");
    const [file = "", ...args] = command;
    const child = spawn(file, args, {
      env: { PATH: process.env.PATH, ...env },
      cwd,
      detached: true,
      stdio: ["ignore", log, log],
    });
    fs.closeSync(log);
    child.on("error", (error) => fs.appendFileSync(path.join(this.logs, `${name}.log`), `${error.message}\n`));
    this.running.set(name, child);
  }

  /**
   * Waits until `ready` is true.
   * @throws Error with the end of the log when the process ends first, or the time is over
   */
  async ready(name: string, ready: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await ready())) {
      const child = this.running.get(name);
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${name} ended before it was ready\n${this.tail(name)}`);
      }
      if (Date.now() > deadline) {
        throw new Error(`${name} was not ready after ${timeoutMs / 1000} s\n${this.tail(name)}`);
      }
      await sleep(100);
    }
  }

  tail(name: string, lines = 20): string {
    return fs
      .readFileSync(path.join(this.logs, `${name}.log`), "utf8")
      .trimEnd()
      .split("\n")
      .slice(-lines)
      .join("\n");
  }

  /** The whole log: what Envoy rejected must be found wherever it stands. */
  log(name: string): string {
    return fs.readFileSync(path.join(this.logs, `${name}.log`), "utf8");
  }

  /** Asked to end, last started first; killed after 3 s. */
  async stop(): Promise<void> {
    const children = [...this.running.values()].reverse();
    this.running.clear();
    for (const child of children) signal(child, "SIGTERM");
    const deadline = Date.now() + 3_000;
    while (children.some(groupAlive) && Date.now() < deadline) await sleep(50);
    for (const child of children.filter(groupAlive)) signal(child, "SIGKILL");
    while (children.some(groupAlive) && Date.now() < deadline + 5_000) await sleep(50);
  }
}

function groupAlive(child: ChildProcess): boolean {
  return signal(child, 0);
}

/** To the whole group; false when nobody of it is left. */
function signal({ pid }: ChildProcess, name: NodeJS.Signals | 0): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(-pid, name);
    return true;
  } catch {
    return false;
  }
}

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command with its end; its exit code is the caller's to judge. */
export function capture(command: readonly string[], input?: string, timeoutMs = 60_000): Promise<Output> {
  const [file = "", ...args] = command;
  return new Promise((resolve) => {
    const child = execFile(file, args, { timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr: error !== null && code === -1 ? `${stderr}${error.message}` : stderr });
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input ?? "");
  });
}

/** A command that must succeed. */
export async function mustRun(command: readonly string[], input?: string, timeoutMs?: number): Promise<string> {
  const { code, stdout, stderr } = await capture(command, input, timeoutMs);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}\n${stderr || stdout}`);
  return stdout;
}
