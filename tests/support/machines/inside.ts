import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { UnreachableError } from "../../../provider/core/kind";
import type { Endpoint, RunOptions, RunResult, Transport } from "../../../provider/transport/transport";
import type { LabMachines } from "./index";

const ALL_NAMESPACES = ["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup"];

/**
 * Commands on the lab's machines without SSH: a shell of this computer enters their namespaces, which takes milliseconds.
 * A machine without power or cable does not answer, as with SSH; one that loses it in the middle breaks the command off.
 */
export class InsideTransport implements Transport {
  constructor(private readonly machines: LabMachines) {}

  async script(at: Endpoint, script: string, options: RunOptions = {}): Promise<RunResult> {
    const name = this.reached(at);
    const pid = this.machines.pid(name);
    const limit = options.timeoutMs ?? 60_000;
    const child = spawn("nsenter", ["--target", String(pid), ...ALL_NAMESPACES, "sh", "-c", script], {
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let [stdout, stderr, rest] = ["", "", ""];
    child.stdout.on("data", (data: Buffer) => {
      stdout += data.toString();
      const lines = (rest + data.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) options.onLine?.(line);
    });
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.stdin ?? "");
    const give = (): void => void child.kill("SIGKILL");
    options.signal?.addEventListener("abort", give);
    const timer = setTimeout(give, limit);
    const watch = setInterval(() => {
      if (!this.machines.reachable(name)) give();
    }, 50);
    const code = await new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => resolve(status ?? 255));
    });
    clearTimeout(timer);
    clearInterval(watch);
    options.signal?.removeEventListener("abort", give);
    this.reached(at);
    if (options.signal?.aborted === true) throw new UnreachableError("interrupted");
    return { code, stdout, stderr };
  }

  async writeFile(at: Endpoint, file: string, content: Buffer | string, mode: number): Promise<void> {
    const command = `umask 077; cat >${file}.new && chmod ${mode.toString(8)} ${file}.new && mv ${file}.new ${file}`;
    const { code, stderr } = await this.script(at, command, { stdin: content });
    if (code !== 0) throw new Error(`${at.address}: ${file} can't be written: ${stderr}`);
  }

  async upload(at: Endpoint, localPath: string, remotePath: string): Promise<void> {
    const name = this.reached(at);
    await fs.promises.copyFile(localPath, path.join(`/proc/${this.machines.pid(name)}/root`, remotePath));
  }

  waitUntilReachable(at: Endpoint): Promise<void> {
    this.reached(at);
    return Promise.resolve();
  }

  close(): void {
    // Nothing is kept open.
  }

  private reached(at: Endpoint): string {
    const name = this.machines.names.find((one) => this.machines.address(one) === at.address);
    if (name === undefined || !this.machines.reachable(name))
      throw new UnreachableError(`${at.address} did not answer (attempt 1 of 1)`);
    return name;
  }
}
