import * as fs from "node:fs/promises";
import * as path from "node:path";
import { toolDir } from "./cache";
import { DownloadError, fetchVerified } from "./download";
import { withLock } from "./lock";
import { findOnPath } from "./probe";
import { withProgress, type Report } from "./progress";
import type { Platform } from "./recipes";
import { runLogged } from "./run";
import { parseVersion, versions, isAtLeast } from "./versions";

/** The oldest Go that the wrapper modules' go.mod files take. */
const oldest = parseVersion("1.26")!;

/** The Go command: one on PATH that is new enough, else the official release, kept in the cache. */
export async function findGo(platform: Platform, report: Report): Promise<string> {
  const usual = { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/local/go/bin` };
  const probe = { args: ["version"], accepts: (found: readonly [number, number, number]) => isAtLeast(found, oldest) };
  const found = await findOnPath("go", probe, usual);
  if (found) return found;

  const dir = toolDir("go", versions.go);
  const go = path.join(dir, "bin", "go");
  if (await exists(go)) return go;
  return withLock(
    `${dir}.lock`,
    (holder) => report(`go: ${holder} is fetching it; waiting`),
    async () => {
      if (await exists(go)) return go;
      const file = `go${versions.go}.${platform.os}-${platform.arch}.tar.gz`;
      const url = `https://dl.google.com/go/${file}`;
      const part = `${dir}.part`;
      try {
        await fs.rm(part, { recursive: true, force: true });
        await fs.mkdir(part, { recursive: true });
        await withProgress(report, `go ${versions.go}: downloading`, () =>
          fetchVerified({ url, sums: `${url}.sha256` }, path.join(part, file)),
        );
        const args = ["-xzf", path.join(part, file), "-C", part, "--strip-components=1"];
        await runLogged("unpacking Go", { command: "tar", args, log: `${dir}.log` });
        await fs.rm(path.join(part, file));
        await fs.rename(part, dir);
      } catch (error) {
        if (!(error instanceof DownloadError)) throw error;
        throw new Error(
          `Go ${oldest[0]}.${oldest[1]} or later is needed to build the tools that can't be downloaded here, and there is none ` +
            `on PATH; its official release failed too: ${error.message}`,
          { cause: error },
        );
      } finally {
        await fs.rm(part, { recursive: true, force: true });
      }
      return go;
    },
  );
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
