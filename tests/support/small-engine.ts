import { PartialError, UserError, type AnyKind, type Context } from "../../provider/core/kind";
import type { Transport } from "../../provider/transport/transport";
import { testContext } from "./context";

export interface Declared {
  /** Token of its kind. */
  readonly type: string;
  readonly name: string;
  /** `of` gives another resource's outputs; it must be among `after`. */
  readonly inputs: (of: (name: string) => Readonly<Record<string, unknown>>) => Record<string, unknown>;
  /** Names of resources that come first, and are deleted later. */
  readonly after: readonly string[];
  /** Names of resources that come first, without being depended on. */
  readonly awaits?: readonly string[];
}

interface Resource {
  readonly name: string;
  readonly type: string;
  readonly id: string;
  readonly state: Record<string, unknown>;
  readonly after: readonly string[];
  /** A create or update failed half way: the next run goes on. */
  readonly incomplete: boolean;
}

export type Operation = "create" | "update" | "replace" | "delete" | "same";

export interface Outcome {
  readonly operations: ReadonlyMap<string, Operation>;
  /** By resource. */
  readonly errors: ReadonlyMap<string, Error>;
  readonly said: readonly string[];
}

/**
 * What Pulumi's engine does with resources of ours, in this process and in milliseconds: order by dependencies, what is independent side
 * by side, deletes last and in reverse, none after an error, half-made resources kept. For thousands of runs; the real engine's tests
 * are in tests/engine and tests/lab.
 */
export class SmallEngine {
  /** By type and name, as the engine's URNs are. */
  private readonly resources = new Map<string, Resource>();
  private killed = false;

  /** `load`: the kinds of a new process, for each run: what a plugin keeps in memory dies with it. */
  constructor(
    private readonly transport: Transport,
    private readonly load: () => readonly AnyKind[],
  ) {}

  /** The run ends as by SIGKILL: no handler comes to its end, and nothing that it did since is in state. */
  kill(): void {
    this.killed = true;
  }

  async up(declared: readonly Declared[]): Promise<Outcome> {
    this.killed = false;
    const run = this.run(false);
    const wanted = new Map(declared.map((one) => [one.name, one]));
    await run.inOrder(
      declared.map(({ name, after, awaits = [] }) => ({
        ...{ name, after: [...after, ...awaits].filter((other) => wanted.has(other)) },
      })),
      (name) => run.step(wanted.get(name)!),
    );
    const kept = new Set(declared.map(keyOf));
    const gone = [...this.resources.keys()].filter((key) => !kept.has(key));
    if (run.errors.size === 0) await this.deleteAll(run, gone);
    return run;
  }

  /** `names`: as with --target; default everything. */
  async destroy(names?: readonly string[]): Promise<Outcome> {
    this.killed = false;
    const run = this.run(true);
    const keys = [...this.resources].filter(([, { name }]) => names?.includes(name) ?? true).map(([key]) => key);
    await this.deleteAll(run, keys);
    return run;
  }

  private run(onlyDeletes: boolean): Run {
    const kinds = new Map(this.load().map((kind) => [kind.token, kind]));
    return new Run(this.transport, kinds, this.resources, onlyDeletes, () => this.killed);
  }

  private deleteAll(run: Run, keys: readonly string[]): Promise<void> {
    const users = (key: string): string[] =>
      keys.filter((other) => other !== key && this.resources.get(other)!.after.includes(this.resources.get(key)!.name));
    return run.inOrder(
      keys.map((key) => ({ name: key, after: users(key) })),
      (key) => run.remove(key, "delete"),
    );
  }
}

function keyOf({ type, name }: Pick<Declared, "type" | "name">): string {
  return `${type}::${name}`;
}

class Run implements Outcome {
  readonly operations = new Map<string, Operation>();
  readonly errors = new Map<string, Error>();
  readonly said: string[] = [];

  constructor(
    private readonly transport: Transport,
    private readonly kinds: ReadonlyMap<string, AnyKind>,
    private readonly resources: Map<string, Resource>,
    private readonly onlyDeletes: boolean,
    private readonly isKilled: () => boolean,
  ) {}

