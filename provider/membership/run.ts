import type { Owner } from "../core/check";

/**
 * What this run knows of each cluster, in memory alone: it dies with the run, so that nothing of an interrupted destroy is believed by the
 * next one.
 */
interface Run {
  /** The whole cluster is being destroyed. */
  ending: boolean;
  /** Nodes whose delete has begun in this run, whatever became of it. */
  readonly leaving: Set<string>;
}

const runs = new Map<string, Run>();

function runOf({ project, stack, cluster }: Owner): Run {
  const key = `${project}/${stack}/${cluster}`;
  let run = runs.get(key);
  if (run === undefined) runs.set(key, (run = { ending: false, leaving: new Set() }));
  return run;
}

export function clusterEnds(owner: Owner): void {
  runOf(owner).ending = true;
}

/** Something of the cluster is being made or changed in this run: whatever was taken for its end was not. */
export function clusterGoesOn(owner: Owner): void {
  runOf(owner).ending = false;
}

export function isEnding(owner: Owner): boolean {
  return runOf(owner).ending;
}

export function nodeLeaves(owner: Owner, node: string): void {
  runOf(owner).leaving.add(node);
}

/** Whether every one of these nodes leaves in this run. */
export function allLeave(owner: Owner, nodes: readonly string[]): boolean {
  const { leaving } = runOf(owner);
  return nodes.length > 0 && nodes.every((node) => leaving.has(node));
}
