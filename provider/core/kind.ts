import type { z } from "zod";
import type { Endpoint, Transport } from "../transport/transport";

/** Pulumi's sentinel for a value that is not known before `up`; check and diff may meet it, the other handlers never. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Input that failed validation. The adapter reports all of a resource's failures at once. */
export interface CheckFailure {
  /** Path of the property: "vcpuPins[1]". */
  readonly property: string;
  /** What was found and what to do. */
  readonly reason: string;
}

/** How one changed input takes effect, shown in the plan. */
export interface Change {
  /** Path of the property. */
  readonly property: string;
  /** `live`: on the running machine. `reboot`: at its next start. `replace`: a new one. `record`: only in state. */
  readonly effect: "live" | "reboot" | "replace" | "record";
  /** Why it takes effect so, or at all; for a person who reads the plan. */
  readonly reason?: string;
}

/** What an import needs to know beside its ID; the names and forms are the stack file's. */
export interface ImportSettings {
  /** By the names that IDs begin with. */
  readonly hosts: ReadonlyMap<string, Endpoint>;
  /** Of what carries no mark yet; default: the stack's name. */
  readonly cluster?: string;
  /** Default development. */
  readonly environment?: "production" | "staging" | "development";
}

/** A person's word, for one node, that something about it need not be verified (docs/cluster.md). It works once. */
export interface BreakGlassWord {
  readonly node: string;
  readonly word: string;
}

/** What handlers may use beside their inputs. */
export interface Context {
  readonly transport: Transport;
  readonly urn: string;
  /** What an import needs beside its ID. */
  readonly importing: ImportSettings;
  readonly breakGlass?: BreakGlassWord;
  /** Nothing was declared in this run so far: it is a destroy, of the whole stack or of targets. */
  readonly onlyDeletes: boolean;
  /** One line to the person who runs Pulumi: what is being waited for, attempt and limit, time so far. */
  progress(message: string): void;
  warn(message: string): void;
  /** Aborted on Ctrl-C: long waits end with an error that says that the next run goes on where this one was. */
  readonly signal: AbortSignal;
  /** When the engine ends this call, in milliseconds since 1970 (customTimeouts); undefined: no limit. */
  readonly deadline?: number;
}

/** What a read found. */
export interface Seen<I extends object, O extends object> {
  readonly inputs: I;
  readonly outputs: O;
  /** Of an import: the resource's own ID, in place of the one that a person gave. */
  readonly id?: string;
  /** Of an import: inputs that are secret. */
  readonly secretInputs?: readonly (keyof I & string)[];
}

/** What an update may do to an output. */
type Lasting = "stable" | "volatile" | "optional";

/**
 * One kind of resource. I: inputs, O: outputs (what is in state beside the inputs).
 * check and diff are pure: no connection, no clock, no file outside the checkout.
 */
export interface Kind<I extends object, O extends object> {
  /** "kvmesh:index:Domain". */
  readonly token: string;
  /** Names of outputs that are always secret. */
  readonly secretOutputs?: readonly (keyof O & string)[];
  /**
   * Every output, and whether an update can change it. A preview shows all of a new resource's outputs as unknown, and the
   * `volatile` ones of an update; without this table it guesses that an update changes none. A state without a `stable`
   * one is of a create that never finished; `optional` ones are as stable, but not every resource of the kind has them.
   */
  readonly outputs?: Readonly<Record<keyof O & string, Lasting>>;
  /** The inputs' schema, for the package schema; check validates with it. */
  readonly args?: z.ZodType;
  /** Validates and fills in defaults. Values may be UNKNOWN where the typed resource takes an Input. */
  check(inputs: Record<string, unknown>): { readonly inputs: I; readonly failures: readonly CheckFailure[] };
  /** Changed properties and what each does; empty: no change. */
  diff(olds: I & O, news: I): readonly Change[];
  /**
   * Why this update can't be, in words: the preview fails with it, and nothing is touched. Not for `diff` to throw: a refresh asks for the
   * diff, too, and must be able to show what somebody changed.
   */
  refuses?(olds: I & O, news: I): string | undefined;
  /** When true, replacement deletes the old one first (it holds a name or cores that the new one needs). */
  readonly deleteBeforeReplace?: boolean;
  create(ctx: Context, inputs: I): Promise<{ readonly id: string; readonly outputs: O }>;
  /**
   * What is really there. undefined: gone. `inputs` holds the declared inputs with every drifted field set to what was
   * seen, so that refresh names each one. On import `known` is undefined, and the ID is the one that a person gave.
   */
  read(ctx: Context, id: string, known: (I & O) | undefined): Promise<Seen<I, O> | undefined>;
  update(ctx: Context, id: string, olds: I & O, news: I): Promise<O>;
  delete(ctx: Context, id: string, state: I & O): Promise<void>;
}

/** A kind whose inputs and outputs are its own business: what the dispatcher handles. */
export type AnyKind = Omit<Kind<Record<string, unknown>, Record<string, unknown>>, "outputs"> & {
  readonly outputs?: Readonly<Record<string, Lasting>>;
};

/** Forgets a kind's types at the registry; its own check makes sure that handlers get what they ask for. */
export function anyKind<I extends object, O extends object>(kind: Kind<I, O>): AnyKind {
  return kind as unknown as AnyKind;
}

/** A failure for a person: where (host, machine, path), what was found, what to do. Printed without a stack trace. */
export class UserError extends Error {}

/** Thrown by the transport when a machine does not answer within its limits. A wrong host key is a plain UserError: it is never waited out. */
export class UnreachableError extends UserError {}

/** A create or update that failed after something of ours was made: recorded in state, so that the next run goes on from it. */
export class PartialError extends UserError {
  constructor(
    message: string,
    readonly id: string,
    readonly outputs: Record<string, unknown>,
  ) {
    super(message);
  }
}
