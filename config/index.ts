/** The stack file: unknown → StackSpec. */
export { parseStack, rawConfig, type ParseContext } from "./parse";
export { refuseUnfitProduction } from "./production";
export { ConfigError, formatProblem, type Problem } from "./problems";
export { parseFacts, staleness, type HostFacts } from "./facts";
export type * from "./spec";
