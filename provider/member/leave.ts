import { UnreachableError, UserError, type Context } from "../core/kind";
import { lookAt } from "../controlplane/make";
import type { NodeState } from "../controlplane/state";
import { foreign, isOurs } from "../node/mark";
import { resetNode } from "../node/kubeadm";
import { KUBECTL } from "../node/paths";
import { drainNode } from "./drain";
import { MEMBERS_SCRIPT, parseMembers, quorumAfterRemoval, removeMemberScript } from "./etcd";
import type { MemberInputs } from "./schema";
import { repeatable } from "../node/reach";

/**
 * Drains, takes the etcd member out (control plane), resets the machine, deletes the node. When the whole cluster is being
 * destroyed, draining would only move pods to nodes that go as well: the machine is just reset then.
 */
export async function leave(ctx: Context, inputs: MemberInputs): Promise<void> {
  const { endpoint, name, owner, role } = inputs;
  const first = await orUnreachable(() => lookAt(ctx, { endpoint: inputs.controlPlane }));
  const clusterEnds = first !== undefined && typeof first.mark === "object" && first.mark.ending === true;
  const api = first?.apiHealthy === true && !clusterEnds;
  if (!api && !clusterEnds) {
    ctx.warn(
      `node ${name}: the control plane at ${inputs.controlPlane.address} does not answer; the node leaves without being drained`,
    );
  }
  const member = await orUnreachable(() => lookAt(ctx, inputs));
  if (member !== undefined && hasSomething(member) && !isOurs(member.mark, owner, name)) {
    throw foreign(name, endpoint, member.mark, "Kubernetes is");
  }
  if (api) {
    if (role === "control-plane") await guardQuorum(ctx, inputs);
    await drainNode(ctx, { at: inputs.controlPlane, node: name, alive: member !== undefined });
  }
  if (member !== undefined) await resetNode(ctx, endpoint, name, { leaveEtcd: api && role === "control-plane" });
  else
    ctx.warn(
      `node ${name}: ${endpoint.address} does not answer and was not reset; run \`kubeadm reset\` there before it is used again`,
    );
  if (!api) return;
  if (member === undefined && role === "control-plane") await removeMember(ctx, inputs);
  await ctx.transport.script(
    inputs.controlPlane,
    `${KUBECTL} delete node ${name} --ignore-not-found --wait=false`,
    repeatable(ctx, 60_000),
  );
}

function hasSomething(state: NodeState): boolean {
  return state.mark !== undefined || state.kubeletConf || state.manifests || state.etcdData;
}

async function orUnreachable<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof UnreachableError) return undefined;
    throw error;
  }
}

async function guardQuorum(ctx: Context, inputs: MemberInputs): Promise<void> {
  const result = await ctx.transport.script(inputs.controlPlane, MEMBERS_SCRIPT, repeatable(ctx, 60_000));
  const verdict = quorumAfterRemoval(parseMembers(result.stdout), inputs.name);
  if (verdict !== undefined) throw new UserError(`node ${inputs.name} is not removed: ${verdict}`);
}

/** The member of a dead control plane is removed by a survivor. */
async function removeMember(ctx: Context, inputs: MemberInputs): Promise<void> {
  const at = inputs.controlPlane;
  const listed = await ctx.transport.script(at, MEMBERS_SCRIPT, repeatable(ctx, 60_000));
  const dead = parseMembers(listed.stdout).find((one) => one.name === inputs.name);
  if (dead === undefined) return;
  const removed = await ctx.transport.script(at, removeMemberScript(dead.id), repeatable(ctx));
  if (removed.code !== 0) {
    throw new UserError(
      `node ${inputs.name}: its etcd member ${dead.id} could not be removed: ${removed.stderr.trim().slice(-300)}`,
    );
  }
}
