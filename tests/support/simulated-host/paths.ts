import * as path from "node:path";

/** A file of a simulated host on this machine. Scripts already name paths below the root; XML has the host's own. */
export function rooted(root: string, file: string): string {
  return file.startsWith(root) ? file : path.join(root, file);
}
