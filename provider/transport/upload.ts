import * as fs from "node:fs/promises";
import { quote } from "../core/quote";

/** A run of bytes of a file that are not all zero. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

const BLOCK = 1 << 20;
const ZERO = Buffer.alloc(BLOCK);

/** The parts of a file that hold data, in blocks of 1 MiB: only they cross the network and take space on the machine. */
export async function extentsOf(path: string): Promise<{ extents: Extent[]; size: number }> {
  const extents: { offset: number; length: number }[] = [];
  const file = await fs.open(path, "r");
  try {
    const block = Buffer.alloc(BLOCK);
    let offset = 0;
    for (;;) {
      const { bytesRead } = await file.read(block, 0, BLOCK, offset);
      if (bytesRead === 0) return { extents, size: offset };
      if (!block.subarray(0, bytesRead).equals(ZERO.subarray(0, bytesRead))) {
        const last = extents.at(-1);
        if (last && last.offset + last.length === offset) last.length += bytesRead;
        else extents.push({ offset, length: bytesRead });
      }
      offset += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** What a machine runs to take the extents from standard input, one after the other, into a file of the full size. */
export function uploadScript(path: string, extents: readonly Extent[], size: number): string {
  const target = quote(path);
  const take = extents.map(
    ({ offset, length }) =>
      `dd of=${target} bs=1M count=${length} iflag=fullblock,count_bytes seek=${offset} oflag=seek_bytes conv=notrunc status=none`,
  );
  return ["set -eu", "umask 077", `: >${target}`, ...take, `truncate -s ${size} ${target}`, `sync ${target}`].join(
    "\n",
  );
}

/** The bytes of the extents behind a prefix, as they go over the wire. */
export async function* readExtents(
  path: string,
  extents: readonly Extent[],
  prefix: Buffer,
  onSent: (bytes: number) => void,
): AsyncIterable<Buffer> {
  yield prefix;
  const file = await fs.open(path, "r");
  let sent = 0;
  try {
    for (const { offset, length } of extents) {
      for (let done = 0; done < length;) {
        const block = Buffer.alloc(Math.min(BLOCK, length - done));
        const { bytesRead } = await file.read(block, 0, block.length, offset + done);
        if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`);
        done += bytesRead;
        sent += bytesRead;
        yield block.subarray(0, bytesRead);
        onSent(sent);
      }
    }
  } finally {
    await file.close();
  }
}
