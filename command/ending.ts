/** What a person reads when a command fails, and its exit code. Pure but for the free space that a full disk is explained by. */
import { ConfigError } from "../config/problems";
import { exitCodes, type ExitCode } from "./exit-codes";
import { Interrupted, UsageError } from "./errors";
import { causesOf, isSystemError, systemMessage } from "./system-errors";

export interface Ending {
  readonly code: ExitCode;
  /** One cause, where it is, and what to do next; without the name of the program. */
  readonly message: string;
}

/** Errors that only a mistake in our code throws: a person can do nothing about them. */
const mistakes: readonly (new (...args: never[]) => Error)[] = [
  TypeError,
  RangeError,
  ReferenceError,
  SyntaxError,
  EvalError,
  URIError,
];

export function endingOf(error: unknown): Ending {
  if (error instanceof UsageError || error instanceof ConfigError) {
    return { code: exitCodes.usage, message: error.message };
  }
  if (error instanceof Interrupted) return { code: exitCodes.interrupted, message: error.message };
  const chain = causesOf(error);
  const [first] = chain;
  // A message of ours says more than the system error that it wraps; "fetch failed" says less.
  const ours = first !== undefined && !isSystemError(first) && !isMistake(first);
  if (ours && first.message !== "") return { code: exitCodes.failed, message: first.message };
  const system = chain.find(isSystemError);
  if (system) return { code: exitCodes.failed, message: systemMessage(system) };
  const what = first ? first.message || first.name : `something that is no error was thrown: ${JSON.stringify(error)}`;
  return { code: exitCodes.fault, message: `a fault of kvmesh itself: ${what}\n  ${REPORT}` };
}

const REPORT =
  "Nothing that you wrote is known to be wrong. Run it again with KVMESH_DEBUG=1 in front: it shows where this happened. " +
  "Report that, please.";

function isMistake(error: Error): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return (
    error.name === "AssertionError" || code.startsWith("MODULE_NOT") || mistakes.some((kind) => error instanceof kind)
  );
}

/** Everything that is known of an error, for KVMESH_DEBUG=1: its trace and those of what caused it. */
export function traceOf(error: unknown): string {
  // Not util.inspect: Node.js 20 does not come back from the traces of some errors of Pulumi's SDK.
  const traces = causesOf(error).map((cause) => cause.stack ?? cause.message);
  return traces.length === 0 ? String(error) : traces.join("\ncaused by: ");
}
