import { expect } from "chai";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { exitCodes } from "../../command/exit-codes";
import { startedOn } from "../../tools/quickstart/processes";
import { cacheDir, checkoutRoot } from "../../tools/toolchain/cache";
import { expectNoTrace } from "../support/command";
import { guard } from "../support/guard";

/** Namespaces, bridges and mounts take root on Linux. */
const isRoot = process.getuid?.() === 0 && process.platform === "linux";
/** Another one cuts at other moments: KVMESH_SEED=7 npm run lab. */
const SEED = Number(process.env.KVMESH_SEED ?? 1);
/** With a warm cache a whole run takes 4 to 6 minutes on two quiet cores, and all of this about 40. */
const RUN_MS = 40 * 60_000;

/** A moment of a run: that long after it said this. */
interface Moment {
  readonly said: RegExp;
  readonly afterMs: number;
  /** What comes next: `--destroy`, after which nothing may be left, or a run that goes on. */
  readonly then: "destroy" | "go on";
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Twelve moments: in every phase, five of them in `pulumi up`, which takes most of the time. */
function moments(seed: number): readonly Moment[] {
  const random = randomFrom(seed);
  const within = (said: RegExp, seconds: number, then: Moment["then"]): Moment => ({
    said,
    afterMs: Math.floor(random() * seconds * 1000),
    then,
  });
  return [
    within(/This makes/, 1, "destroy"),
    within(/▸ tools/, 1, "go on"),
    within(/▸ site/, 2, "destroy"),
    within(/starting the emulated KVM host/, 6, "go on"),
    within(/▸ stack/, 4, "destroy"),
    within(/▸ stack/, 8, "go on"),
    within(/▸ pulumi up/, 30, "go on"),
    within(/▸ pulumi up/, 90, "destroy"),
    within(/Domain .* creating/, 30, "go on"),
    within(/▸ pulumi up/, 150, "go on"),
    within(/Release .* creating/, 30, "go on"),
    within(/▸ measurements/, 10, "go on"),
  ];
}

(isRoot ? describe : describe.skip)(`the quickstart, killed${isRoot ? "" : " (needs root on Linux)"}`, function () {
  this.timeout(RUN_MS);
  let folder: string;
  let checkout: string;
  let env: NodeJS.ProcessEnv;
  let clean: Leftovers;
  let unguard: () => void;

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-kills-"));
    checkout = copyOfCheckout(path.join(folder, "checkout"));
    for (const name of ["home", "tmp"]) fs.mkdirSync(path.join(folder, name));
    env = {
      ...process.env,
      ...goCaches(),
      HOME: path.join(folder, "home"),
      TMPDIR: path.join(folder, "tmp"),
      KVMESH_CACHE: cacheDir(),
      KVMESH_DATA: path.join(folder, "data"),
      npm_config_cache: path.join(os.homedir(), ".npm"),
    };
    clean = leftovers();
    const down = '"$NODE" "$CHECKOUT/bin/run.cjs" tools/quickstart/cli --destroy; rm -rf -- "$FOLDER"';
    unguard = guard(down, { ...env, NODE: process.execPath, CHECKOUT: checkout, FOLDER: folder });
  });
  after(async () => {
    await ended(quickstart("--destroy"));
    fs.rmSync(folder, { recursive: true, force: true });
    unguard();
  });

  interface Run {
    readonly process: ChildProcess;
    readonly said: () => string;
  }

  function quickstart(...args: string[]): Run {
    const line = [path.join(checkout, "bin/run.cjs"), "tools/quickstart/cli", ...args];
    const child = spawn(process.execPath, line, { cwd: checkout, env, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (part: string) => (text += part));
    }
    return { process: child, said: () => text };
  }

  async function ended(run: Run): Promise<number | null> {
    // Not "close": what it started may hold its output, and does after a kill.
    if (run.process.exitCode === null && run.process.signalCode === null) await once(run.process, "exit");
    expectNoTrace({ code: 0, stdout: run.said(), stderr: "" });
    return run.process.exitCode;
  }

