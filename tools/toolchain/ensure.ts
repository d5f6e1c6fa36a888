import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { goBuild, goBuildKey, takeFromNpm, takeFromWheel, type GoProgress } from "./build";
import { cacheDir, checkoutRoot, toolDir } from "./cache";
import { DownloadError, fetchVerified } from "./download";
import { findGo } from "./go";
import { withLock } from "./lock";
import { findOnPath } from "./probe";
import { elapsed, withProgress, type Report } from "./progress";
import type { Platform, Recipe, Release } from "./recipe";
import { recipe, type ToolName } from "./recipes";
import { runLogged } from "./run";
import { versions, type Versions } from "./versions";

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
export async function ensureTools<N extends ToolName>(
  names: readonly N[],
  report: Report,
  given: Versions = versions,
): Promise<Record<N, string>> {
  const found = await findTools(names, report, given);
  return Object.fromEntries(names.map((name) => [name, found[name].path])) as Record<N, string>;
}

/** As ensureTools, with what is known about each tool. */
export async function findTools<N extends ToolName>(
  names: readonly N[],
  report: Report,
  given: Versions = versions,
): Promise<Record<N, Found>> {
  const found: Partial<Record<N, Found>> = {};
  const missing: Wanted[] = [];
  for (const name of new Set(names)) {
    const there = (await fromPath(name, given)) ?? (await fromCache(name, given));
    if (there) found[name] = there;
    else missing.push(await wantedTool(name, given));
  }
  const toBuild: Wanted[] = [];
  for (const [index, wanted] of missing.entries()) {
    const count = missing.length > 1 ? ` (${index + 1} of ${missing.length})` : "";
    const fetched = await fetchTool(wanted, count, report);
    if (fetched) found[wanted.name as N] = fetched;
    else toBuild.push(wanted);
  }
  for (const [name, built] of await buildTools(toBuild, report)) found[name as N] = built;
  return found as Record<N, Found>;
}

interface Wanted {
  readonly name: ToolName;
  readonly recipe: Recipe;
  /** Keys of which the cached file must have one. */
  readonly keys: readonly string[];
  /** Of the cached file. The keys are in its name: checkouts with other recipes keep theirs beside it. */
  readonly dir: string;
}

async function wantedTool(name: ToolName, given: Versions): Promise<Wanted> {
  const how = recipe(name, given);
  const all = await keys(how);
  const id = createHash("sha256").update(all.join("\n")).digest("hex").slice(0, 8);
  return { name, recipe: how, keys: all, dir: `${toolDir(name, how.version)}-${id}` };
}

export async function fromPath(name: ToolName, given: Versions = versions): Promise<Found | undefined> {
  const { path: probe } = recipe(name, given);
  const file = probe && (await findOnPath(name, probe));
  return file ? { path: file } : undefined;
}

export async function fromCache(name: ToolName, given: Versions = versions): Promise<Found | undefined> {
  return cached(await wantedTool(name, given));
}

