import type { Stack } from "./stack";

/** One violation, put into a stack that every rule accepts. */
export interface Seed {
  readonly what: string;
  /** Where others test for the same fault: repository and path. The manifest here is our own. */
  readonly origin?: string;
  readonly change: (stack: Stack) => unknown;
  /** The rules that must fail, and no others. */
  readonly fails?: readonly string[];
  /** The rules that must have no verdict, and no others; every other rule stays as it is without the seed. */
  readonly unseen?: readonly string[];
}
