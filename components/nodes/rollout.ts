import { createHash } from "node:crypto";
import { record } from "./placed";

/** What of a node's declaration it is drained for, by part: a short digest each. */
export type Revision = Readonly<Record<string, string>>;

/** What a change of a part does to the node. */
const EFFECTS: Readonly<Record<string, string>> = {
  image: "replaced: another image",
  machine: "replaced: another machine",
  size: "drained and restarted",
  kubelet: "leaves and joins again: another configuration of its kubelet",
};

/** Short digests of what each part is made of. */
export function revisionOf(parts: Readonly<Record<string, unknown>>): Revision {
  return Object.fromEntries(
    Object.entries(parts).map(([part, value]) => [
      part,
      createHash("sha256")
        .update(JSON.stringify(value ?? null))
        .digest("hex")
        .slice(0, 12),
    ]),
  );
}

/** What the state knows of the nodes: by their names. */
export interface RolledOut {
  /** Machines that are there. */
  readonly machines: ReadonlySet<string>;
  /** Revision whose turn was begun. */
  readonly begun: ReadonlyMap<string, Revision>;
  /** Revision that the node was last Ready with. */
  readonly ready: ReadonlyMap<string, Revision>;
}

/** `resources`: URN → { type, outputs } of every resource in the state. */
export function rolledOutFrom(resources: Readonly<Record<string, unknown>>): RolledOut {
  const machines = new Set<string>();
  const begun = new Map<string, Revision>();
  const ready = new Map<string, Revision>();
  for (const { type, outputs } of Object.values(resources).map(record)) {
    const { name, revision } = record(outputs);
    if (typeof name !== "string") continue;
    if (type === "kvmesh:index:Machine") machines.add(name);
    if (type === "kvmesh:index:NodeTurn") begun.set(name, record(revision) as Revision);
    if (type === "kvmesh:index:NodeReady") ready.set(name, record(revision) as Revision);
  }
  return { machines, begun, ready };
}

export interface RolloutPlan {
  /** Nodes that are new, or whose change an interrupted run began: at once, and before all others. */
  readonly first: readonly string[];
  /** Nodes that change, in the order of their turns, each with what happens to it. */
  readonly next: readonly { readonly name: string; readonly effect: string }[];
}

/** Who changes, and in which order. A node that nobody has begun waits until all are done that are out already. */
export function planRollout(
  nodes: readonly { readonly name: string; readonly revision: Revision }[],
  { machines, begun, ready }: RolledOut,
): RolloutPlan {
  const first: string[] = [];
  const next: { name: string; effect: string }[] = [];
  for (const { name, revision } of nodes) {
    const [before, now] = [ready.get(name), begun.get(name)];
    if (!machines.has(name) && now === undefined) first.push(name);
    else if (now !== undefined && !same(before, now)) first.push(name);
    else if (!same(before, revision)) next.push({ name, effect: effectOf(before, revision) });
  }
  return { first, next };
}

function same(a: Revision | undefined, b: Revision | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((part) => a[part] === b[part]);
}

function effectOf(before: Revision | undefined, now: Revision): string {
  if (before === undefined) return "not known to be as declared";
  const parts = Object.keys(EFFECTS).filter((part) => before[part] !== now[part]);
  // A machine that is made anew is of the right size, and joins with the right configuration.
  const replaced = parts.filter((part) => part === "image" || part === "machine");
  return (replaced.length > 0 ? replaced : parts).map((part) => EFFECTS[part]).join("; ");
}

/** Lets nodes change one after the other, at most `maxUnavailable` at once. */
export class Turns {
  private readonly first: Set<string>;
  private readonly waiting: string[];
  private readonly going = new Set<string>();
  private readonly granted = new Map<string, () => void>();
  private readonly turns: ReadonlyMap<string, Promise<void>>;
  private finish: () => void = () => {};
  private open = false;
  /** Resolves when every node is Ready, as declared. */
  readonly finished = new Promise<void>((resolve) => (this.finish = resolve));

  /** @param after what must be done before the first turn. */
  constructor(
    plan: RolloutPlan,
    private readonly maxUnavailable: number,
    after: Promise<unknown> = Promise.resolve(),
  ) {
    this.first = new Set(plan.first);
    this.waiting = plan.next.map(({ name }) => name);
    this.turns = new Map(
      this.waiting.map((name) => [name, new Promise<void>((resolve) => this.granted.set(name, resolve))]),
    );
    void after.then(() => {
      this.open = true;
      this.grant();
    });
  }

  /** Resolves when the node may be touched. */
  turnOf(name: string): Promise<void> {
    return this.turns.get(name) ?? Promise.resolve();
  }

  /** The node is Ready, as declared. */
  done(name: string): void {
    this.first.delete(name);
    this.going.delete(name);
    this.grant();
  }

  private grant(): void {
    if (this.first.size > 0 || !this.open) return;
    if (this.going.size + this.waiting.length === 0) this.finish();
    while (this.going.size < this.maxUnavailable) {
      const name = this.waiting.shift();
      if (name === undefined) return;
      this.going.add(name);
      this.granted.get(name)?.();
    }
  }
}

/** The plan for a person: what happens to whom, in which order. Empty: nothing. */
export function describeRollout(what: string, { first, next }: RolloutPlan, maxUnavailable: number): string {
  if (next.length === 0) return "";
  const lines = next.map(({ name, effect }, i) => `  ${i + 1}. ${name}: ${effect}`);
  const before = first.length > 0 ? `, after ${first.join(", ")}, which an earlier run began or which is new` : "";
  return `${what}: ${next.length} ${next.length === 1 ? "node changes" : "nodes change"}, at most ${maxUnavailable} at a time${before}:\n${lines.join("\n")}`;
}
