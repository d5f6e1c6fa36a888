import * as fs from "node:fs/promises";
import * as path from "node:path";
import { checkoutRoot, toolDir } from "./cache";
import { DownloadError, fetchVerified } from "./download";
import { withLock } from "./lock";
import { findOnPath } from "./probe";
import { withProgress, type Report } from "./progress";
import type { Platform } from "./recipe";
import { runLogged } from "./run";
import { parseVersion, versions, isAtLeast, type Version } from "./versions";

/** The Go command: one on PATH that is new enough for the module's go.mod, else the official release, kept in the cache. */
export async function findGo(platform: Platform, report: Report, module: string): Promise<string> {
  const oldest = await goOf(module);
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
          `Go ${oldest.join(".")} or later is needed to build the tools that can't be downloaded here, and there is none ` +
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

/** The oldest Go that a module of the checkout takes. */
async function goOf(module: string): Promise<Version> {
  const text = await fs.readFile(path.join(checkoutRoot(), module, "go.mod"), "utf8");
  const line = /^go (\S+)$/m.exec(text)?.[1];
  if (line === undefined) throw new Error(`${module}/go.mod has no line \`go VERSION\``);
  return parseVersion(line)!;
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
