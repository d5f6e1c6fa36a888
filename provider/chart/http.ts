import { UserError } from "../core/kind";

/** Nothing on the network may take longer: an index of a large repository is 10 MB, a chart well below 1 MB. */
const TIMEOUT_MS = 60_000;
const MAX_BYTES = 64 * 1024 * 1024;

export interface Request {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Answers that the caller handles itself, beside 200. */
  readonly accept?: readonly number[];
}

/** One bounded GET. Errors name the URL without its query, which may hold a credential. */
export async function get(url: string, request: Request): Promise<{ response: Response; body: Buffer }> {
  const shown = url.replace(/\?.*$/, "").replace(/\/\/[^/@]*@/, "//");
  let response: Response;
  let body: Buffer;
  try {
    response = await fetch(url, {
      headers: request.headers,
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    body = await readBounded(response, shown);
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (request.signal.aborted)
      throw new UserError(`fetching ${shown} was interrupted; \`pulumi up\` fetches it again`);
    throw new UserError(
      `${shown} can't be fetched: ${reasonOf(error)}; check the address and this machine's network or proxy`,
    );
  }
  if (response.status !== 200 && request.accept?.includes(response.status) !== true) {
    throw new UserError(`${shown} answered ${response.status} ${response.statusText}`.trim());
  }
  return { response, body };
}

async function readBounded(response: Response, shown: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > MAX_BYTES)
      throw new UserError(`${shown} is larger than ${MAX_BYTES / 1024 / 1024} MiB; that is no chart`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** fetch says "fetch failed" or "terminated" and keeps the reason in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no complete answer within ${TIMEOUT_MS / 1000} s`;
  const cause = error.cause;
  return cause instanceof Error
    ? cause.message || (cause as NodeJS.ErrnoException).code || error.message
    : error.message;
}
