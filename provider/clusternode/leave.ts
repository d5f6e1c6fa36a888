import { UserError, type Context } from "../core/kind";
import { removeMembers } from "../etcd/change";
import { membersOf, membersSeenBy } from "../etcd/members";
import { quorumAfterRemoval } from "../etcd/quorum";
import { BreakGlass } from "../membership/break-glass";
import { drainNode } from "../membership/drain";
import { withLock } from "../membership/lock";
import { allLeave, isEnding, nodeLeaves } from "../membership/run";
import { findWayIn, NoWayIn, type WayIn } from "../membership/ways-in";
import { resetNode, settledState } from "../node/kubeadm";
import { foreign, isOurs, writeMark } from "../node/mark";
import { holdsSomething, isMade, lookIfReachable, type NodeState } from "../node/state";
import { dropAddress } from "../node/static-pods";
import { sleep } from "../transport/sleep";
import { changeOf, identityOf } from "./join";
import { deleteNode, nodesOf, registration } from "./registered";
import type { ClusterNodeInputs } from "./schema";

/** For the other nodes of a cluster that goes as a whole to begin to leave, too. */
const COMPANY_MS = 2000;

/**
 * One node leaves: drained, its etcd member taken out through another control plane, the machine reset, the node deleted. When the whole
 * cluster is being destroyed, draining would only move pods to nodes that go as well, and etcd's data goes with the Cluster itself: workers
 * are reset, control planes left to it.
 */
export async function leave(ctx: Context, inputs: ClusterNodeInputs): Promise<void> {
  const { endpoint, name, owner, role, clusterId } = inputs;
  nodeLeaves(owner, name);
  const machine = await machineOf(ctx, inputs);
  if (machine !== undefined && holdsSomething(machine) && !isOurs(machine.mark, owner, name, clusterId)) {
    throw foreign(name, endpoint, machine.mark);
  }
  const via = await findWayIn(ctx, inputs, inputs.controlPlanes, name);
  if (await wholeClusterEnds(ctx, inputs, via)) {
    if (role === "worker") await reset(ctx, inputs, machine);
    else await leaveToCluster(ctx, inputs, machine);
    return;
  }
  if (via instanceof NoWayIn) {
    if (machine !== undefined && !isMade(machine) && machine.mark === undefined) {
      ctx.warn(`node ${name}: nothing of Kubernetes is on its machine; no control plane could be asked about it`);
      return;
    }
    if (role === "control-plane") await refuseLast(ctx, inputs);
    throw via.refusal(name, "it is not removed and its machine is not reset");
  }
  if (role === "worker") {
    await drain(ctx, inputs, via, await isAlive(ctx, inputs, via, machine), new BreakGlass(ctx, name, via));
    await reset(ctx, inputs, machine);
    await deleteNode(ctx, via, name);
    return;
  }
  await withLock(ctx, clusterId, via, changeOf(inputs, "leave"), async (lock) => {
    const node = identityOf(inputs);
    const glass = new BreakGlass(ctx, name, via);
    const judged = async () => {
      const seen = await membersSeenBy(ctx, via.endpoint);
      const members = membersOf(node, seen.list);
      const verdict = quorumAfterRemoval(
        seen.list,
        members.map(({ id }) => id),
      );
      if (verdict !== undefined) await glass.orRefuse(new UserError(`node ${name} is not removed: ${verdict}`));
      return { seen, members };
    };
    // Before the drain, which moves people's pods; and after it, because it takes minutes.
    await judged();
    await drain(ctx, inputs, via, await isAlive(ctx, inputs, via, machine), glass);
    const { seen, members } = await judged();
    await removeMembers(ctx, via, { node, members, seen, lock, needsSnapshot: ctx.breakGlass?.node !== name });
    await reset(ctx, inputs, machine);
    await deleteNode(ctx, via, name);
  });
}