async function cached({ name, keys: wanted, dir }: Wanted): Promise<Found | undefined> {
  try {
    const source = JSON.parse(await fs.readFile(path.join(dir, "source.json"), "utf8")) as Source;
    const file = path.join(dir, name);
    await fs.access(file, fs.constants.X_OK);
    return wanted.includes(source.key) ? { path: file, source } : undefined;
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

/** Gets one tool in the first way that needs no compiler; undefined when there is none. */
async function fetchTool(wanted: Wanted, count: string, report: Report): Promise<Found | undefined> {
  const { name, recipe: how } = wanted;
  const what = `${name} ${how.version}${count}`;
  const release = how.release?.(platform());
  const npm = how.npm?.(platform());
  if (!release && !how.wheel && !npm) return undefined;
  return locked([wanted], report, async () => {
    const there = await cached(wanted); // another process may have made it while we waited
    if (there) return there;
    const started = Date.now();
    return inPart(wanted, async (part) => {
      const log = logOf(wanted);
      const target = path.join(part, name);
      if (release && (await fromRelease(name, what, release, part, log, report))) {
        return put(wanted, part, "release", release.url, started);
      }
      if (how.wheel) {
        const { wheel } = how;
        await withProgress(report, `${what}: downloading`, () => takeFromWheel(`getting ${what}`, wheel, target, log));
        return put(wanted, part, "wheel", await wheelKey(how), started);
      }
      if (npm) {
        await withProgress(report, `${what}: downloading from npm`, () =>
          takeFromNpm(`getting ${what}`, npm, target, log),
        );
        return put(wanted, part, "npm", npm.integrity, started);
      }
      if (!how.go) throw new Error(`${what} can't be downloaded, and there is no other way to get it`);
      return undefined;
    });
  });
}

/** Builds tools, those of one module in one go. */
async function buildTools(wanted: readonly Wanted[], report: Report): Promise<Map<ToolName, Found>> {
  const found = new Map<ToolName, Found>();
  for (const module of new Set(wanted.map(({ recipe: { go } }) => go!.module))) {
    const group = wanted.filter(({ recipe: { go } }) => go!.module === module);
    await locked(group, report, async () => {
      const missing: Wanted[] = [];
      for (const tool of group) {
        const there = await cached(tool);
        if (there) found.set(tool.name, there);
        else missing.push(tool);
      }
      if (missing.length === 0) return;
      for (const [name, built] of await buildGroup(missing, report)) found.set(name, built);
    });
  }
  return found;
}

async function buildGroup(group: readonly Wanted[], report: Report): Promise<Map<ToolName, Found>> {
  const started = Date.now();
  const names = group.map(({ name, recipe: how }) => `${name} ${how.version}`).join(", ");
  const what = group.length === 1 ? names : `${group.length} tools`;
  if (group.length > 1) report(`building ${what} from Go modules: ${names}`);
  const work = path.join(cacheDir(), "tmp", `group.${process.pid}.${started}`);
  const log = logOf(group[0]!);
  let watch: (() => Promise<GoProgress>) | undefined;
  const detail = async (): Promise<string> => {
    if (watch === undefined) return ", fetching modules";
    const { all, compiled } = await watch();
    return `, ${compiled} packages of ${all} or fewer`;
  };
  try {
    await fs.mkdir(work, { recursive: true });
    const tools = group.map(({ name, recipe: { go } }) => ({ name, build: go!, target: path.join(work, name) }));
    const go = await findGo(platform(), report, tools[0]!.build.module);
    await withProgress(
      report,
      `${what}: building from Go modules`,
      () => goBuild(`building ${what}`, tools, go, log, (progress) => (watch = progress)),
      undefined,
      detail,
    );
    await fs.appendFile(log, `built ${names} in ${elapsed(Date.now() - started)}\n`);
    const found = new Map<ToolName, Found>();
    for (const tool of group) {
      const made = await inPart(tool, async (part) => {
        await fs.rename(path.join(work, tool.name), path.join(part, tool.name));
        return put(tool, part, "go", await goBuildKey(tool.recipe.go!), started);
      });
      found.set(tool.name, made);
    }
    return found;
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

const logOf = (tool: Wanted): string => path.join(cacheDir(), "logs", `${path.basename(tool.dir)}.log`);

/** Runs with the locks of all tools, taken in one order by everybody. */
async function locked<T>(tools: readonly Wanted[], report: Report, work: () => Promise<T>): Promise<T> {
  const [first, ...rest] = [...tools].sort((a, b) => (a.dir < b.dir ? -1 : 1));
  if (first === undefined) return work();
  const waiting = (holder: string): void => report(`${first.name}: ${holder} is making it; waiting`);
  return withLock(`${first.dir}.lock`, waiting, () => locked(rest, report, work));
}

/** Runs with an empty folder for a tool, which is gone afterwards. */
async function inPart<T>(tool: Wanted, work: (part: string) => Promise<T>): Promise<T> {
  const part = path.join(cacheDir(), "tmp", `${path.basename(tool.dir)}.${process.pid}`);
  try {
    await fs.mkdir(part, { recursive: true });
    return await work(part);
  } finally {
    await fs.rm(part, { recursive: true, force: true });
  }
}

/** Puts a folder with the tool into the cache, in the place of what was there. */
async function put(tool: Wanted, part: string, how: Source["how"], key: string, started: number): Promise<Found> {
  const file = path.join(part, tool.name);
  await fs.chmod(file, 0o755);
  const source: Source = { how, key, sha256: await sha256(file), seconds: (Date.now() - started) / 1000 };
  await fs.writeFile(path.join(part, "source.json"), `${JSON.stringify(source, undefined, 2)}\n`);
  const { dir } = tool;
  await fs.mkdir(path.dirname(dir), { recursive: true });
  await fs.rm(dir, { recursive: true, force: true });
  await fs.rename(part, dir);
  return { path: path.join(dir, tool.name), source };
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
