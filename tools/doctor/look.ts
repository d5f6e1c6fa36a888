import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { kinds, lookAtMachine, siteStatus, type KindVerdict, type Machine, type SiteKind } from "../site";
import { cacheDir } from "../site/cache";
import { chooseSubnet } from "../site/network";
import { emulatedNeeds, hardwareNeeds, missingPackages } from "../site/packages";
import { dataDir } from "../site/paths";
import { onPath, run } from "../site/run";
import { holderOfQuickstart } from "../quickstart/lock";
import { checkoutRoot } from "../toolchain/cache";
import { outputOf } from "../toolchain/run";
import { defaultRoutes, reach, type Origin, type Reached, type Routes } from "./network";
import { lookAt, type Place } from "./places";
import { planFor, type Plan } from "./plan";
import { runningServers } from "./programs";

/** Everything that the verdict is made of; taken without changing anything but test files of a moment. */
export interface Look {
  readonly machine: Omit<Machine, "kvmProblem">;
  readonly availableBytes: number;
  readonly sudo: "root" | "at once" | "asks" | "none";
  /** The kind that the quickstart will most likely take, and what is said for and against each. */
  readonly kind: SiteKind | "none";
  readonly kinds: readonly KindVerdict[];
  /** The site that is up already. */
  readonly site: { readonly kind: SiteKind; readonly state: "up" | "broken" } | undefined;
  readonly places: readonly Place[];
  /** Whether an overlay can stand on the data folder, which a site of namespaces is made of; undefined: not tried. */
  readonly overlay: string | undefined;
  readonly routes: Routes;
  readonly reached: readonly Reached[];
  readonly plan: Plan;
  /** Debian packages that will be installed → what for. */
  readonly packages: ReadonlyMap<string, readonly string[]>;
  readonly hasGo: boolean;
  readonly hasGit: boolean;
  readonly hasPython: boolean;
  /** Undefined: a free network was found for a site. */
  readonly networkProblem: string | undefined;
  readonly servers: readonly string[];
  /** Another quickstart of this user that runs now. */
  readonly other: { readonly pid: number; readonly since: string } | undefined;
}

export async function look(): Promise<Look> {
  const status = await siteStatus();
  const site = status.kind && status.state !== "down" ? { kind: status.kind, state: status.state } : undefined;
  const machine = await lookAtMachine();
  const verdicts = kinds(machine, fs.existsSync("/dev/kvm"));
  const kind = site?.kind ?? likely(verdicts);
  const [plan, packages, hasGo, hasGit, hasPython] = await Promise.all([
    planFor(kind),
    kind === "none" || site
      ? new Map<string, string[]>()
      : missingPackages(kind === "kvm" ? hardwareNeeds : emulatedNeeds),
    outputOf("go", ["version"], { env: withGo() }).then((text) => text !== undefined),
    onPath("git"),
    onPath("python3"),
  ]);
  return {
    machine,
    availableBytes: availableMemory(),
    sudo: machine.uid === 0 ? "root" : await sudo(),
    kind,
    kinds: verdicts,
    site,
    places: await places(plan),
    overlay: kind === "emulated" && !site ? overlayProblem() : undefined,
    routes: defaultRoutes(),
    reached: await reach(...wantedOrigins(plan, packages)),
    plan,
    packages,
    hasGo,
    hasGit,
    hasPython,
    networkProblem: kind === "none" || site || !(await onPath("ip")) ? undefined : await networkProblem(),
    servers: machine.platform === "linux" ? runningServers() : [],
    other: holderOfQuickstart(dataDir()),
  };
}

/** What the run will need; asked only for what is missing, so that nothing is asked where all is here. */
function wantedOrigins(plan: Plan, packages: ReadonlyMap<string, unknown>): [ReadonlySet<Origin>, readonly string[]] {
  const missing = plan.tools.filter(({ from }) => from === "missing");
  const origins = new Set<Origin>(missing.flatMap(({ ways }) => ways));
  if (plan.roots.length > 0 || packages.size > 0) origins.add("debian");
  const hosts = new Map(
    missing.flatMap(({ release }) => (release === undefined ? [] : [[new URL(release).host, release]])),
  );
  return [origins, [...hosts.values()]];
}

function likely(verdicts: readonly KindVerdict[]): SiteKind | "none" {
  return verdicts.find(({ possible }) => possible)?.kind ?? "none";
}

async function places(plan: Plan): Promise<readonly Place[]> {
  const found = [lookAt("cache", cacheDir()), lookAt("data", dataDir()), lookAt("checkout", checkoutRoot())];
  if (!plan.tools.some(({ from, ways }) => from === "missing" && ways.includes("go"))) return found;
  const go = await outputOf("go", ["env", "GOCACHE"], { env: withGo() });
  return [...found, lookAt("go", go ?? path.join(os.homedir(), ".cache/go-build"))];
}

const withGo = (): NodeJS.ProcessEnv => ({ ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/local/go/bin` });

/** What the kernel can give without swapping; the limit of a container counts. */
function availableMemory(): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readOr("/proc/meminfo", ""));
  return match ? Number(match[1]) * 1024 : os.freemem();
}

function readOr(file: string, otherwise: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}

async function sudo(): Promise<Look["sudo"]> {
  if (!(await onPath("sudo"))) return "none";
  const { code, stderr } = await run("sudo", ["-n", "true"], { allowFailure: true, timeoutMs: 5_000 });
  if (code === 0) return "at once";
  return /not (allowed|in the sudoers)/.test(stderr) ? "none" : "asks";
}

/** Mounts one for a moment, in a namespace of its own. */
function overlayProblem(): string | undefined {
  const above = nearestFolder(dataDir());
  let folder: string;
  try {
    folder = fs.mkdtempSync(path.join(above, ".kvmesh-doctor-"));
  } catch {
    return undefined; // the place itself is judged elsewhere
  }
  try {
    const parts = ["lower", "upper", "work", "merged"];
    for (const part of parts) fs.mkdirSync(path.join(folder, part));
    const script = 'cd "$1" && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged';
    const tried = spawnSync("unshare", ["--mount", "sh", "-c", script, "sh", folder], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    });
    return tried.status === 0 ? undefined : (tried.stderr.trim().split("\n").at(-1) ?? "mount failed");
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function nearestFolder(place: string): string {
  return fs.existsSync(place) ? place : nearestFolder(path.dirname(place));
}

async function networkProblem(): Promise<string | undefined> {
  try {
    await chooseSubnet();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
