import * as http from "node:http";
import { judgeSplit, type ExpectedShare, type SplitVerdict } from "./split";

export interface CanaryMeasurement {
  /** Where the gateway listens, such as http://192.0.2.10:30080/. */
  readonly url: string;
  /** Host header, for a gateway that tells hosts apart; default: the URL's. */
  readonly host?: string;
  readonly weights: readonly ExpectedShare[];
  /** Default 1000. */
  readonly requests?: number;
  /** Connections, kept open; default 8. */
  readonly concurrency?: number;
  /** Of one request; default 5000. */
  readonly requestTimeoutMs?: number;
  /** Of the whole measurement; what was not asked by then counts as failed. Default 60000. */
  readonly timeoutMs?: number;
  /** Of the verdict; default 0.999. */
  readonly confidence?: number;
}

export interface CanaryResult extends SplitVerdict {
  readonly counts: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Of the first request that failed. */
  readonly firstError?: string;
}

/**
 * Sends requests through the gateway as a client outside the mesh does, counts which version answered, and compares
 * with the weights. The answer's header `x-version` says the version, else the first word of its body.
 */
export async function measureCanary(what: CanaryMeasurement): Promise<CanaryResult> {
  const { requests = 1_000, concurrency = 8, timeoutMs = 60_000, confidence = 0.999 } = what;
  if (!Number.isInteger(requests) || requests < 1 || !Number.isInteger(concurrency) || concurrency < 1) {
    throw new RangeError(`${requests} requests over ${concurrency} connections: give whole numbers of at least 1`);
  }
  const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
  const started = Date.now();
  const counts: Record<string, number> = {};
  let failed = 0;
  let firstError: string | undefined;
  let left = requests;
  const worker = async (): Promise<void> => {
    while (left > 0 && Date.now() - started < timeoutMs) {
      left -= 1;
      try {
        const version = await askVersion(what, agent);
        counts[version] = (counts[version] ?? 0) + 1;
      } catch (error) {
        failed += 1;
        firstError ??= (error as Error).message;
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, requests) }, worker));
  } finally {
    agent.destroy();
  }
  if (left > 0) firstError ??= `${left} requests were not sent within ${timeoutMs / 1000} s`;
  return {
    ...judgeSplit(counts, failed + left, what.weights, confidence),
    counts,
    seconds: (Date.now() - started) / 1000,
    firstError,
  };
}

function askVersion({ url, host, requestTimeoutMs = 5_000 }: CanaryMeasurement, agent: http.Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent, headers: host === undefined ? {} : { host } }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => (body += chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const version = answer.headers["x-version"] ?? body.trim().split(/\s+/)[0];
        if (answer.statusCode !== 200) reject(new Error(`HTTP ${answer.statusCode}: ${body.trim().slice(0, 80)}`));
        else if (typeof version === "string" && version !== "") resolve(version);
        else reject(new Error("an answer that names no version"));
      });
    });
    // Whole answer included: a socket timeout alone would be renewed by every byte.
    const timer = setTimeout(() => request.destroy(new Error(`no answer in ${requestTimeoutMs} ms`)), requestTimeoutMs);
    request.on("close", () => clearTimeout(timer));
    request.on("error", reject);
  });
}
