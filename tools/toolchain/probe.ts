import * as fs from "node:fs/promises";
import * as path from "node:path";
import type { PathProbe } from "./recipe";
import { outputOf } from "./run";
import { parseVersion } from "./versions";

/** The first executable `name` on PATH whose version the probe accepts; its path as PATH gives it. */
export async function findOnPath(
  name: string,
  probe: PathProbe,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  for (const dir of (env.PATH ?? "").split(path.delimiter)) {
    if (!path.isAbsolute(dir)) continue; // a tool from the current folder is never what was meant
    const file = path.join(dir, name);
    if (!(await isExecutable(file))) continue;
    if (probe.companion) {
      const home = path.dirname(await fs.realpath(file));
      if (!(await isExecutable(path.join(home, probe.companion)))) continue;
    }
    const text = await outputOf(file, probe.args, { env });
    const found = text === undefined ? undefined : parseVersion(text);
    if (found && probe.accepts(found)) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await fs.access(file, fs.constants.X_OK);
    return (await fs.stat(file)).isFile();
  } catch {
    return false;
  }
}
