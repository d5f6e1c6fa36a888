import type { Environment, Level, Severity } from "../policies/catalogue";

/**
 * `pass`: judged everywhere it applies, and held. `not-evaluated`: no verdict, for the reasons given; never to be taken
 * for a pass. `not-applicable`: the run had nothing that the rule is about. `waived`: failed, and accepted until a day.
 */
export type Status = "fail" | "not-evaluated" | "pass" | "not-applicable" | "waived";

/** The order of summaries. */
export const STATUSES: readonly Status[] = ["fail", "not-evaluated", "waived", "pass", "not-applicable"];

export interface Violation {
  /** Empty when it is about the stack as a whole. */
  readonly urn: string;
  readonly level: Level;
  readonly subject?: string;
  readonly found: string;
  readonly required?: string;
  readonly remedy: string;
}

export interface Gap {
  readonly urn: string;
  readonly reason: string;
}

export interface RuleResult {
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  /** What a violation does in this stack's environment. */
  readonly level: Level;
  readonly controls: readonly string[];
  readonly remedy: string;
  readonly status: Status;
  /** There is no policy for it yet. */
  readonly planned: boolean;
  /** Resources (or 1 for the stack) that the rule passed on. */
  readonly passed: number;
  readonly violations: readonly Violation[];
  readonly gaps: readonly Gap[];
}

export interface DomainResult {
  readonly name: string;
  readonly rules: readonly RuleResult[];
}

/**
 * How the run ended. `running`: it has not, or its end could not be written. `broken`: it was interrupted or killed, or
 * what it said is not whole.
 */
export type RunEnd =
  { readonly state: "ended" } | { readonly state: "running" } | { readonly state: "broken"; readonly reason: string };

export interface Header {
  /** What was judged: a plan, what `up` made, or the state of a deployed stack. */
  readonly judged: "preview" | "deployed" | "state";
  readonly stack: string;
  readonly environment: Environment;
  /** Git commit; ends with "-dirty" when files differ from it. */
  readonly commit: string;
  readonly packName: string;
  readonly packVersion: string;
  /** "sha256:…" of the compiled pack. */
  readonly packDigest: string;
  /** "sha256:…" of the stack file. */
  readonly configDigest: string;
  readonly cliVersion: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Command without values of its options. */
  readonly command: string;
  /** Pulumi's own. */
  readonly exitCode: number;
  readonly end: RunEnd;
}

export interface Report {
  readonly header: Header;
  /** False: the run ended before all policies had been run. */
  readonly complete: boolean;
  readonly counts: Readonly<Record<Status, number>>;
  /** Violations that block. */
  readonly blocking: number;
  readonly domains: readonly DomainResult[];
  readonly disclaimer: string;
}

/** Why a planned rule has no verdict. */
export const PLANNED = "there is no policy for this rule yet";

/** Why a rule that found nothing in a deployed state has no verdict. */
export const UNTOLD = "not violated; `pulumi policy analyze` does not say whether it held or had nothing to judge";

export const DISCLAIMER =
  "A pass is evidence that a rule held for the inputs and the time named here. It is not legal compliance, nor a " +
  "statement about anything that was not evaluated.";

/** The last part of a URN, which is the resource's logical name, and its type. */
export function urnParts(urn: string): { readonly type: string; readonly name: string } {
  const [, , type = "", ...name] = urn.replace(/^urn:pulumi:/, "").split("::");
  return { type: type.split("$").at(-1) ?? type, name: name.join("::") };
}
