import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EnvHttpProxyAgent, fetch, type Response } from "undici";

/** A file of a release, and the publisher's own list of SHA-256 sums from the same release. */
export interface Download {
  readonly url: string;
  /** A file with one bare sum, or with lines `SUM  NAME` of which one names the last part of `url`. */
  readonly sums: string;
}

export type DownloadFailure =
  /** No connection in time: nothing else will come from that host either. */
  | "unreachable"
  /** The server answered, but not with the whole file. */
  | "incomplete"
  /** The file is not what its publisher signed for. Never a reason to go on quietly. */
  | "wrong digest";

export class DownloadError extends Error {
  constructor(
    readonly kind: DownloadFailure,
    message: string,
    /** Worth another try after so many milliseconds: what was cut off, or a server that is too busy. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
    this.name = "DownloadError";
  }
}

export interface Limits {
  /** Until a connection stands, milliseconds. */
  readonly connectMs: number;
  /** Between two pieces of the answer, milliseconds. */
  readonly idleMs: number;
  /** The longest wait before another try, milliseconds; a server that wants a longer one is given up. */
  readonly retryMs: number;
}

const limits: Limits = { connectMs: 3_000, idleMs: 30_000, retryMs: 30_000 };
const TRIES = 3;

/**
 * Fetches `download.url` to `target`, which appears only when its SHA-256 is the published one. Honours
 * `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. Throws a DownloadError.
 */
export async function fetchVerified(download: Download, target: string, given: Limits = limits): Promise<void> {
  const agent = new EnvHttpProxyAgent({
    connect: { timeout: given.connectMs },
    headersTimeout: given.idleMs,
    bodyTimeout: given.idleMs,
  });
  const part = `${target}.part`;
  try {
    const name = path.posix.basename(new URL(download.url).pathname);
    const sums = await again(given, async () => text(await get(download.sums, agent)));
    const wanted = findSum(sums, name);
    if (!wanted) throw new DownloadError("incomplete", `${download.sums} has no SHA-256 sum for ${name}`);
    await fs.promises.mkdir(path.dirname(target), { recursive: true });
    const found = await again(given, async () => save(await get(download.url, agent), part));
    if (found !== wanted) {
      throw new DownloadError(
        "wrong digest",
        `${download.url} has the SHA-256 sum ${found}, but ${download.sums} says ${wanted}; it was thrown away`,
      );
    }
    await fs.promises.rename(part, target);
  } finally {
    await fs.promises.rm(part, { force: true });
    await agent.destroy();
  }
}

/** Does it up to three times while what went wrong may pass. */
async function again<T>({ retryMs }: Limits, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const wait = error instanceof DownloadError ? error.retryAfterMs : undefined;
      if (wait === undefined || wait > retryMs || tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/** Retry-After as RFC 9110 has it, seconds or a date, in milliseconds from now. */
export function retryAfter(value: string | null, now: number): number {
  if (value !== null && /^\d+$/.test(value.trim())) return Number(value) * 1000;
  const at = value === null ? NaN : Date.parse(value);
  return Number.isNaN(at) ? 1_000 : Math.max(0, at - now);
}

const TOO_BUSY = [429, 502, 503, 504];

/** The sum for a file name in the text of a sums file; a file with nothing but one sum counts for every name. */
export function findSum(sums: string, name: string): string | undefined {
  const lines = sums.split("\n").map((line) => line.trim().split(/\s+/));
  const sum = /^[0-9a-f]{64}$/i;
  const bare = lines.filter((words) => words[0] !== "");
  const first = bare[0]?.[0];
  if (bare.length === 1 && bare[0]?.length === 1 && first && sum.test(first)) return first.toLowerCase();
  for (const [value, file] of lines) {
    if (value && file && sum.test(value) && path.posix.basename(file.replace(/^\*/, "")) === name) {
      return value.toLowerCase();
    }
  }
  return undefined;
}

async function get(url: string, dispatcher: EnvHttpProxyAgent): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { dispatcher });
  } catch (error) {
    throw new DownloadError("unreachable", `${new URL(url).host} can't be reached: ${reason(error)}`);
  }
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    const wait = TOO_BUSY.includes(response.status)
      ? retryAfter(response.headers.get("retry-after"), Date.now())
      : undefined;
    throw new DownloadError("incomplete", `${url} answers ${response.status} ${response.statusText}`.trimEnd(), wait);
  }
  return response;
}

async function text(response: Response): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    throw new DownloadError("incomplete", `${response.url} broke off: ${reason(error)}`, 0);
  }
}

/** Writes the answer's body to a file and returns its SHA-256 sum. */
async function save(response: Response, file: string): Promise<string> {
  const hash = createHash("sha256");
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    // A body shorter than its Content-Length ends in an error of the stream.
    await pipeline(Readable.fromWeb(response.body!), hashing, fs.createWriteStream(file));
  } catch (error) {
    throw new DownloadError("incomplete", `${response.url} broke off: ${reason(error)}`, 0);
  }
  return hash.digest("hex");
}

function reason(error: unknown): string {
  // fetch wraps what happened ("fetch failed", "terminated") around what tells a person something.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
