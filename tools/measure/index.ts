/** Measures of a running mesh: is traffic split as declared, is plaintext refused. */
export { measureCanary, type CanaryMeasurement, type CanaryResult } from "./canary";
export { gatewayUrl } from "./gateway";
export { openCluster, type Cluster } from "./kubectl";
export { canaryTable, strictTable } from "./tables";
export { judgeSplit, type ExpectedShare, type SplitVerdict, type VersionShare } from "./split";
export { proveStrict, type ProbeOutcome, type StrictProof, type StrictResult } from "./strict";
