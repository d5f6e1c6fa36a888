import * as fs from "node:fs";
import * as path from "node:path";

/** Writes a file whole: who is killed in the middle, or finds the disk full, leaves the old one. */
export function writeWhole(file: string, text: string, mode = 0o644): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}.new`;
  try {
    fs.writeFileSync(fresh, text, { mode, flush: true });
    fs.renameSync(fresh, file);
  } finally {
    fs.rmSync(fresh, { force: true });
  }
}
