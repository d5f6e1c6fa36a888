/** Measures of a running stack: is traffic split as declared, is plaintext refused, what is mounted in its machines. */
export { measureCanary, type CanaryMeasurement, type CanaryResult } from "./canary";
export { gatewayUrl } from "./gateway";
export { openCluster, type Cluster } from "./kubectl";
export { canaryTable, strictTable, table } from "./tables";
export { measureMount, mountLine, type MountedDisk } from "./mount";
export { judgeSplit, type ExpectedShare, type SplitVerdict, type VersionShare } from "./split";
export { proveStrict, type ProbeOutcome, type StrictProof, type StrictResult } from "./strict";
