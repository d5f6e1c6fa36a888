import { PartialError, UserError, type Context } from "../core/kind";
import { lookAt } from "../controlplane/make";
import type { NodeState } from "../controlplane/state";
import { ignoring, resetNode, runKubeadm } from "../node/kubeadm";
import { foreign, isOurs, markOf, writeMark } from "../node/mark";
import { KUBECTL, RUN_DIR } from "../node/paths";
import { completeJoin, makeCredentials, removeToken } from "./credentials";
import type { MemberInputs } from "./schema";
import { repeatable } from "../node/reach";

/** `adopt`: joined by us before. `reset-and-join`: a join of ours was cut off. */
export type JoinAction = "refuse" | "join" | "reset-and-join" | "adopt";

export function decideJoin(
  state: NodeState,
  inputs: Pick<MemberInputs, "owner" | "name" | "role">,
  registered: boolean,
): JoinAction {
  const something = state.adminConf || state.kubeletConf || state.manifests || state.etcdData;
  if (state.mark === undefined && !something) return "join";
  if (!isOurs(state.mark, inputs.owner, inputs.name) || state.mark.role !== inputs.role) return "refuse";
  if (state.mark.phase === "done" && state.kubeletConf && registered) return "adopt";
  // A worker's join has nothing to lose. A control plane's leaves, as far as it got in, through kubeadm reset, which
  // takes its etcd member out: then it joins like a new one.
  return something ? "reset-and-join" : "join";
}

/** Makes the node a member, or goes on with what an earlier run left. Safe to run again at any time. */
export async function ensureMember(ctx: Context, inputs: MemberInputs): Promise<void> {
  const { endpoint, owner, name, role } = inputs;
  const state = await lookAt(ctx, inputs);
  const action = decideJoin(state, inputs, await isRegistered(ctx, inputs));
  if (action === "refuse") throw foreign(name, endpoint, state.mark, "Kubernetes is");
  if (action === "adopt") return;
  try {
    if (action === "reset-and-join") {
      ctx.progress(`node ${name}: an earlier join was cut off; starting over`);
      await resetNode(ctx, endpoint, name, { leaveEtcd: role === "control-plane" });
    }
    await ctx.transport.script(
      endpoint,
      `install -d -m 755 /etc/kubernetes; install -d -m 700 ${RUN_DIR}`,
      repeatable(ctx),
    );
    await writeMark(ctx, endpoint, markOf(owner, name, role, "started"));
    await join(ctx, inputs);
    await waitForNode(ctx, inputs);
    await writeMark(ctx, endpoint, markOf(owner, name, role, "done"));
  } catch (error) {
    if (error instanceof UserError) throw new PartialError(error.message, name, {});
    throw error;
  }
}

async function join(ctx: Context, inputs: MemberInputs): Promise<void> {
  const credentials = await makeCredentials(ctx, inputs);
  const file = `${RUN_DIR}/join.yaml`;
  try {
    await ctx.transport.writeFile(inputs.endpoint, file, completeJoin(inputs, credentials), 0o600);
    await runKubeadm(ctx, inputs.endpoint, {
      node: inputs.name,
      verb: "join",
      args: `--config ${file}${ignoring(inputs.ignorePreflightErrors)}`,
      // The job outlives this connection, and the file must not outlive the job.
      after: `rm -f ${file}`,
      timeoutMs: inputs.timeoutSeconds * 1000,
    });
  } finally {
    await removeToken(ctx, inputs, credentials).catch((error: unknown) => {
      ctx.warn(
        `node ${inputs.name}: its join token stays until it expires: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
  }
}

export async function isRegistered(
  ctx: Context,
  inputs: Pick<MemberInputs, "controlPlane" | "name">,
): Promise<boolean> {
  const result = await ctx.transport.script(
    inputs.controlPlane,
    `${KUBECTL} get node ${inputs.name} -o name`,
    repeatable(ctx, 30_000),
  );
  return result.code === 0;
}

async function waitForNode(ctx: Context, inputs: MemberInputs): Promise<void> {
  const seconds = Math.ceil(inputs.timeoutSeconds);
  const result = await ctx.transport.script(
    inputs.controlPlane,
    `end=$(($(date +%s) + ${seconds}))
until ${KUBECTL} get node ${inputs.name} -o name >/dev/null 2>&1; do
  [ "$(date +%s)" -ge $end ] && exit 1
  sleep 1
done`,
    repeatable(ctx, (seconds + 60) * 1000),
  );
  if (result.code !== 0) {
    throw new UserError(
      `node ${inputs.name} (${inputs.endpoint.address}): joined, but no node of this name came up within ${seconds} s; ` +
        "look at `journalctl -u kubelet` there",
    );
  }
}