/** undefined: it does not answer. A job of an earlier run is waited for. */
async function machineOf(ctx: Context, inputs: ClusterNodeInputs): Promise<NodeState | undefined> {
  const state = await lookIfReachable(ctx, inputs.endpoint);
  if (state === undefined || state.job === "") return state;
  return settledState(ctx, inputs.endpoint, inputs.name, inputs.timeoutSeconds);
}

/**
 * Known by the ClusterReady that was deleted before, in this run; or by all nodes that the cluster has leaving in this run. A destroy that goes
 * on where an earlier one was broken off has no ClusterReady any more: then also by all control planes that it has leaving, or having been left
 * to the Cluster. In a run that declares anything, that proves nothing.
 */
async function wholeClusterEnds(ctx: Context, inputs: ClusterNodeInputs, via: WayIn | NoWayIn): Promise<boolean> {
  const { owner, controlPlanes, name } = inputs;
  if (isEnding(owner)) return true;
  const planes = controlPlanes.map((one) => one.name);
  const nodes = via instanceof NoWayIn ? undefined : await nodesOf(ctx, via);
  const everyone = (): boolean =>
    isEnding(owner) || allLeave(owner, nodes ?? []) || (ctx.onlyDeletes && allLeave(owner, planes));
  for (const end = Date.now() + COMPANY_MS; !everyone() && Date.now() < end;) await sleep(200, ctx.signal);
  if (everyone()) return true;
  if (!ctx.onlyDeletes) return false;
  const others = controlPlanes.filter((one) => one.name !== name);
  const states = await Promise.all(others.map(({ endpoint }) => lookIfReachable(ctx, endpoint)));
  return (
    states.length > 0 &&
    states.every((state) => {
      if (state === undefined) return false;
      return state.mark === undefined || (typeof state.mark === "object" && state.mark.phase === "left");
    })
  );
}

async function refuseLast(ctx: Context, inputs: ClusterNodeInputs): Promise<void> {
  const own = await findWayIn(ctx, inputs, [{ name: inputs.name, endpoint: inputs.endpoint }]);
  if (own instanceof NoWayIn) return;
  const { list } = await membersSeenBy(ctx, own.endpoint);
  if (list.length > 1) return;
  throw new UserError(
    `node ${inputs.name} is not removed: it is the last control plane, and the cluster's data goes only with the cluster as a whole ` +
      "(`pulumi destroy`). Let another control plane join first",
  );
}

/** Pods of a node whose kubelet is gone never end: they are waited for a short time only. */
async function isAlive(
  ctx: Context,
  inputs: ClusterNodeInputs,
  via: WayIn,
  machine: NodeState | undefined,
): Promise<boolean> {
  return machine !== undefined && isMade(machine) && (await registration(ctx, via, inputs.name)) === "True";
}

async function drain(
  ctx: Context,
  inputs: ClusterNodeInputs,
  via: WayIn,
  alive: boolean,
  glass: BreakGlass,
): Promise<void> {
  try {
    await drainNode(ctx, { at: via.endpoint, node: inputs.name, alive });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    await glass.orRefuse(error);
  }
}

async function reset(ctx: Context, inputs: ClusterNodeInputs, machine: NodeState | undefined): Promise<void> {
  const { endpoint, name } = inputs;
  if (machine !== undefined) {
    if (holdsSomething(machine)) await resetNode(ctx, endpoint, name);
    if (inputs.virtualIp !== undefined) await dropAddress(ctx, inputs, inputs.virtualIp);
    return;
  }
  ctx.warn(
    `node ${name}: ${endpoint.address} does not answer and was not reset; run \`kubeadm reset\` there before it is used again`,
  );
}

/** Nothing is taken away from a control plane as long as the Cluster is there: a destroy that is broken off loses no data. */
async function leaveToCluster(ctx: Context, inputs: ClusterNodeInputs, machine: NodeState | undefined): Promise<void> {
  ctx.progress(`node ${inputs.name}: its data goes with the cluster as a whole, which is removed next`);
  if (machine !== undefined && typeof machine.mark === "object")
    await writeMark(ctx, inputs.endpoint, { ...machine.mark, phase: "left" });
}
