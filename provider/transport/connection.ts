import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import * as ssh2 from "ssh2";
import { UnreachableError, UserError } from "../core/kind";
import { credentials } from "./credentials";
import { DroppedError, LoginError, messageOf, where } from "./errors";
import { hostKeyAlgorithms, hostKeyError, isPinned } from "./host-key";
import { Semaphore } from "./semaphore";
import type { Endpoint, RunResult } from "./transport";

/**
 * Half of sshd's MaxSessions, which is 10 a connection by default: sessions that were closed count until sshd has read all that has come in,
 * so where five end and five start in one packet it has ten. With eight, a busy host refused some.
 */
const MAX_CHANNELS = 5;

export interface ExecOptions {
  readonly stdin?: string | Buffer | AsyncIterable<Buffer>;
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
  /** When to give up on an answer; the remote side ends the command itself a little earlier. */
  readonly timeoutMs: number;
}

/** One SSH connection: many commands at once over channels. */
export class Connection {
  private readonly channels = new Semaphore(MAX_CHANNELS);
  closed = false;

  private constructor(
    private readonly at: Endpoint,
    private readonly client: ssh2.Client,
  ) {
    client.on("close", () => {
      this.closed = true;
    });
  }

  /** `through`: a stream to the server, opened by the bastion; default: a TCP connection of its own. */
  static open(
    at: Endpoint,
    settings: { identityFile?: string; timeoutMs: number; keepAliveMs: number },
    through?: Duplex,
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const client = new ssh2.Client();
      let wrongKey: Buffer | undefined;
      client.once("ready", () => {
        client.removeAllListeners("error");
        // Errors after this come as "close" to whoever waits for a channel.
        client.on("error", () => undefined);
        resolve(new Connection(at, client));
      });
      client.on("error", (error: Error & { level?: string }) => {
        client.end();
        if (wrongKey) reject(hostKeyError(at, wrongKey));
        else if (error.level === "client-authentication") reject(loginError(at, settings.identityFile));
        else reject(new UnreachableError(`${where(at)} can't be reached: ${error.message}`));
      });
      try {
        client.connect({
          ...(through ? { sock: through } : { host: at.address, port: at.port }),
          username: at.user,
          ...credentials(settings.identityFile),
          algorithms: { serverHostKey: hostKeyAlgorithms(at.hostKey) },
          hostVerifier: (key: Buffer) => {
            if (isPinned(key, at.hostKey)) return true;
            wrongKey = key;
            return false;
          },
          readyTimeout: settings.timeoutMs,
          keepaliveInterval: settings.keepAliveMs,
          keepaliveCountMax: 3,
        });
      } catch (error) {
        reject(error instanceof UserError ? error : new UserError(`${where(at)}: ${messageOf(error)}`));
      }
    });
  }

  /** A stream to another server, for a connection through this one. */
  forward(address: string, port: number): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      this.client.forwardOut("127.0.0.1", 0, address, port, (error, stream) => {
        if (error) reject(new UnreachableError(`${where(this.at)} can't reach ${address}:${port}: ${error.message}`));
        else resolve(stream);
      });
    });
  }

  /** Runs one command. The channel is asked to end its process group when the signal is aborted or the time is over. */
  exec(command: string, options: ExecOptions): Promise<RunResult> {
    return this.channels.use(options.signal, () => this.execNow(command, options));
  }

  private execNow(command: string, options: ExecOptions): Promise<RunResult> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new UnreachableError(`${where(this.at)}: the connection is closed`));
        return;
      }
      let channel: ssh2.ClientChannel | undefined;
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.client.removeListener("close", onLost);
        finish();
      };
      const stop = (error: Error): void => {
        settle(() => {
          channel?.signal("TERM");
          channel?.close();
          reject(error);
        });
      };
      const onAbort = (): void => {
        stop(signal?.reason as Error);
      };
      const onLost = (): void => {
        settle(() => reject(new DroppedError(`${where(this.at)}: the connection broke while a command ran`)));
      };
      const timer = setTimeout(() => {
        stop(new UserError(`${where(this.at)}: no answer after ${Math.round(options.timeoutMs / 1000)} s`));
      }, options.timeoutMs);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.client.once("close", onLost);
      this.client.exec(command, (error, opened) => {
        if (error) {
          settle(() =>
            reject(
              new UnreachableError(
                `${where(this.at)} opens no session (sshd's MaxSessions must be 10 or more): ${error.message}`,
              ),
            ),
          );
          return;
        }
        channel = opened;
        collect(opened, options.onLine, (result) => {
          if (result) settle(() => resolve(result));
          else onLost();
        });
        feed(opened, options.stdin);
      });
    });
  }

  close(): void {
    this.closed = true;
    this.client.end();
  }
}

/** Gathers output; tells nothing when the channel closed without an exit status, which means that the connection broke. */
function collect(
  channel: ssh2.ClientChannel,
  onLine: ((line: string) => void) | undefined,
  done: (result: RunResult | undefined) => void,
): void {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let code: number | undefined;
  let rest = "";
  channel.on("data", (data: Buffer) => {
    stdout.push(data);
    if (!onLine) return;
    const lines = (rest + data.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  });
  channel.stderr.on("data", (data: Buffer) => stderr.push(data));
  channel.on("exit", (status: number | null) => {
    // Killed by a signal: a shell would say 128 + its number; which one is of no use here.
    code = status ?? 128;
  });
  channel.on("close", () => {
    if (code === undefined) done(undefined);
    else done({ code, stdout: Buffer.concat(stdout).toString("utf8"), stderr: Buffer.concat(stderr).toString("utf8") });
  });
}

/** A command may end before it has read everything; what it says then counts, not the broken pipe. */
function feed(channel: ssh2.ClientChannel, stdin: ExecOptions["stdin"]): void {
  channel.on("error", () => undefined);
  if (stdin === undefined || typeof stdin === "string" || Buffer.isBuffer(stdin)) {
    channel.end(stdin ?? "");
    return;
  }
  const source = Readable.from(stdin, { objectMode: false, highWaterMark: 1 << 20 });
  source.on("error", () => channel.close());
  channel.on("close", () => source.destroy());
  source.pipe(channel);
}

function loginError(at: Endpoint, identityFile: string | undefined): LoginError {
  const tried = identityFile === undefined ? "the keys of the SSH agent" : `the key ${identityFile}`;
  return new LoginError(
    `${where(at)} refused ${tried}: put its public key into ~${at.user}/.ssh/authorized_keys there, or name another key or user in the stack file`,
  );
}
