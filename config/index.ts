/** The stack file: unknown → StackSpec. */
export { parseStack, rawConfig, type ParseContext } from "./parse";
export { ConfigError, formatProblem, type Problem } from "./problems";
export { parseFacts, staleness, type HostFacts } from "./facts";
export type * from "./spec";
