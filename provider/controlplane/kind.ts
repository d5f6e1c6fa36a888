import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UnreachableError, UserError, type Kind } from "../core/kind";
import { lastingChanges } from "../node/config-diff";
import { resetNode } from "../node/kubeadm";
import { foreign, isOurs } from "../node/mark";
import { whenUnreachable } from "../node/reach";
import { refuseUpgrade } from "../node/upgrade";
import { ensureControlPlane, lookAt, readOutputs } from "./make";
import { controlPlaneArgs, type ControlPlaneInputs, type ControlPlaneOutputs } from "./schema";

type State = ControlPlaneInputs & ControlPlaneOutputs;

/** The first control plane: `kubeadm init`, resumed after an interruption, never run over a populated etcd. */
export const controlPlaneKind: Kind<ControlPlaneInputs, ControlPlaneOutputs> = {
  token: "kvmesh:index:ControlPlane",
  args: controlPlaneArgs,
  secretOutputs: ["kubeconfig"],
  outputs: { kubeconfig: "stable", caCertHash: "stable" },
  deleteBeforeReplace: true,

  check: checkWith(controlPlaneArgs),

  diff(olds, news) {
    const changes = changesOf<ControlPlaneInputs>(olds, news, {
      identity: "replace",
      name: "replace",
      kubernetesVersion: "live",
      config: "record",
      endpoint: "record",
      owner: "record",
      ignorePreflightErrors: "record",
      timeoutSeconds: "record",
    });
    if (!changes.some((change) => change.effect === "replace")) refuseConfigChange(olds, news);
    return changes;
  },

  create: async (ctx, inputs) => ({ id: inputs.name, outputs: await ensureControlPlane(ctx, inputs) }),

  async read(ctx, id, known) {
    if (known === undefined) {
      throw new UserError(`control plane ${id} can't be imported: only a cluster that kvmesh made is managed by it`);
    }
    const { kubeconfig, caCertHash, ...inputs } = known;
    return whenUnreachable(ctx, inputs.name, { inputs, outputs: { kubeconfig, caCertHash } }, async () => {
      const state = await lookAt(ctx, inputs);
      if (!isOurs(state.mark, inputs.owner, inputs.name) || !state.adminConf) return undefined;
      if (!state.apiHealthy) ctx.warn(`node ${inputs.name}: the API of its control plane does not answer`);
      return {
        inputs: { ...inputs, kubernetesVersion: state.serverVersion.replace(/^v/, "") || inputs.kubernetesVersion },
        outputs: await readOutputs(ctx, inputs),
      };
    });
  },

  async update(ctx, _id, olds, news) {
    refuseUpgrade(news.name, olds.kubernetesVersion, news.kubernetesVersion);
    return ensureControlPlane(ctx, news);
  },

  async delete(ctx, _id, { endpoint, owner, name }) {
    try {
      const state = await lookAt(ctx, { endpoint });
      if (state.mark === undefined) {
        ctx.warn(`node ${name}: it holds nothing of this stack any more; nothing was removed`);
        return;
      }
      if (!isOurs(state.mark, owner, name)) throw foreign(name, endpoint, state.mark, "Kubernetes is");
      await resetNode(ctx, endpoint, name, { leaveEtcd: false });
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      throw new UserError(
        `control plane ${name} can't be removed: ${error.message}\nStart the machine and run the command again. ` +
          `When it is gone for good: pulumi state delete '${ctx.urn}'`,
      );
    }
  },
};

/**
 * kubeadm reads most of its configuration once. Recording a change that no node has would make state a lie, so the plan is
 * refused; before the first successful init there is nothing to contradict, and a corrected configuration is just taken.
 */
function refuseConfigChange(olds: State, news: ControlPlaneInputs): void {
  if ((olds.kubeconfig as string | undefined) === undefined) return;
  const paths = lastingChanges(olds.config, news.config);
  if (paths.length === 0) return;
  throw new UserError(
    `control plane ${news.name}: its kubeadm configuration can't be changed on a running cluster yet, changed: ${paths.join(", ")}. ` +
      "Set it back, or make a new cluster: pulumi up --replace with the ControlPlane's URN destroys this one and its data",
  );
}
