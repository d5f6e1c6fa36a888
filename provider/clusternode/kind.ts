import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Change, type Context, type Kind } from "../core/kind";
import { clusterGoesOn } from "../membership/run";
import { findWayIn, NoWayIn } from "../membership/ways-in";
import { lastingChanges } from "../node/config-diff";
import { isOurs } from "../node/mark";
import { whenUnreachable } from "../node/reach";
import { lookAt } from "../node/state";
import { placeStaticPods } from "../node/static-pods";
import { refuseUpgrade } from "../node/upgrade";
import { isRegistered } from "./registered";
import { ensureNode } from "./join";
import { leave } from "./leave";
import { clusterNodeArgs, type ClusterNodeInputs, type ClusterNodeOutputs } from "./schema";

/** A node of a cluster, whatever its role and whether the cluster was founded on it or it joined. */
export const clusterNodeKind: Kind<ClusterNodeInputs, ClusterNodeOutputs> = {
  token: "kvmesh:index:ClusterNode",
  args: clusterNodeArgs,
  outputs: {},
  // The new node has the old one's name.
  deleteBeforeReplace: true,

  check: checkWith(clusterNodeArgs),

  diff: (olds, news) =>
    changesOf<ClusterNodeInputs>(olds, news, {
      identity: "replace",
      name: "replace",
      role: "replace",
      clusterId: "replace",
      caCertHash: "replace",
      apiEndpoint: "replace",
      kubernetesVersion: "live",
      config: "record",
      endpoint: "record",
      owner: "record",
      controlPlanes: "record",
      staticPods: { effect: "live", reason: "the kubelet runs the new one; a virtual IP moves meanwhile" },
      virtualIp: "record",
      ignorePreflightErrors: "record",
      timeoutSeconds: "record",
    }).map((change): Change =>
      // kubeadm reads it once; leaving and joining again is how a node gets another one.
      change.property === "config" && lastingChanges(olds.config, news.config).length > 0
        ? { property: "config", effect: "replace" }
        : change,
    ),

  async create(ctx, inputs) {
    clusterGoesOn(inputs.owner);
    await ensureNode(ctx, inputs);
    await keepStaticPods(ctx, inputs);
    return { id: inputs.name, outputs: {} };
  },

  async read(ctx, id, known) {
    if (known === undefined)
      throw new UserError(`node ${id} can't be imported: only a node that kvmesh joined is managed by it`);
    const { name, owner, clusterId } = known;
    return whenUnreachable(ctx, name, { inputs: known, outputs: {} }, async () => {
      const state = await lookAt(ctx, known.endpoint);
      if (!isOurs(state.mark, owner, name, clusterId) || !state.kubeletConf) return undefined;
      const via = await findWayIn(ctx, known, known.controlPlanes);
      if (via instanceof NoWayIn)
        ctx.warn(`node ${name}: no control plane of its cluster is healthy: ${via.faults.join("; ")}`);
      else if (!(await isRegistered(ctx, via, name))) ctx.warn(`node ${name}: the cluster's API does not know it`);
      return { inputs: known, outputs: {} };
    });
  },

  async update(ctx, _id, olds, news) {
    refuseUpgrade(news.name, olds.kubernetesVersion, news.kubernetesVersion);
    clusterGoesOn(news.owner);
    await ensureNode(ctx, news);
    await keepStaticPods(ctx, news);
    return {};
  },

  delete: (ctx, _id, state) => leave(ctx, state),
};

/** After the join: kubeadm's preflight wants a joining node's folder of manifests empty. */
async function keepStaticPods(ctx: Context, inputs: ClusterNodeInputs): Promise<void> {
  if (inputs.role === "control-plane") await placeStaticPods(ctx, inputs, inputs.staticPods ?? []);
}
