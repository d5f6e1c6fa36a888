import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { PartialError, UnreachableError, UserError, type Context, type Kind } from "../core/kind";
import { lastWords } from "../node/kubeadm";
import { repeatable, whenUnreachable } from "../node/reach";
import { refuseUpgrade } from "../node/upgrade";
import { install, UNINSTALL } from "./apt";
import { inspect, kernelScript, refuse, removeKernelFiles } from "./inspect";
import { nodeRuntimeArgs, type NodeRuntimeInputs, type NodeRuntimeOutputs } from "./schema";

/** containerd, kubelet, kubeadm, kernel modules and sysctls of one node. */
export const nodeRuntimeKind: Kind<NodeRuntimeInputs, NodeRuntimeOutputs> = {
  token: "kvmesh:index:NodeRuntime",
  args: nodeRuntimeArgs,
  outputs: { versions: "volatile" },
  deleteBeforeReplace: true,

  check: checkWith(nodeRuntimeArgs),

  diff: (olds, news) =>
    changesOf<NodeRuntimeInputs>(olds, news, {
      identity: "replace",
      kubernetesVersion: "live",
      packages: "live",
      endpoint: "record",
      owner: "record",
      name: "record",
    }),

  create: async (ctx, inputs) => ({ id: inputs.name, outputs: await ensure(ctx, inputs) }),

  async read(ctx, id, known) {
    if (known === undefined)
      throw new UserError(`node runtime ${id} can't be imported; declare it and run \`pulumi up\``);
    const { versions, ...inputs } = known;
    return whenUnreachable(ctx, inputs.name, { inputs, outputs: { versions } }, async () => {
      const seen = await inspect(ctx, inputs);
      if (seen.kubelet === "" && seen.kubeadm === "") return undefined;
      for (const fault of seen.faults) ctx.warn(`node ${inputs.name}: ${fault}`);
      return {
        inputs: { ...inputs, kubernetesVersion: seen.kubelet || inputs.kubernetesVersion },
        outputs: { versions: versionsOf(seen) },
      };
    });
  },

  async update(ctx, _id, olds, news) {
    refuseUpgrade(news.name, olds.kubernetesVersion, news.kubernetesVersion);
    if (olds.packages.source === "apt" && news.packages.source === "preinstalled") {
      throw new UserError(
        `node ${news.name}: its packages were installed from ${olds.packages.repository} and can't become preinstalled ones in place; ` +
          "set kubernetes.packages back, or make the node anew",
      );
    }
    return ensure(ctx, news, olds.versions);
  },

  async delete(ctx, _id, { endpoint, name, packages }) {
    const script = packages.source === "apt" ? `${removeKernelFiles}\n${UNINSTALL}` : `${removeKernelFiles}\nexit 0`;
    try {
      const result = await ctx.transport.script(endpoint, script, repeatable(ctx, 300_000));
      if (result.code !== 0) {
        const said = lastWords(`${result.stdout}\n${result.stderr}`.split("\n"));
        throw new UserError(`node ${name} (${endpoint.address}): our packages could not be removed:\n${said}`);
      }
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      ctx.warn(`node ${name}: its packages and settings stay on it: ${error.message}`);
    }
  },
};

/**
 * Installs where that is asked for, sets what the kernel needs, then checks everything: all faults at once.
 *
 * @param before what was on the node; it stays in state when this fails.
 */
async function ensure(
  ctx: Context,
  inputs: NodeRuntimeInputs,
  before: NodeRuntimeOutputs["versions"] = {},
): Promise<NodeRuntimeOutputs> {
  const { endpoint, owner, packages } = inputs;
  const mark = `made by kvmesh for cluster ${owner.cluster} (project ${owner.project}, stack ${owner.stack})`;
  await ctx.transport.script(endpoint, kernelScript(mark), repeatable(ctx));
  try {
    if (packages.source === "apt") await install(ctx, inputs, packages);
    const seen = await inspect(ctx, inputs);
    refuse(inputs, seen.faults);
    return { versions: versionsOf(seen) };
  } catch (error) {
    // The files are there: destroy must know of them.
    if (error instanceof UserError) throw new PartialError(error.message, inputs.name, { versions: before });
    throw error;
  }
}

function versionsOf(seen: { kubelet: string; kubeadm: string; containerd: string }): Record<string, string> {
  return { kubelet: seen.kubelet, kubeadm: seen.kubeadm, containerd: seen.containerd };
}
