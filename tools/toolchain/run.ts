import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

export interface LoggedCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Output of the command, both streams; written anew. */
  readonly log: string;
}

/** Runs a command with its output in a log file. A failure's message holds the last lines of the log and where it is. */
export async function runLogged(what: string, command: LoggedCommand): Promise<void> {
  fs.mkdirSync(path.dirname(command.log), { recursive: true });
  const log = fs.openSync(command.log, "w");
  try {
    const end = await new Promise<string>((resolve) => {
      const child = spawn(command.command, command.args, {
        cwd: command.cwd,
        env: command.env ?? process.env,
        stdio: ["ignore", log, log],
      });
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => resolve(code === 0 ? "" : (signal ?? `exit code ${code ?? "unknown"}`)));
    });
    if (end !== "") throw new Error(`${what} failed: ${end}\n${lastLines(command.log)}  whole log: ${command.log}`);
  } finally {
    fs.closeSync(log);
  }
}

/** Standard output of a short command, trimmed; undefined when it can't be run or fails. */
export async function outputOf(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly timeoutMs?: number } = {},
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", "ignore"],
      timeout: options.timeoutMs ?? 15_000,
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    child.once("error", () => resolve(undefined));
    child.once("close", (code) => resolve(code === 0 ? text.trim() : undefined));
  });
}

function lastLines(file: string, count = 15): string {
  const lines = fs.readFileSync(file, "utf8").trimEnd().split("\n").slice(-count);
  return lines.map((line) => `  | ${line}\n`).join("");
}
