import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import * as fs from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as tar from "tar-stream";

/** One entry of an archive; paths without a leading slash. */
export type Entry =
  | { readonly path: string; readonly kind: "dir"; readonly mode?: number }
  | { readonly path: string; readonly kind: "link"; readonly target: string }
  /** Content from memory or from a file. */
  | { readonly path: string; readonly kind: "file"; readonly mode?: number; readonly data: string }
  | { readonly path: string; readonly kind: "file"; readonly mode?: number; readonly from: string };

/**
 * Writes an archive that depends on the entries alone: no times, no owners but root, the order as given.
 * Returns its SHA-256 sum, hexadecimal.
 */
export async function writeTar(target: string, entries: readonly Entry[]): Promise<string> {
  const pack = tar.pack();
  const hash = createHash("sha256");
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const written = pipeline(pack, hashing, createWriteStream(target));
  const filled = fill(pack, entries).catch((error: unknown) => {
    pack.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  await Promise.all([written, filled]);
  return hash.digest("hex");
}

async function fill(pack: tar.Pack, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) {
    const common = { name: entry.path, mtime: new Date(0), uid: 0, gid: 0 };
    if (entry.kind === "dir") {
      await put(pack, { ...common, type: "directory", mode: entry.mode ?? 0o755 });
    } else if (entry.kind === "link") {
      await put(pack, { ...common, type: "symlink", linkname: entry.target, mode: 0o777 });
    } else if ("data" in entry) {
      await put(pack, { ...common, type: "file", mode: entry.mode ?? 0o644 }, entry.data);
    } else {
      const { size } = await fs.stat(entry.from);
      const sink = pack.entry({ ...common, type: "file", mode: entry.mode ?? 0o755, size });
      await pipeline(createReadStream(entry.from), sink);
    }
  }
  pack.finalize();
}

async function put(pack: tar.Pack, header: Parameters<tar.Pack["entry"]>[0], data = ""): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    pack.entry(header, data, (error) => (error ? reject(error) : resolve()));
  });
}
