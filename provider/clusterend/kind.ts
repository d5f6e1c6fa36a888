import { z } from "zod";
import { checkWith, endpoint, owner } from "../core/check";
import { changesOf } from "../core/diff";
import { UnreachableError, UserError, type Context, type Kind } from "../core/kind";
import { lookAt } from "../controlplane/make";
import { caHash } from "../node/inputs";
import { isOurs, writeMark } from "../node/mark";

const clusterEndArgs = z.strictObject({ controlPlane: endpoint, owner, node: z.string(), caCertHash: caHash });
export type ClusterEndInputs = z.output<typeof clusterEndArgs>;

/**
 * Depends on every node, and so is deleted before any of them when the whole cluster goes, and never when one node goes.
 * It leaves word at the first control plane, so that members know that draining would serve nobody.
 */
export const clusterEndKind: Kind<ClusterEndInputs, Record<never, never>> = {
  token: "kvmesh:index:ClusterEnd",
  args: clusterEndArgs,
  outputs: {},
  deleteBeforeReplace: true,
  check: checkWith(clusterEndArgs),
  diff: (olds, news) =>
    changesOf<ClusterEndInputs>(olds, news, { caCertHash: "replace", node: "replace", controlPlane: "record", owner: "record" }),
  async create(ctx, inputs) {
    // A destroy that was cut off may have left word.
    await setEnding(ctx, inputs, false);
    return { id: inputs.owner.cluster, outputs: {} };
  },
  read: (_ctx, id, known) => {
    if (known === undefined) throw new UserError(`${id}: there is nothing to import; declare the cluster`);
    return Promise.resolve({ inputs: known, outputs: {} });
  },
  update: () => Promise.resolve({}),
  async delete(ctx, _id, state) {
    try {
      await setEnding(ctx, state, true);
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      ctx.warn(`cluster ${state.owner.cluster}: its first control plane does not answer; nodes leave as far as they can`);
    }
  },
};

async function setEnding(ctx: Context, inputs: ClusterEndInputs, ending: boolean): Promise<void> {
  const { mark } = await lookAt(ctx, { endpoint: inputs.controlPlane });
  if (!isOurs(mark, inputs.owner, inputs.node) || (mark.ending ?? false) === ending) return;
  await writeMark(ctx, inputs.controlPlane, { ...mark, ending });
}
