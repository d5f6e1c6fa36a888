import { spawn } from "node:child_process";
import { type Report, SiteError } from "./types";

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What is being done, for progress lines every 5 s and for the error. */
  readonly what?: string;
  readonly report?: Report;
  /** Default: none. */
  readonly timeoutMs?: number;
  /** Ends the command (SIGKILL) as soon as its standard error matches. */
  readonly stopOn?: RegExp;
  /** Returns a non-zero exit instead of throwing. */
  readonly allowFailure?: boolean;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const PROGRESS_MS = 5_000;
/** As the shell and timeout(1) have them. */
const KILLED = 137;
const TIMED_OUT = 124;

/**
 * Runs a local command to its end. With `report`, a line every 5 s says what runs, for how long, and its last output.
 * @throws SiteError with the command's last lines when it fails, is missing, or takes longer than timeoutMs
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const what = options.what ?? [command, ...args].join(" ");
  const started = Date.now();
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: "C.UTF-8", ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let last = "";
  const keep = (text: string): string => {
    const line = text
      .trimEnd()
      .split(/[\r\n]/)
      .pop()
      ?.trim();
    if (line) last = line;
    return text;
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += keep(text)));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += keep(text)));
  if (options.stopOn) child.stderr.on("data", () => options.stopOn!.test(stderr) && child.kill("SIGKILL"));
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const ticker = setInterval(() => {
    const seconds = Math.round((Date.now() - started) / 1000);
    options.report?.(`  ${what}: ${seconds} s${last ? ` (${last.slice(0, 90)})` : ""}`);
  }, PROGRESS_MS);
  const limit = { reached: false };
  const atLimit = (): void => {
    limit.reached = true;
    child.kill("SIGKILL");
  };
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(atLimit, options.timeoutMs);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.on("error", (error: NodeJS.ErrnoException) => {
        const missing = error.code === "ENOENT" ? `the command ${command} is not installed` : error.message;
        reject(new SiteError(`${what}: ${missing}`));
      });
      child.on("close", (status) => resolve(status ?? KILLED));
    });
    if (limit.reached && !options.allowFailure)
      throw new SiteError(`${what}: no end after ${options.timeoutMs! / 1000} s`);
    if (code !== 0 && !options.allowFailure) {
      const tail = (stderr || stdout).trim().split("\n").slice(-8).join("\n  ");
      throw new SiteError(`${what}: failed with exit code ${code}\n  ${tail}`);
    }
    return { code: limit.reached ? TIMED_OUT : code, stdout, stderr };
  } finally {
    clearInterval(ticker);
    clearTimeout(timer);
  }
}

/** Whether a command of this name is on PATH. */
export async function onPath(command: string): Promise<boolean> {
  return (
    (await run("sh", ["-c", `PATH=$PATH:/usr/sbin:/sbin command -v -- "$1"`, "sh", command], { allowFailure: true }))
      .code === 0
  );
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