  /** True: it was killed at the moment. False: it ended before. */
  async function killedAt(run: Run, { said, afterMs }: Moment): Promise<boolean> {
    while (!said.test(run.said())) {
      if (run.process.exitCode !== null) return false;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await Promise.race([once(run.process, "exit"), new Promise((resolve) => setTimeout(resolve, afterMs))]);
    return run.process.kill("SIGKILL");
  }

  /** What of this computer a run may leave something in. */
  interface Leftovers {
    readonly links: readonly string[];
    readonly cgroups: readonly string[];
    readonly mounts: readonly string[];
    readonly processes: readonly string[];
    readonly files: readonly string[];
  }

  function leftovers(): Leftovers {
    const list = (dir: string): string[] =>
      fs.existsSync(dir)
        ? fs.readdirSync(dir, { recursive: true, encoding: "utf8" }).map((name) => path.join(dir, name))
        : [];
    const groups = ["/sys/fs/cgroup", "-maxdepth", "2", "-name", "kvmesh-*"];
    const data = path.join(folder, "data");
    return {
      links: fs.readdirSync("/sys/class/net").filter((name) => aliasOf(name).includes(data)),
      cgroups: execFileSync("find", groups, { encoding: "utf8" }).split("\n").filter(ofThisRun),
      mounts: fs
        .readFileSync("/proc/mounts", "utf8")
        .split("\n")
        .filter((line) => line.includes(folder)),
      processes: [
        ...startedOn(data).map(({ name }) => name),
        ...fs.readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && holdsMount(pid, data)),
      ],
      files: [
        ...list(path.join(folder, "home")).filter((file) => !isGoTelemetry(path.relative(folder, file))),
        ...list(path.join(folder, "tmp")),
        ...(fs.existsSync(data) ? [data] : []),
        ...fs.readdirSync(checkout).filter((name) => name === "Pulumi.local.yaml" || name === ".kvmesh"),
      ],
    };
  }

  const groups = new Set<string>();

  /** cgroups have no mark: those of the site's records are its own. */
  function ofThisRun(dir: string): boolean {
    const record = path.join(folder, "data/site/site.json");
    if (fs.existsSync(record)) {
      const { cgroups = [] } = JSON.parse(fs.readFileSync(record, "utf8")) as { readonly cgroups?: readonly string[] };
      for (const name of cgroups) groups.add(name);
    }
    return groups.has(path.basename(dir));
  }

  async function destroy(what: string): Promise<void> {
    leftovers();
    const run = quickstart("--destroy");
    expect(await ended(run), `${what}\n${run.said()}`).to.equal(exitCodes.done);
    expect(leftovers(), `${what}\n${run.said()}`).to.deep.equal(clean);
  }

  // One after the other on one data folder: each goes on from what the one before has left.
  for (const [index, moment] of moments(SEED).entries()) {
    const what = `${index + 1} of 12: ${(moment.afterMs / 1000).toFixed(1)} s after ${moment.said.source}`;
    const rest = moment.then === "destroy" ? "--destroy leaves nothing" : "the next run goes on";
    it(`${what}; ${rest} (KVMESH_SEED=${SEED})`, async () => {
      const run = quickstart("--yes");
      const killed = await killedAt(run, moment);
      const code = await ended(run);
      if (!killed) expect(code, run.said()).to.equal(exitCodes.done);
      if (moment.then === "destroy") await destroy(what);
    });
  }

  it("and after all that a whole run succeeds, and --destroy leaves nothing", async () => {
    const last = quickstart("--yes");
    expect(await ended(last), last.said()).to.equal(exitCodes.done);
    expect(last.said()).to.contain("Strict mutual TLS, tried");
    await destroy("after a whole run");
  });
});

/** The `go` command makes this folder of its own whenever it runs, whoever runs it. */
function isGoTelemetry(file: string): boolean {
  return file === "home/.config" || file.startsWith("home/.config/go");
}

function aliasOf(link: string): string {
  try {
    return fs.readFileSync(`/sys/class/net/${link}/ifalias`, "utf8");
  } catch {
    return "";
  }
}

function holdsMount(pid: string, data: string): boolean {
  try {
    return fs.readFileSync(`/proc/${pid}/mounts`, "utf8").includes(data);
  } catch {
    return false;
  }
}

/** Go's caches stay where they are: they are caches, and a home folder of the test's own has none. */
function goCaches(): NodeJS.ProcessEnv {
  try {
    const [build = "", modules = ""] = execFileSync("go", ["env", "GOCACHE", "GOMODCACHE"], { encoding: "utf8" }).split(
      "\n",
    );
    return { GOCACHE: build, GOMODCACHE: modules };
  } catch {
    return {};
  }
}

/** The stack file stands in the checkout: a test has one of its own, with this one's packages. */
function copyOfCheckout(target: string): string {
  const root = checkoutRoot();
  const skipped = new Set([".git", ".kvmesh", "node_modules", "Pulumi.local.yaml"]);
  fs.cpSync(root, target, {
    recursive: true,
    preserveTimestamps: true,
    filter: (file) => !skipped.has(path.relative(root, file)),
  });
  fs.symlinkSync(path.join(root, "node_modules"), path.join(target, "node_modules"));
  return target;
}
