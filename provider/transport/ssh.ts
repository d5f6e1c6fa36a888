import { UnreachableError, UserError } from "../core/kind";
import { quote } from "../core/quote";
import { remoteCommand } from "./command";
import { Connection } from "./connection";
import { DroppedError, LoginError, messageOf, where } from "./errors";
import { sleep } from "./sleep";
import type { Endpoint, RunOptions, RunResult, Transport, WaitOptions } from "./transport";
import { extentsOf, readExtents, uploadScript } from "./upload";

export interface SshSettings {
  /** Absolute path; default: the SSH agent. */
  readonly identityFile?: string;
  /** TCP connect, key exchange and login together. */
  readonly connectTimeoutSeconds: number;
  /** Tries of one step. */
  readonly attempts: number;
  /** A server that answers nothing for three of these is gone; default 10 s. */
  readonly keepAliveSeconds?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** What the network may take on top of a command's own time. */
const GRACE_MS = 15_000;

/** See Transport. One connection an endpoint, opened at first use, shared by all resources. */
export class SshTransport implements Transport {
  private readonly connections = new Map<string, Promise<Connection>>();

  constructor(private readonly settings: SshSettings) {}

  async script(at: Endpoint, script: string, options: RunOptions = {}): Promise<RunResult> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const remote = remoteCommand(script, at.user, Math.ceil(timeoutMs / 1000));
    const stdin = Buffer.concat([remote.prefix, Buffer.from(options.stdin ?? "")]);
    const started = Date.now();
    const result = await this.attempt(at, options, (connection) =>
      connection.exec(remote.command, { ...options, stdin, timeoutMs: timeoutMs + GRACE_MS }),
    );
    return checked(at, result, timeoutMs, Date.now() - started);
  }

  async writeFile(
    at: Endpoint,
    path: string,
    content: Buffer | string,
    mode: number,
    options: WaitOptions = {},
  ): Promise<void> {
    const script = `set -eu
umask 077
t=$(mktemp ${quote(`${path}.XXXXXX`)})
trap 'rm -f "$t"' EXIT
cat >"$t"
chmod ${mode.toString(8)} "$t"
sync "$t"
mv -f "$t" ${quote(path)}
trap - EXIT`;
    const result = await this.script(at, script, { ...options, stdin: content, idempotent: true });
    if (result.code !== 0) throw new UserError(`${where(at)}: ${path} can't be written: ${result.stderr.trim()}`);
  }

  async upload(
    at: Endpoint,
    localPath: string,
    remotePath: string,
    onProgress?: (sent: number, total: number) => void,
    options: WaitOptions = {},
  ): Promise<void> {
    const { extents, size } = await extentsOf(localPath);
    const total = extents.reduce((sum, extent) => sum + extent.length, 0);
    // A day: the pace of a slow link is no failure; a dead one is found by keep-alives.
    const timeoutMs = 24 * 3600 * 1000;
    const remote = remoteCommand(uploadScript(remotePath, extents, size), at.user, timeoutMs / 1000);
    const result = await this.attempt(at, { ...options, idempotent: true }, (connection) => {
      const stdin = readExtents(localPath, extents, remote.prefix, (sent) => onProgress?.(sent, total));
      return connection.exec(remote.command, { ...options, stdin, timeoutMs });
    });
    if (result.code !== 0) throw new UserError(`${where(at)}: upload to ${remotePath} failed: ${result.stderr.trim()}`);
  }