  /** Each after all that it depends on, what is independent at once; nothing new begins after an error. */
  async inOrder(
    list: readonly { readonly name: string; readonly after: readonly string[] }[],
    step: (name: string) => Promise<void>,
  ): Promise<void> {
    const started = new Map<string, Promise<void>>();
    const start = (name: string): Promise<void> => {
      const known = started.get(name);
      if (known) return known;
      const { after } = list.find((one) => one.name === name)!;
      const promise = Promise.all(after.map(start)).then(async () => {
        if (this.errors.size > 0 || this.isKilled()) return;
        try {
          await step(name);
        } catch (error) {
          this.errors.set(name, error as Error);
        }
      });
      started.set(name, promise);
      return promise;
    };
    await Promise.all(list.map(({ name }) => start(name)));
  }

  async step(declared: Declared): Promise<void> {
    const { type, name, after } = declared;
    const kind = this.kinds.get(type)!;
    const old = this.resources.get(keyOf(declared));
    // The newest of a name: the one that this run has made or kept.
    const stateOf = (other: string) => [...this.resources.values()].filter((one) => one.name === other).at(-1)!.state;
    const { inputs, failures } = kind.check(declared.inputs(stateOf));
    if (failures.length > 0)
      throw new Error(`${name}: ${failures.map((one) => `${one.property} ${one.reason}`).join("; ")}`);
    if (old === undefined) {
      this.operations.set(name, "create");
      return this.make(declared, inputs);
    }
    const changes = kind.diff(old.state, inputs);
    const refused = changes.length > 0 ? kind.refuses?.(old.state, inputs) : undefined;
    if (refused !== undefined) throw new UserError(refused);
    if (changes.some((change) => change.effect === "replace")) {
      await this.remove(keyOf(declared), "replace");
      return this.make(declared, inputs);
    }
    if (changes.length === 0 && !old.incomplete) {
      this.operations.set(name, "same");
      return;
    }
    this.operations.set(name, "update");
    // As provider/core/plugin.ts: a state that is whole takes what is only recorded without a handler.
    if (!old.incomplete && changes.every((change) => change.effect === "record")) {
      this.resources.set(keyOf(declared), { ...old, state: { ...old.state, ...inputs }, after });
      return;
    }
    await this.keep(declared, inputs, old.id, async (context) => ({
      id: old.id,
      outputs: await kind.update(context, old.id, old.state, inputs),
    }));
  }

  async remove(key: string, operation: Operation): Promise<void> {
    const { type, name, id, state } = this.resources.get(key)!;
    this.operations.set(operation === "delete" ? `old ${name}` : name, operation);
    await this.kinds.get(type)!.delete(this.context(name), id, state);
    if (!this.isKilled()) this.resources.delete(key);
  }

  private make(declared: Declared, inputs: Record<string, unknown>): Promise<void> {
    const kind = this.kinds.get(declared.type)!;
    return this.keep(declared, inputs, declared.name, (context) => kind.create(context, inputs));
  }

  private async keep(
    { name, type, after }: Declared,
    inputs: Record<string, unknown>,
    knownId: string,
    call: (context: Context) => Promise<{ readonly id: string; readonly outputs: object }>,
  ): Promise<void> {
    const record = (id: string, outputs: object, incomplete: boolean): void => {
      const state = { ...inputs, ...outputs };
      if (!this.isKilled()) this.resources.set(keyOf({ type, name }), { name, type, id, state, after, incomplete });
    };
    try {
      const { id, outputs } = await call(this.context(name));
      record(id, outputs, false);
    } catch (error) {
      if (error instanceof PartialError) record(error.id || knownId, error.outputs, true);
      throw error;
    }
  }

  private context(name: string): Context {
    const context = testContext(this.transport, name);
    const say = (message: string): void => void this.said.push(`${name}: ${message}`);
    return { ...context, onlyDeletes: this.onlyDeletes, deadline: Date.now() + 120_000, progress: say, warn: say };
  }
}
