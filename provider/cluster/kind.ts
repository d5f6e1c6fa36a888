import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Context, type Kind } from "../core/kind";
import { clusterEnds, clusterGoesOn } from "../membership/run";
import { lastingChanges } from "../node/config-diff";
import { resetNode } from "../node/kubeadm";
import { isOurs } from "../node/mark";
import { dropAddress } from "../node/static-pods";
import { refuseUpgrade } from "../node/upgrade";
import { removeStrayKubeconfigs } from "../sdk/stray-kubeconfigs";
import { decideFounding } from "./decide";
import { ensureCluster, lookAtAll, readOutputs } from "./found";
import { clusterArgs, type ClusterInputs, type ClusterOutputs } from "./schema";

type State = ClusterInputs & ClusterOutputs;

/**
 * The cluster itself, beside its nodes: founded once, on the first control plane; there as long as one of its control planes is. No input
 * replaces it, least of all one of a single node.
 */
export const clusterKind: Kind<ClusterInputs, ClusterOutputs> = {
  token: "kvmesh:index:Cluster",
  args: clusterArgs,
  secretOutputs: ["kubeconfig"],
  outputs: { clusterId: "stable", kubeconfig: "stable", caCertHash: "stable" },
  deleteBeforeReplace: true,

  check: checkWith(clusterArgs),

  diff: (olds, news) =>
    changesOf<ClusterInputs>(olds, news, {
      kubernetesVersion: "live",
      config: "record",
      apiEndpoint: "record",
      controlPlanes: "record",
      staticPods: "record",
      virtualIp: "record",
      owner: "record",
      ignorePreflightErrors: "record",
      timeoutSeconds: "record",
    }),

  refuses: (olds, news) => refuseConfigChange(olds, news) ?? refuseAllOthers(olds, news),

  async create(ctx, inputs) {
    clusterGoesOn(inputs.owner);
    const outputs = await ensureCluster(ctx, inputs, { whole: false });
    return { id: outputs.clusterId, outputs };
  },

  async read(ctx, id, known) {
    if (known === undefined)
      throw new UserError(`cluster ${id} can't be imported: only a cluster that kvmesh founded is managed by it`);
    const { clusterId, kubeconfig, caCertHash, ...inputs } = known;
    const outputs = { clusterId, kubeconfig, caCertHash };
    const verdict = decideFounding(inputs.owner, await lookAtAll(ctx, inputs), { clusterId, whole: isWhole(known) });
    if (verdict.do === "found") return undefined;
    if (verdict.do !== "enter") {
      const seen = verdict.do === "refuse" ? verdict.why : "no API server of its control planes is ready";
      ctx.warn(`cluster ${inputs.owner.cluster} could not be checked; its last known state is kept: ${seen}`);
      return { inputs, outputs };
    }
    const { machine, state } = verdict.via;
    const version = state?.serverVersion.replace(/^v/, "");
    const seen = await readOutputs(ctx, inputs, machine, clusterId);
    return {
      inputs: { ...inputs, kubernetesVersion: version === "" ? inputs.kubernetesVersion : (version ?? "") },
      // Each control plane has an administrator's certificate of its own: the recorded one stays as long as the cluster is the same.
      outputs: isWhole(known) && seen.caCertHash === caCertHash ? outputs : seen,
    };
  },

  async update(ctx, id, olds, news) {
    refuseUpgrade(news.owner.cluster, olds.kubernetesVersion, news.kubernetesVersion);
    clusterGoesOn(news.owner);
    const record = { clusterId: (olds.clusterId as string | undefined) ?? id, whole: isWhole(olds) };
    const outputs = await ensureCluster(ctx, news, record, olds.controlPlanes);
    return isWhole(olds) && outputs.caCertHash === olds.caCertHash
      ? { clusterId: olds.clusterId, kubeconfig: olds.kubeconfig, caCertHash: olds.caCertHash }
      : outputs;
  },

  async delete(ctx, _id, state) {
    await removeCluster(ctx, state);
    // A destroy runs no program that could see to it.
    if (isWhole(state)) removeStrayKubeconfigs(state.kubeconfig);
  },
};

function isWhole(state: State): boolean {
  return (state.kubeconfig as string | undefined) !== undefined;
}

/**
 * kubeadm reads most of its configuration once. Recording a change that no node has would make state a lie, so the plan is
 * refused; before the first successful founding there is nothing to contradict, and a corrected configuration is just taken.
 */
function refuseConfigChange(olds: State, news: ClusterInputs): string | undefined {
  if (!isWhole(olds)) return undefined;
  const paths = lastingChanges(olds.config, news.config);
  if (olds.apiEndpoint !== news.apiEndpoint) paths.push("apiEndpoint");
  if (paths.length === 0) return undefined;
  return (
    `cluster ${news.owner.cluster}: its configuration can't be changed on a running cluster yet, changed: ${paths.join(", ")}. ` +
    "Set it back, or make a new cluster: `pulumi destroy` takes this one down with its data"
  );
}

/** Nodes join through a declared control plane: where none of those that are there stays declared, nobody could let the new ones in. */
function refuseAllOthers(olds: State, news: ClusterInputs): string | undefined {
  const before = olds.controlPlanes.map(({ name }) => name);
  if (!isWhole(olds) || news.controlPlanes.some(({ name }) => before.includes(name))) return undefined;
  return (
    `cluster ${news.owner.cluster}: none of its control planes (${before.join(", ")}) is declared any more, so the new ones could not join. ` +
    "Declare the new ones beside one of those first; take it out in a second `pulumi up`"
  );
}

/** Every control plane that holds the cluster is taken back to what it was before kubeadm. All nodes have left before. */
async function removeCluster(ctx: Context, state: State): Promise<void> {
  const { owner, controlPlanes } = state;
  const clusterId = state.clusterId as string | undefined;
  clusterEnds(owner);
  const looked = await lookAtAll(ctx, state).catch((error: unknown) => {
    if (error instanceof UserError) throw new UserError(`${error.message}\n${forgetting(ctx)}`);
    throw error;
  });
  const silent = looked.filter((one) => one.state === undefined);
  if (silent.length === controlPlanes.length) {
    throw new UserError(
      `cluster ${owner.cluster} can't be removed: none of its control planes answers (${silent.map(({ machine }) => machine.name).join(", ")}).\n` +
        `Start one and run the command again. ${forgetting(ctx)}`,
    );
  }
  for (const { machine } of silent) {
    ctx.warn(
      `node ${machine.name}: ${machine.endpoint.address} does not answer and was not reset; run \`kubeadm reset\` there before it is used again`,
    );
  }
  await Promise.all(
    looked.map(async ({ machine, state: seen }) => {
      if (!isOurs(seen?.mark, owner, machine.name, clusterId)) return;
      await resetNode(ctx, machine.endpoint, machine.name);
      if (state.virtualIp !== undefined) await dropAddress(ctx, machine, state.virtualIp);
    }),
  );
}

function forgetting(ctx: Context): string {
  return `When the machines are gone for good: pulumi state delete '${ctx.urn}'`;
}
