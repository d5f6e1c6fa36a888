import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Context, type Kind } from "../core/kind";
import { sleep } from "../transport/sleep";
import { NoAnswer, nodesOf } from "./ask";
import { nodeReadyArgs, type NodeReadyInputs } from "./schema";
import { ended } from "./turn";

/** The end of a node's change: there once the node is Ready and takes workloads. The next node's turn begins then. */
export const nodeReadyKind: Kind<NodeReadyInputs, object> = {
  token: "kvmesh:index:NodeReady",
  args: nodeReadyArgs,
  outputs: {},

  check: checkWith(nodeReadyArgs),

  diff: (olds, news) =>
    changesOf<NodeReadyInputs>(olds, news, {
      identity: "replace",
      revision: { effect: "live", reason: "the run waits until the node is Ready again" },
      owner: "record",
      name: "replace",
      controlPlanes: "record",
      timeoutSeconds: "record",
    }),

  async create(ctx, inputs) {
    await untilReady(ctx, inputs);
    return { id: inputs.name, outputs: {} };
  },

  async read(_ctx, id, known) {
    if (known === undefined) throw new UserError(`node ${id} can't be imported so: \`pulumi up\` waits for it`);
    return Promise.resolve({ inputs: known, outputs: {} });
  },

  async update(ctx, _id, _olds, news) {
    await untilReady(ctx, news);
    return {};
  },

  delete: () => Promise.resolve(),
};

async function untilReady(ctx: Context, inputs: NodeReadyInputs): Promise<void> {
  const { name, timeoutSeconds } = inputs;
  const started = Date.now();
  for (let attempt = 1; ; attempt++) {
    const why = notYet(name, await nodesOf(ctx, inputs.controlPlanes));
    if (why === undefined) {
      ended(inputs);
      return;
    }
    const seconds = Math.round((Date.now() - started) / 1000);
    if (seconds >= timeoutSeconds) {
      throw new UserError(
        `node ${name} is not Ready after ${timeoutSeconds} s: ${why}. Nothing else is changed meanwhile; see its console and its kubelet, ` +
          "then run again: the run goes on with this node",
      );
    }
    ctx.progress(`node ${name}: waiting to be Ready: ${seconds} of ${timeoutSeconds} s, attempt ${attempt} (${why})`);
    await sleep(3000, ctx.signal);
  }
}

function notYet(name: string, nodes: Awaited<ReturnType<typeof nodesOf>>): string | undefined {
  if (nodes === undefined) return "there is no cluster yet";
  if (nodes instanceof NoAnswer) return `no control plane answers (${nodes.faults.join("; ")})`;
  const node = nodes.find((one) => one.name === name);
  if (node === undefined) return "it is not in the cluster";
  if (!node.ready) return "it is not Ready";
  return node.cordoned ? "it is cordoned: kubectl uncordon it" : undefined;
}
