import type { Inputs } from "./errors";

/** A handler's error with the inputs of its call: what is needed to record a half-made resource. */
export class Failed extends Error {
  constructor(
    readonly error: unknown,
    readonly inputs: Inputs,
  ) {
    super("a handler failed", { cause: error });
  }
}
