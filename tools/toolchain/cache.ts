import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/**
 * Where everything that was fetched or built is kept, outside the checkout: `$KVMESH_CACHE`, else
 * `$XDG_CACHE_HOME/kvmesh`, else `~/.cache/kvmesh`. Absolute; not created here.
 */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.KVMESH_CACHE) return path.resolve(env.KVMESH_CACHE);
  // The XDG specification says that a relative path is invalid and to be ignored.
  const xdg = env.XDG_CACHE_HOME;
  if (xdg && path.isAbsolute(xdg)) return path.join(xdg, "kvmesh");
  return path.join(env.HOME ?? os.homedir(), ".cache", "kvmesh");
}

let root: string | undefined;

/** The checkout: the nearest folder above this file (also when it runs from dist/) whose package.json is kvmesh's. */
export function checkoutRoot(): string {
  if (root !== undefined) return root;
  for (let dir = __dirname; dir !== path.dirname(dir); dir = path.dirname(dir)) {
    const file = path.join(dir, "package.json");
    if (fs.existsSync(file)) {
      const found = JSON.parse(fs.readFileSync(file, "utf8")) as { name?: unknown };
      if (found.name === "kvmesh") return (root = dir);
    }
  }
  throw new Error(`no package.json of kvmesh in the folders above ${__dirname}`);
}

/** The folder of one tool at one version, `<cache>/bin/<tool>-<version>`; of tools with a recipe its key follows. */
export function toolDir(name: string, version: string): string {
  return path.join(cacheDir(), "bin", `${name}-${version}`);
}
