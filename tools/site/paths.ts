import * as os from "node:os";
import * as path from "node:path";

/** The user's data folder: `$KVMESH_DATA`, else `$XDG_DATA_HOME/kvmesh`, else `~/.local/share/kvmesh`. */
export function dataDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.KVMESH_DATA) return path.resolve(env.KVMESH_DATA);
  if (env.XDG_DATA_HOME) return path.join(env.XDG_DATA_HOME, "kvmesh");
  return path.join(os.homedir(), ".local/share/kvmesh");
}

/** Everything that belongs to the running site; `siteDown` removes it. */
export function siteDir(): string {
  return path.join(dataDir(), "site");
}
