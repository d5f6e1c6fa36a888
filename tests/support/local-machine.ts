import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Context } from "../../provider/core/kind";
import { UnreachableError } from "../../provider/core/kind";
import type { Endpoint, RunOptions, RunResult, Transport } from "../../provider/transport/transport";
import { exampleHostKey } from "./hosts";

/**
 * A machine that is a folder of this computer: scripts run in a real shell, with /etc, /run and /var/lib of the folder and
 * with commands of the test first on PATH. It shows that scripts are right; what kubeadm really does, the lab shows.
 */
export class LocalMachine implements Transport {
  readonly root = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-machine-"));
  readonly scripts: string[] = [];
  reachable = true;
  readonly endpoint: Endpoint = { address: "192.0.2.1", port: 22, user: "root", hostKey: exampleHostKey() };

  constructor() {
    for (const folder of ["bin", "etc/kubernetes", "run", "var/lib"])
      fs.mkdirSync(this.path(folder), { recursive: true });
  }

  path(name: string): string {
    return path.join(this.root, name);
  }

  /** A command of this machine, as a POSIX shell script. */
  command(name: string, script: string): void {
    fs.writeFileSync(this.path(`bin/${name}`), `#!/bin/sh\n${this.rooted(script)}\n`, { mode: 0o755 });
  }

  write(name: string, content: string): void {
    fs.mkdirSync(path.dirname(this.path(name)), { recursive: true });
    fs.writeFileSync(this.path(name), content);
  }

  read(name: string): string | undefined {
    return fs.existsSync(this.path(name)) ? fs.readFileSync(this.path(name), "utf8") : undefined;
  }

  script(_at: Endpoint, script: string, options: RunOptions = {}): Promise<RunResult> {
    if (!this.reachable) return Promise.reject(new UnreachableError(`${this.endpoint.address} did not answer`));
    this.scripts.push(script);
    return new Promise((resolve, reject) => {
      const child = spawn("sh", ["-c", this.rooted(script)], {
        env: { ...process.env, PATH: `${this.path("bin")}:${process.env.PATH ?? ""}` },
        stdio: ["pipe", "pipe", "pipe"],
      });
      let [stdout, stderr, rest] = ["", "", ""];
      child.stdout.on("data", (data: Buffer) => {
        stdout += data.toString();
        rest += data.toString();
        const lines = rest.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) options.onLine?.(line);
      });
      child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
      child.on("error", reject);
      child.on("close", (code) => resolve({ code: code ?? 255, stdout, stderr }));
      // A script that reads no input may have ended before it is written.
      child.stdin.on("error", () => undefined);
      child.stdin.end(options.stdin ?? "");
    });
  }

  writeFile(_at: Endpoint, name: string, content: Buffer | string, mode: number): Promise<void> {
    fs.writeFileSync(this.path(name), content, { mode });
    return Promise.resolve();
  }

  upload(): Promise<void> {
    return Promise.reject(new Error("no kind of a node uploads anything"));
  }

  waitUntilReachable(): Promise<void> {
    return this.reachable ? Promise.resolve() : Promise.reject(new UnreachableError("did not answer within 1 s"));
  }

  close(): void {
    fs.rmSync(this.root, { recursive: true, force: true });
  }

  private rooted(script: string): string {
    return script.replace(
      /(?<![\w.}$])\/(etc\/(?:kubernetes|cni|apt|modules-load\.d|sysctl\.d)|run\/kvmesh|run\/flannel|run\/cloud-init|var\/lib\/(?:etcd|cni|kvmesh))/g,
      `${this.root}/$1`,
    );
  }
}

/** What a handler gets, with everything that it said. */
export function testContext(
  transport: Transport,
): Context & { readonly progressed: string[]; readonly warned: string[] } {
  const [progressed, warned]: string[][] = [[], []] as unknown as [string[], string[]];
  return {
    transport,
    urn: "urn:pulumi:test::kvmesh::kvmesh:index:Thing::thing",
    progress: (message) => progressed.push(message),
    warn: (message) => warned.push(message),
    onlyDeletes: false,
    importing: { hosts: new Map() },
    signal: new AbortController().signal,
    progressed,
    warned,
  };
}

export const owner = { project: "kvmesh", stack: "test", cluster: "c1", environment: "development" } as const;
