import * as fs from "node:fs";
import * as path from "node:path";
import { imageTools } from "../images";
import { cacheDir } from "../site/cache";
import { hostRecipe, nodeRecipe, rootPath } from "../site/roots";
import type { SiteKind } from "../site/types";
import times from "../toolchain/build-times.json";
import { fromCache, fromPath, platform } from "../toolchain/ensure";
import type { Recipe } from "../toolchain/recipe";
import { recipe, type ToolName } from "../toolchain/recipes";
import type { Origin } from "./network";

/** Where a tool of the run comes from. "missing": nobody has it yet. */
export interface PlannedTool {
  readonly name: ToolName;
  readonly version: string;
  readonly from: "PATH" | "cache" | "missing";
  /** Of one that is there. */
  readonly path?: string;
  /** Ways to get a missing one, best first. */
  readonly ways: readonly Origin[];
  /** Address of its official download. */
  readonly release?: string;
}

export interface Plan {
  readonly tools: readonly PlannedTool[];
  /** Debian roots that have to be made. */
  readonly roots: readonly string[];
}

const forPulumi: readonly ToolName[] = [
  "node",
  "pulumi",
  "pulumi-language-nodejs",
  "pulumi-resource-kubernetes",
  "kubectl",
];

/** What the quickstart uses on a site of this kind ("none": for its offline preview), and what of it is here. */
export async function planFor(kind: SiteKind | "none"): Promise<Plan> {
  const inMachines: readonly ToolName[] = ["kubeadm", "kubelet", ...imageTools];
  const names = [...new Set([...forPulumi, ...(kind === "emulated" ? inMachines : [])])];
  const found = await Promise.all(names.map(planned));
  // An official CLI brings its language host along.
  const ownCli = found.find(({ name }) => name === "pulumi")?.from === "PATH";
  const tools = ownCli ? found.filter(({ name }) => name !== "pulumi-language-nodejs") : found;
  const roots = kind === "emulated" ? [hostRecipe, nodeRecipe].filter((root) => !fs.existsSync(rootPath(root))) : [];
  return { tools, roots: roots.map(({ name }) => name) };
}

async function planned(name: ToolName): Promise<PlannedTool> {
  const wanted = recipe(name);
  const label = { name, version: wanted.version, ways: [] };
  const onPath = await fromPath(name);
  if (onPath) return { ...label, from: "PATH", path: onPath.path };
  const cached = await fromCache(name);
  if (cached) return { ...label, from: "cache", path: cached.path };
  const release = wanted.release?.(platform())?.url;
  return { ...label, from: "missing", ways: waysOf(wanted), ...(release === undefined ? {} : { release }) };
}

function waysOf(wanted: Recipe): readonly Origin[] {
  return [
    ...(wanted.release?.(platform()) ? (["releases"] as const) : []),
    ...(wanted.wheel ? (["python"] as const) : []),
    ...(wanted.npm?.(platform()) ? (["npm"] as const) : []),
    ...(wanted.go ? (["go"] as const) : []),
  ];
}

/** Seconds that a tool takes: a build on `cores` cores, or a download. */
export function secondsFor(name: ToolName, way: Origin, cores: number): number {
  const built: Readonly<Partial<Record<string, number>>> = times.tools;
  return way === "go" ? scaled(built[name] ?? 60, cores) : times.download;
}

/** Builds use every core, and gain little beyond eight. */
export function scaled(seconds: number, cores: number): number {
  return (seconds * times.cores) / Math.min(Math.max(cores, 1), 8);
}

/** Seconds of everything but the tools: roots and images that have to be made, then the start, then `pulumi up`. */
export function otherSeconds(plan: Plan, kind: SiteKind | "none", cores: number): number {
  if (kind === "none") return times.start;
  const made = plan.roots.length * times.debianRoot + (hasImages() || kind === "kvm" ? 0 : times.images);
  return made + scaled(times.start + times.up, Math.min(cores, 4));
}

/** Whether some node root with Kubernetes in it is in the cache. */
function hasImages(): boolean {
  const folder = path.join(cacheDir(), "roots");
  return fs.existsSync(folder) && fs.readdirSync(folder).some((name) => /^node-[0-9a-f]{16}$/.test(name));
}
