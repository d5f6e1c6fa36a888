import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EnvHttpProxyAgent, fetch, type Response } from "undici";
import { sha256 } from "./base-image";
import { cacheDir } from "./cache";
import { once } from "./roots";
import { type Report, SiteError, type SiteImage } from "./types";

/** Debian 13's generic cloud image; its publisher gives SHA-512 sums beside it. */
const FOLDER = "https://cloud.debian.org/images/cloud/trixie/latest/";
const FILE = "debian-13-generic-amd64.qcow2";
const CONNECT_MS = 5_000;

/** The sum of a file in the text of a SHA512SUMS file. */
export function findSha512(sums: string, name: string): string | undefined {
  const line = sums.split("\n").find((candidate) => candidate.trim().split(/\s+\*?/)[1] === name);
  return line && /^[0-9a-f]{128}\b/.exec(line)?.[0];
}

/**
 * The official image, verified and kept in the cache; undefined where its publisher can't be reached.
 * @throws SiteError when what came is not what the publisher's sums say
 */
export async function officialImage(report: Report): Promise<SiteImage | undefined> {
  const agent = new EnvHttpProxyAgent({ connect: { timeout: CONNECT_MS } });
  try {
    const sums = await fetch(`${FOLDER}SHA512SUMS`, { dispatcher: agent }).then(
      (response) => (response.ok ? response.text() : undefined),
      () => undefined,
    );
    if (sums === undefined) return undefined;
    const sum = findSha512(sums, FILE);
    if (!sum) throw new SiteError(`${FOLDER}SHA512SUMS names no ${FILE}`);
    const folder = await once(
      path.join(cacheDir(), "base-images", `debian-${sum.slice(0, 16)}`),
      report,
      async (partial) => {
        fs.mkdirSync(partial);
        const file = path.join(partial, "image.qcow2");
        await save(await fetch(`${FOLDER}${FILE}`, { dispatcher: agent }), file, sum, report);
        fs.writeFileSync(path.join(partial, "digest"), `sha256:${await sha256(file)}\n`);
      },
    );
    const digest = fs.readFileSync(path.join(folder, "digest"), "utf8").trim();
    return { file: path.join(folder, "image.qcow2"), digest, format: "qcow2" };
  } finally {
    await agent.destroy();
  }
}

async function save(response: Response, file: string, sum: string, report: Report): Promise<void> {
  if (!response.ok || !response.body) throw new SiteError(`${response.url} answers ${response.status}`);
  const total = Number(response.headers.get("content-length") ?? 0);
  const hash = createHash("sha512");
  let received = 0;
  const counting = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      received += chunk.length;
      done(null, chunk);
    },
  });
  const ticker = setInterval(
    () =>
      report(`  downloading ${FILE}: ${(received / 1e6).toFixed(0)} of ${total ? (total / 1e6).toFixed(0) : "?"} MB`),
    5_000,
  );
  try {
    await pipeline(Readable.fromWeb(response.body), counting, fs.createWriteStream(file));
  } finally {
    clearInterval(ticker);
  }
  const found = hash.digest("hex");
  if (found !== sum)
    throw new SiteError(
      `${response.url} has the SHA-512 sum ${found}, not ${sum} as its publisher says; it was thrown away`,
    );
}
