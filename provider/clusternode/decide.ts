import { isMade, type NodeState } from "../node/state";
import { isOurs } from "../node/mark";
import type { ClusterNodeInputs } from "./schema";

/** What the cluster says of a node. */
export interface KnownAs {
  /** It has a node of this name. */
  readonly registered: boolean;
  /** Of a control plane: etcd has it as a voting member; of a worker: undefined. */
  readonly voter?: boolean;
}

/**
 * What makes a node of a machine in this state:
 * `refuse`: it belongs to something else. `join`: nothing is there. `adopt`: joined by us before. `finish`: kubeadm had finished when the run
 * that started it ended. `undo-and-join`: a join was cut off half-way. `repair`: it was a control plane, and etcd or the API no longer knows
 * it: a person decides.
 */
export type JoinAction = "refuse" | "join" | "adopt" | "finish" | "undo-and-join" | "repair";

export function decideJoin(
  state: NodeState,
  inputs: Pick<ClusterNodeInputs, "owner" | "name" | "role" | "clusterId">,
  known: KnownAs,
): JoinAction {
  if (state.mark === undefined && !isMade(state)) return "join";
  if (!isOurs(state.mark, inputs.owner, inputs.name, inputs.clusterId) || state.mark.role !== inputs.role)
    return "refuse";
  const plane = inputs.role === "control-plane";
  const member = known.registered && (!plane || known.voter === true);
  const whole = state.kubeletConf && member && (!plane || (state.adminConf && state.manifests));
  if (state.mark.phase === "started") return whole ? "finish" : isMade(state) ? "undo-and-join" : "join";
  if (whole) return "adopt";
  // A worker holds nothing that the cluster has not; a control plane that has been one may hold the last copy of something.
  return plane ? "repair" : "undo-and-join";
}