  async waitUntilReachable(
    at: Endpoint,
    timeoutMs: number,
    progress: (message: string) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const started = Date.now();
    const elapsed = (): number => Math.round((Date.now() - started) / 1000);
    let last = "no attempt yet";
    const report = setInterval(() => {
      progress(`waiting for SSH on ${where(at)}: ${elapsed()} of ${Math.round(timeoutMs / 1000)} s (${last})`);
    }, 5000);
    try {
      while (Date.now() - started < timeoutMs) {
        try {
          const connection = await this.connection(at, signal);
          const result = await connection.exec("true", { signal, timeoutMs: 10_000 });
          if (result.code === 0) return;
          last = `\`true\` ended with ${result.code}`;
        } catch (error) {
          signal?.throwIfAborted();
          if (!(error instanceof UnreachableError || error instanceof LoginError)) throw error;
          last = messageOf(error);
        }
        this.forget(at);
        await sleep(1000, signal);
      }
    } finally {
      clearInterval(report);
    }
    throw new UnreachableError(
      `${where(at)} did not answer within ${Math.round(timeoutMs / 1000)} s; last seen: ${last}`,
    );
  }

  close(): void {
    for (const connection of this.connections.values()) connection.then((open) => open.close()).catch(() => undefined);
    this.connections.clear();
  }

  /** Tries again on refused and broken connections, with the same bounded patience for every step. */
  private async attempt<T>(
    at: Endpoint,
    options: RunOptions,
    work: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const limit = this.settings.attempts;
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(await this.connection(at, options.signal));
      } catch (error) {
        options.signal?.throwIfAborted();
        if (error instanceof DroppedError && options.idempotent !== true) {
          throw new DroppedError(
            `${error.message}: whether it was done is not known. Run again: what was done is found and kept`,
          );
        }
        if (!(error instanceof UnreachableError)) throw error;
        if (attempt >= limit) throw new UnreachableError(`${error.message} (attempt ${attempt} of ${limit})`);
        const waitMs = Math.min(1000 * 2 ** (attempt - 1), 15_000);
        options.progress?.(`${error.message}; attempt ${attempt + 1} of ${limit} in ${waitMs / 1000} s`);
        await sleep(waitMs, options.signal);
      }
    }
  }

  private async connection(at: Endpoint, signal: AbortSignal | undefined): Promise<Connection> {
    signal?.throwIfAborted();
    const key = keyOf(at);
    const known = this.connections.get(key);
    if (known) {
      const connection = await known;
      if (!connection.closed) return connection;
      if (this.connections.get(key) === known) this.connections.delete(key);
      return this.connection(at, signal);
    }
    const opening = this.open(at);
    this.connections.set(key, opening);
    try {
      return await opening;
    } catch (error) {
      if (this.connections.get(key) === opening) this.connections.delete(key);
      throw error;
    }
  }

  private async open(at: Endpoint): Promise<Connection> {
    const settings = {
      identityFile: this.settings.identityFile,
      timeoutMs: this.settings.connectTimeoutSeconds * 1000,
      keepAliveMs: (this.settings.keepAliveSeconds ?? 10) * 1000,
    };
    if (!at.bastion) return Connection.open(at, settings);
    const bastion = await this.connection(at.bastion, undefined);
    return Connection.open(at, settings, await bastion.forward(at.address, at.port));
  }

  private forget(at: Endpoint): void {
    const known = this.connections.get(keyOf(at));
    this.connections.delete(keyOf(at));
    known?.then((connection) => connection.close()).catch(() => undefined);
  }
}

/** The host key belongs to it: two resources that pin different keys must not share a connection. */
function keyOf(at: Endpoint): string {
  const own = [at.user, at.address, at.port, at.hostKey].join(" ");
  return at.bastion ? `${own} < ${keyOf(at.bastion)}` : own;
}

function checked(at: Endpoint, result: RunResult, timeoutMs: number, tookMs: number): RunResult {
  // 124 and 137 are `timeout`'s own words, but a script may end with them as well.
  if ((result.code === 124 || result.code === 137) && tookMs >= timeoutMs) {
    throw new UserError(
      `${where(at)}: a command was ended because it was not done after ${Math.round(timeoutMs / 1000)} s`,
    );
  }
  if (at.user !== "root" && result.code === 1 && result.stderr.startsWith("sudo:")) {
    throw new UserError(
      `${where(at)}: ${at.user} may not become root: allow it without a password (NOPASSWD) or use root (${result.stderr.trim()})`,
    );
  }
  return result;
}
