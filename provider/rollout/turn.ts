import { checkWith } from "../core/check";
import { changesOf, differences } from "../core/diff";
import { UserError, type Context, type Kind } from "../core/kind";
import { NoAnswer, nodesOf } from "./ask";
import { nodeTurnArgs, type NodeTurnInputs } from "./schema";

/** By cluster: nodes whose turn began in this run and that are not Ready again yet. */
const begun = new Map<string, Set<string>>();

/**
 * The beginning of a node's change: in the state before anything of the node is touched, so that an interrupted run knows whom it
 * began. Refused where the pool has no node to spare.
 */
export const nodeTurnKind: Kind<NodeTurnInputs, object> = {
  token: "kvmesh:index:NodeTurn",
  args: nodeTurnArgs,
  outputs: {},

  check: checkWith(nodeTurnArgs),

  diff: (olds, news) =>
    changesOf<NodeTurnInputs>(olds, news, {
      revision: { effect: "live", reason: "its machine or its kubelet changes: drained, one turn after the other" },
      owner: "record",
      name: "replace",
      controlPlanes: "record",
      pool: "record",
      maxUnavailable: "record",
    }),

  // A node that is made takes nobody's place.
  create: (_ctx, inputs) => Promise.resolve({ id: inputs.name, outputs: {} }),

  async read(_ctx, id, known) {
    if (known === undefined) throw new UserError(`the turn of node ${id} can't be imported: \`pulumi up\` makes it`);
    return Promise.resolve({ inputs: known, outputs: {} });
  },

  async update(ctx, _id, olds, news) {
    if (differences("revision", olds.revision, news.revision).length > 0) await begin(ctx, news);
    return {};
  },

  delete: () => Promise.resolve(),
};

/** The node is Ready again, or was looked at as such. */
export function ended({ owner, name }: Pick<NodeTurnInputs, "owner" | "name">): void {
  begun.get(clusterOf(owner))?.delete(name);
}

async function begin(
  ctx: Context,
  { owner, name, controlPlanes, pool, maxUnavailable }: NodeTurnInputs,
): Promise<void> {
  const cluster = clusterOf(owner);
  const going = begun.get(cluster) ?? new Set();
  begun.set(cluster, going);
  // Before the question, so that another turn of this run counts it.
  going.add(name);
  try {
    const nodes = await nodesOf(ctx, controlPlanes);
    if (nodes === undefined) return;
    if (nodes instanceof NoAnswer) {
      throw new UserError(
        `node ${name} is not changed: no control plane says which nodes are well (${nodes.faults.join("; ")}). Repair one of them, then run again`,
      );
    }
    const out = pool.flatMap((other) => {
      if (other === name) return [];
      const seen = nodes.find((node) => node.name === other);
      if (going.has(other)) return [`${other} is being changed`];
      if (seen === undefined) return [`${other} is not in the cluster`];
      return seen.ready ? (seen.cordoned ? [`${other} is cordoned`] : []) : [`${other} is not Ready`];
    });
    if (out.length < maxUnavailable) return;
    throw new UserError(
      `node ${name} is not changed: ${out.join(", ")}, and of its pool at most ${maxUnavailable} may be out at once (maxUnavailable). ` +
        "Repair that, or raise maxUnavailable, then run again: the run goes on from here",
    );
  } catch (error) {
    going.delete(name);
    throw error;
  }
}

function clusterOf({ project, stack, cluster }: NodeTurnInputs["owner"]): string {
  return `${project}/${stack}/${cluster}`;
}
