import { UserError, type Context } from "../core/kind";
import type { Owner } from "../core/check";

import { isOurs } from "../node/mark";
import { lookIfReachable, type NodeState } from "../node/state";
import type { Endpoint } from "../transport/transport";

/** A control plane by its node's name. */
export interface Candidate {
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** A control plane through which the cluster can be asked and changed: its own API server answers. */
export interface WayIn extends Candidate {
  readonly state: NodeState;
}

export interface ClusterIdentity {
  readonly owner: Owner;
  readonly clusterId: string;
}

/** By cluster: who answered last in this run. A dead one is then not waited for again and again. */
const answered = new Map<string, string>();

/** The first healthy control plane; which of them is of no matter. `except`: never this one, since it is the one that changes. */
export async function findWayIn(
  ctx: Context,
  { owner, clusterId }: ClusterIdentity,
  candidates: readonly Candidate[],
  except?: string,
): Promise<WayIn | NoWayIn> {
  const last = answered.get(clusterId);
  const order = candidates
    .filter(({ name }) => name !== except)
    .sort((a, b) => Number(b.name === last) - Number(a.name === last));
  const faults: string[] = [];
  for (const { name, endpoint } of order) {
    const state = await lookIfReachable(ctx, endpoint);
    const fault = faultOf(state, owner, name, clusterId);
    if (fault === undefined && state !== undefined) {
      answered.set(clusterId, name);
      return { name, endpoint, state };
    }
    faults.push(`${name} (${endpoint.address}): ${fault}`);
  }
  return new NoWayIn(faults);
}

function faultOf(state: NodeState | undefined, owner: Owner, name: string, clusterId: string): string | undefined {
  if (state === undefined) return "does not answer";
  if (!isOurs(state.mark, owner, name, clusterId)) return "is no control plane of this cluster (yet, or any more)";
  if (state.mark.role !== "control-plane") return "is a worker";
  if (state.mark.phase === "started") return `its ${state.mark.making} has not been finished`;
  return state.apiHealthy ? undefined : "its API server is not ready";
}

/** Why there is no healthy control plane. */
export class NoWayIn {
  constructor(readonly faults: readonly string[]) {}

  /** `undone`: what was therefore not done. */
  refusal(node: string, undone: string): UserError {
    const seen = this.faults.length === 0 ? "no other one is declared" : this.faults.join("; ");
    return new UserError(
      `node ${node}: ${undone}, because no other control plane of its cluster is healthy: ${seen}. ` +
        "Without one nobody can say whether etcd keeps its majority. Repair one of them and run again; a cluster that is beyond repair is taken " +
        "down as a whole by `pulumi destroy`, or restored from a snapshot (docs/cluster.md)",
    );
  }
}
