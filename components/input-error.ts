import * as pulumi from "@pulumi/pulumi";
import type { Findings } from "../config/draft";
import { formatProblem, type Problem } from "../config/problems";

/**
 * What a component can't be made of: all of it at once, each fault with the path of its argument, what was found there
 * and what to do. Thrown before the component has declared anything; Pulumi prints it without a stack trace.
 */
export class InputError extends pulumi.RunError {
  constructor(
    /** The component and its name: "canary shop/web". */
    readonly subject: string,
    readonly faults: readonly Problem[],
  ) {
    super(`${subject} can't be made:\n${faults.map((fault) => `  - ${formatProblem(fault)}`).join("\n")}`);
  }
}

/**
 * Arguments of a component, with the schema, defaults and checks of the stack file's section of the same kind.
 *
 * @param subject - the component and its name, for the error
 * @param resolve - returns undefined when it has found a problem
 * @throws InputError with everything that is wrong
 */
export function resolved<T>(subject: string, resolve: (findings: Findings) => T | undefined): T {
  const findings: Findings = { problems: [], warnings: [] };
  const value = resolve(findings);
  if (findings.problems.length > 0 || value === undefined) throw new InputError(subject, findings.problems);
  return value;
}
