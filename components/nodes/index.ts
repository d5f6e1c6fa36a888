/** Nodes: machines carved from hosts by the core ledger, and machines that exist. */
export { remembered } from "./memory";
export type { EvidenceSummary } from "./evidence";
export { NodeLayer, type NodeLayerArgs, type NodeSummary } from "./node-layer";
export { PlacementError, place, type MachineRequest, type Placed, type Placement } from "./placement";
