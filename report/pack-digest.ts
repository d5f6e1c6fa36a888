import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

/**
 * "sha256:…" of what a policy pack runs: the files of its folder, and those outside it that they require by a relative
 * path, in the order of their paths. npm packages are not in it: the lock file of the commit names them.
 *
 * @throws one sentence when there is no pack.
 */
export function packDigest(folder: string): string {
  if (!fs.existsSync(path.join(folder, "PulumiPolicy.yaml")))
    throw new Error(`--pack: ${folder} is no policy pack; it has no PulumiPolicy.yaml`);
  const files = new Set<string>();
  const waiting = filesIn(folder);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    if (/\.[cm]?js$/.test(file)) waiting.push(...required(file));
  }
  const hash = createHash("sha256");
  const root = path.dirname(path.resolve(folder));
  const named = [...files].map((file) => [path.relative(root, file).split(path.sep).join("/"), file] as const);
  for (const [name, file] of named.sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(name).update("\0").update(fs.readFileSync(file)).update("\0");
  return `sha256:${hash.digest("hex")}`;
}

function filesIn(folder: string): string[] {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules" || entry.name.startsWith(".")) return [];
    const child = path.resolve(folder, entry.name);
    return entry.isDirectory() ? filesIn(child) : entry.isFile() ? [child] : [];
  });
}

/** Modules that a file loads by a relative path, as `require("./x")` and what compilers make of imports. */
function required(file: string): string[] {
  return [...fs.readFileSync(file, "utf8").matchAll(/\(\s*["'](\.\.?\/[^"'\n]+)["']\s*[,)]/g)].flatMap(([, name]) => {
    const base = path.resolve(path.dirname(file), name!);
    const found = [base, `${base}.js`, `${base}.cjs`, `${base}.json`, path.join(base, "index.js")].find(
      (candidate) => fs.statSync(candidate, { throwIfNoEntry: false })?.isFile() === true,
    );
    return found === undefined ? [] : [found];
  });
}
