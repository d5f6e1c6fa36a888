import { spawn } from "node:child_process";
import * as net from "node:net";
import * as path from "node:path";
import { PassThrough } from "node:stream";
import * as ssh2 from "ssh2";

export interface SshServerOptions {
  /** Users that may log in; default root. */
  readonly users?: readonly string[];
  /** Sessions of one connection at once, as sshd's MaxSessions; default 10. */
  readonly maxSessions?: number;
}

/** Places of a host that scripts name absolutely; they are found below the simulated root instead. */
const HOST_PATHS =
  /(?<![\w/.-])\/(var\/lib|dev\/disk|dev\/contract|run|proc|sys|etc|opt|srv|usr\/local|home|root)(?=\/|$|\s|['"])/gm;

/** The SSH side of a simulated host. */
export class SshServer {
  /** Every script that was run, in order. */
  readonly scripts: string[] = [];
  /** Connections that were opened, and logins that were tried. */
  connections = 0;
  logins = 0;
  private readonly server: ssh2.Server;
  private readonly clients = new Set<ssh2.Connection>();
  /** When it returns true for a script, the connection is cut instead of running it. */
  private cut: ((script: string) => boolean) | undefined;

  constructor(
    private readonly root: string,
    hostKey: string,
    /** Either half of it. */
    authorizedKey: string | Buffer,
    private readonly options: SshServerOptions,
  ) {
    const allowed = ssh2.utils.parseKey(authorizedKey) as ssh2.ParsedKey;
    this.server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
      this.connections++;
      this.clients.add(client);
      client.on("close", () => this.clients.delete(client));
      client.on("error", () => undefined);
      client.on("authentication", (context) => this.authenticate(context, allowed));
      client.on("ready", () => this.serve(client));
    });
  }

  /** A given port is for a server that comes back. */
  listen(port = 0): Promise<void> {
    return new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  /** Cuts the connection at the next script that contains the text, once; `then` is called with it. */
  cutAt(text: string, then: () => void = () => undefined): void {
    this.cut = (script) => {
      if (!script.includes(text)) return false;
      this.cut = undefined;
      then();
      return true;
    };
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.end();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  run(script: string, stdin: string | Buffer = ""): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn("sh", ["-c", this.toRoot(script)], { env: this.env(), cwd: this.root });
      let stdout = "";
      let stderr = "";
      child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
      child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
      child.on("error", reject);
      child.on("close", (code) =>
        resolve({ code: code ?? 128, stdout: this.fromRoot(stdout), stderr: this.fromRoot(stderr) }),
      );
      // A script that reads no input may have ended before it is written.
      child.stdin.on("error", () => undefined);
      child.stdin.end(stdin);
    });
  }

  private authenticate(context: ssh2.AuthContext, allowed: ssh2.ParsedKey): void {
    if (context.method === "none") {
      context.reject(["publickey"]);
      return;
    }
    this.logins++;
    const users = this.options.users ?? ["root"];
    const known =
      context.method === "publickey" &&
      users.includes(context.username) &&
      context.key.data.equals(allowed.getPublicSSH());
    if (!known) context.reject(["publickey"]);
    else if (!context.signature || !context.blob) context.accept();
    else if (allowed.verify(context.blob, context.signature, context.hashAlgo)) context.accept();
    else context.reject(["publickey"]);
  }

  private serve(client: ssh2.Connection): void {
    let sessions = 0;
    client.on("session", (accept, reject) => {
      if (sessions >= (this.options.maxSessions ?? 10)) {
        reject();
        return;
      }
      sessions++;
      const session = accept();
      session.on("close", () => sessions--);
      let running: () => number | undefined = () => undefined;
      session.on("signal", (acceptSignal: (() => void) | undefined, _reject: unknown, info: { name: string }) => {
        acceptSignal?.();
        const pid = running();
        if (pid !== undefined) process.kill(-pid, `SIG${info.name}` as NodeJS.Signals);
      });
      session.on("exec", (acceptExec, _reject, info) => {
        running = this.exec(client, acceptExec(), info.command);
      });
    });
    // A bastion: streams to other servers.
    client.on("tcpip", (accept, reject, info) => {
      const socket = net.connect(info.destPort, info.destIP);
      socket.once("error", () => reject());
      socket.once("connect", () => {
        const stream = accept();
        stream.on("error", () => undefined);
        socket.on("error", () => undefined);
        socket.pipe(stream).pipe(socket);
      });
    });
  }

  /** The transport puts the script's length into the command and the script in front of standard input. */
  private exec(client: ssh2.Connection, channel: ssh2.ServerChannel, command: string): () => number | undefined {
    const length = Number(/head -c (\d+)/.exec(command)?.[1] ?? 0);
    let pid: number | undefined;
    const pump = new PassThrough();
    const start = (script: string): void => {
      this.scripts.push(script);
      if (this.cut?.(script)) {
        client.end();
        return;
      }
      const rooted = Buffer.from(this.toRoot(script));
      const line = command.replace(/head -c \d+/, `head -c ${rooted.length}`);
      const started = spawn("sh", ["-c", line], { env: this.env(), cwd: this.root, detached: true });
      pid = started.pid;
      // Its number may be somebody else's by now.
      started.on("exit", () => (pid = undefined));
      started.stdin.on("error", () => undefined);
      started.stdin.write(rooted);
      pump.pipe(started.stdin);
      const flushOut = this.byLines(started.stdout, (text) => channel.write(text));
      const flushErr = this.byLines(started.stderr, (text) => channel.stderr.write(text));
      started.on("close", (code) => {
        flushOut();
        flushErr();
        channel.exit(code ?? 128);
        channel.end();
      });
    };
    let head = Buffer.alloc(0);
    let started = false;
    channel.on("data", (data: Buffer) => {
      if (started) {
        if (!pump.write(data)) {
          channel.pause();
          pump.once("drain", () => channel.resume());
        }
        return;
      }
      head = Buffer.concat([head, data]);
      if (head.length < length) return;
      started = true;
      start(head.subarray(0, length).toString("utf8"));
      pump.write(head.subarray(length));
    });
    channel.on("end", () => {
      if (!started) start("");
      pump.end();
    });
    channel.on("error", () => undefined);
    return () => pid;
  }

  /** Whole lines only: the root's path may stand across two chunks. Returns what sends the last, unfinished one. */
  private byLines(stream: NodeJS.ReadableStream, send: (text: string) => void): () => void {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (data: string) => {
      const end = (rest + data).lastIndexOf("\n") + 1;
      const all = rest + data;
      rest = all.slice(end);
      if (end > 0) send(this.fromRoot(all.slice(0, end)));
    });
    return () => {
      if (rest !== "") send(this.fromRoot(rest));
    };
  }

  private env(): NodeJS.ProcessEnv {
    return {
      PATH: `${path.join(this.root, "bin")}:/usr/bin:/bin`,
      TMPDIR: path.join(this.root, "tmp"),
      KVMESH_SIMULATED_ROOT: this.root,
    };
  }

  private toRoot(text: string): string {
    return text.replace(HOST_PATHS, (found) => this.root + found);
  }

  private fromRoot(text: string): string {
    return text.split(this.root).join("");
  }
}
