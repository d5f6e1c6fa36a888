/** Getting the tools that kvmesh runs and bakes into machines; docs/toolchain.md tells how. */
export { cacheDir, checkoutRoot } from "./cache";
export { ensureTools, findTools, type Found, type Source } from "./ensure";
export { elapsed, withProgress, type Report } from "./progress";
export { pulumiEnv, pulumiTools, type PulumiEnvOptions } from "./pulumi-env";
export { toolNames, type ToolName } from "./recipes";
export { versions, versionsWith, type Versions } from "./versions";
