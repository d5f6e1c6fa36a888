import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Change, type Kind } from "../core/kind";
import { lookAt } from "../controlplane/make";
import { lastingChanges } from "../node/config-diff";
import { isOurs } from "../node/mark";
import { whenUnreachable } from "../node/reach";
import { refuseUpgrade } from "../node/upgrade";
import { ensureMember, isRegistered } from "./join";
import { leave } from "./leave";
import { memberArgs, type MemberInputs, type MemberOutputs } from "./schema";

/** A node that joined a control plane of ours. */
export const memberKind: Kind<MemberInputs, MemberOutputs> = {
  token: "kvmesh:index:Member",
  args: memberArgs,
  outputs: {},
  // The new node has the old one's name.
  deleteBeforeReplace: true,

  check: checkWith(memberArgs),

  diff: (olds, news) =>
    changesOf<MemberInputs>(olds, news, {
      identity: "replace",
      name: "replace",
      role: "replace",
      caCertHash: "replace",
      apiEndpoint: "replace",
      kubernetesVersion: "live",
      config: "record",
      endpoint: "record",
      owner: "record",
      controlPlane: "record",
      ignorePreflightErrors: "record",
      timeoutSeconds: "record",
    }).map((change): Change =>
      // kubeadm reads it once; leaving and joining again is how a node gets another one.
      change.property === "config" && lastingChanges(olds.config, news.config).length > 0
        ? { property: "config", effect: "replace" }
        : change,
    ),

  async create(ctx, inputs) {
    await ensureMember(ctx, inputs);
    return { id: inputs.name, outputs: {} };
  },

  async read(ctx, id, known) {
    if (known === undefined)
      throw new UserError(`node ${id} can't be imported: only a node that kvmesh joined is managed by it`);
    const { name, owner } = known;
    return whenUnreachable(ctx, name, { inputs: known, outputs: {} }, async () => {
      const state = await lookAt(ctx, known);
      if (!isOurs(state.mark, owner, name) || !state.kubeletConf) return undefined;
      if (!(await isRegistered(ctx, known)))
        ctx.warn(`node ${name}: the cluster's API does not know it, or does not answer`);
      return { inputs: known, outputs: {} };
    });
  },

  async update(ctx, _id, olds, news) {
    refuseUpgrade(news.name, olds.kubernetesVersion, news.kubernetesVersion);
    await ensureMember(ctx, news);
    return {};
  },

  delete: (ctx, _id, state) => leave(ctx, state),
};
