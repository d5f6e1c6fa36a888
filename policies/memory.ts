/**
 * Inputs of the Kubernetes objects of a run, by URN, in the order in which the engine showed them.
 *
 * A stack policy gets outputs, and of an object whose cluster isn't known yet a preview has none at all: every object
 * would look empty, and every rule would hold. What was declared is what is judged. It also lets a rule on two objects
 * speak when the second one is shown, before it is made: in `up`, stack policies come too late.
 */
export class Memory {
  private readonly seen = new Map<string, Seen>();

  see(urn: string, type: string, name: string, props: unknown): void {
    if (type.startsWith("kubernetes:")) this.seen.set(urn, { urn, type, name, props });
  }

  /** What is known of a resource of the stack: its declared inputs, or else what the engine gives. */
  propsOf(urn: string, outputs: unknown): unknown {
    return this.seen.get(urn)?.props ?? outputs;
  }

  /** All that was seen so far. */
  all(): readonly Seen[] {
    return [...this.seen.values()];
  }
}

export interface Seen {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  readonly props: unknown;
}
