import { PartialError, UserError, type Context } from "../core/kind";
import { removeMembers } from "../etcd/change";
import { membersOf, membersSeenBy, type MemberIdentity } from "../etcd/members";
import { quorumAfterRemoval } from "../etcd/quorum";
import { BreakGlass } from "../membership/break-glass";
import { withLock, type Lock, type MembershipChange } from "../membership/lock";
import { findWayIn, NoWayIn, type WayIn } from "../membership/ways-in";
import { ignoring, resetNode, runKubeadm, settledState } from "../node/kubeadm";
import { foreign, isOurs, markOf, writeMark } from "../node/mark";
import { LOCAL_KUBECTL, RUN_DIR } from "../node/paths";
import { repeatable } from "../node/reach";
import { sleep } from "../transport/sleep";
import { holdsSomething } from "../node/state";
import { advertisedAddress, completeJoin, makeCredentials, removeToken } from "./credentials";
import { decideJoin, type KnownAs } from "./decide";
import { deleteNode, isRegistered, registration } from "./registered";
import type { ClusterNodeInputs } from "./schema";

/** For a new etcd member to become healthy once kubeadm has ended. */
const MEMBER_ATTEMPTS = 10;
const MEMBER_PAUSE_MS = 3000;

/** Makes the machine a node of its cluster, or goes on with what an earlier run left. Safe to run again at any time. */
export async function ensureNode(ctx: Context, inputs: ClusterNodeInputs): Promise<void> {
  const { endpoint, owner, name, role, clusterId } = inputs;
  const before = await settledState(ctx, endpoint, name, inputs.timeoutSeconds);
  if (holdsSomething(before) && !isOurs(before.mark, owner, name, clusterId))
    throw foreign(name, endpoint, before.mark);
  try {
    if (role === "worker") {
      await settle(ctx, inputs, await wayIn(ctx, inputs), undefined);
      return;
    }
    const [others, self] = [await findWayIn(ctx, inputs, inputs.controlPlanes, name), await ownWayIn(ctx, inputs)];
    // Nobody else can change the members of a cluster with one control plane; this one is finished already, or it is not healthy.
    const via = others instanceof NoWayIn ? self : others;
    if (via instanceof NoWayIn) throw (others as NoWayIn).refusal(name, "it does not join");
    const action = await decision(ctx, inputs, via, endpoint);
    if (action === "adopt") await adopt(ctx, inputs);
    else if (others instanceof NoWayIn) throw others.refusal(name, "its join is not gone on with");
    else await withLock(ctx, clusterId, others, changeOf(inputs, "join"), (lock) => settle(ctx, inputs, others, lock));
  } catch (error) {
    if (error instanceof UserError) throw new PartialError(error.message, name, {});
    throw error;
  }
}

export function identityOf({ name, role, config }: ClusterNodeInputs): MemberIdentity {
  return { name, address: role === "control-plane" ? advertisedAddress(config) : undefined };
}

export function changeOf(inputs: ClusterNodeInputs, what: "join" | "leave"): MembershipChange {
  const { name, owner, controlPlanes, endpoint, timeoutSeconds } = inputs;
  const others = controlPlanes.filter((one) => one.name !== name);
  return {
    what,
    node: name,
    by: `${owner.project}/${owner.stack}`,
    machines: [...others, { name, endpoint }],
    timeoutSeconds,
  };
}

async function wayIn(ctx: Context, inputs: ClusterNodeInputs): Promise<WayIn> {
  const via = await findWayIn(ctx, inputs, inputs.controlPlanes);
  if (via instanceof NoWayIn) throw via.refusal(inputs.name, "it does not join");
  return via;
}

function ownWayIn(ctx: Context, inputs: ClusterNodeInputs): Promise<WayIn | NoWayIn> {
  return findWayIn(ctx, inputs, [{ name: inputs.name, endpoint: inputs.endpoint }]);
}

async function decision(ctx: Context, inputs: ClusterNodeInputs, via: WayIn, at: ClusterNodeInputs["endpoint"]) {
  const state = await settledState(ctx, at, inputs.name, inputs.timeoutSeconds);
  return decideJoin(state, inputs, await knownAs(ctx, inputs, via));
}

async function knownAs(ctx: Context, inputs: ClusterNodeInputs, via: WayIn): Promise<KnownAs> {
  const registered = await isRegistered(ctx, via, inputs.name);
  if (inputs.role === "worker") return { registered };
  const members = membersOf(identityOf(inputs), (await membersSeenBy(ctx, via.endpoint)).list);
  return { registered, voter: members.some((member) => member.name === inputs.name && !member.learner) };
}

/** What has to be done, decided where nobody else changes the members: under the cluster's lock, for a control plane. */
async function settle(ctx: Context, inputs: ClusterNodeInputs, via: WayIn, lock: Lock | undefined): Promise<void> {
  const { endpoint, owner, name, role, clusterId } = inputs;
  const state = await settledState(ctx, endpoint, name, inputs.timeoutSeconds);
  const action = decideJoin(state, inputs, await knownAs(ctx, inputs, via));
  switch (action) {
    case "refuse":
      throw foreign(name, endpoint, state.mark);
    case "repair":
      throw new UserError(
        `node ${name} (${endpoint.address}): it was a control plane of this cluster, and ${via.name} does not know it any more as a node and as a ` +
          `voting member of etcd. Start its kubelet there when it was only removed from the API; to make it anew: pulumi up --replace '${ctx.urn}'`,
      );
    case "adopt":
      return adopt(ctx, inputs);
    case "undo-and-join":
      ctx.progress(`node ${name}: an earlier join was cut off half-way; it is undone and begun again`);
      await undo(ctx, inputs, via, lock);
      await deleteNode(ctx, via, name);
      await resetNode(ctx, endpoint, name);
      break;
    case "join":
      if ((await registration(ctx, via, name)) === "True") {
        throw new UserError(
          `node ${name}: the cluster has a node of this name that is Ready, and it is not on ${endpoint.address}, where nothing is; nothing was ` +
            "changed. Take the other one out, or give this one another name; a machine that was just destroyed is Ready for a minute more",
        );
      }
      await undo(ctx, inputs, via, lock);
      await deleteNode(ctx, via, name);
      break;
    case "finish":
      ctx.progress(`node ${name}: an earlier run's kubeadm join has finished`);
  }
  if (action !== "finish") {
    await ctx.transport.script(
      endpoint,
      `install -d -m 755 /etc/kubernetes; install -d -m 700 ${RUN_DIR}`,
      repeatable(ctx),
    );
    await writeMark(ctx, endpoint, markOf(owner, clusterId, name, { role, making: "join", phase: "started" }));
    await join(ctx, inputs, via, lock);
  }
  await waitForNode(ctx, inputs, via);
  if (role === "control-plane") await refuseHalfMember(ctx, inputs, via);
  await writeMark(ctx, endpoint, markOf(owner, clusterId, name, { role, making: "join", phase: "done" }));
}

/** A whole destroy that was broken off had left its machine to the Cluster; it is a node again now. */
async function adopt(ctx: Context, { endpoint, name }: ClusterNodeInputs): Promise<void> {
  const { mark } = await settledState(ctx, endpoint, name, 60);
  if (typeof mark === "object" && mark.phase === "left") await writeMark(ctx, endpoint, { ...mark, phase: "done" });
}

/** Takes the etcd members out that an earlier machine or join of this name has left in the cluster. */
async function undo(ctx: Context, inputs: ClusterNodeInputs, via: WayIn, lock: Lock | undefined): Promise<void> {
  if (lock === undefined) return;
  const node = identityOf(inputs);
  const seen = await membersSeenBy(ctx, via.endpoint);
  const members = membersOf(node, seen.list);
  if (members.length === 0) return;
  const verdict = quorumAfterRemoval(
    seen.list,
    members.map(({ id }) => id),
  );
  if (verdict !== undefined) {
    const refusal = new UserError(
      `node ${node.name} does not join: its old etcd member has to go first, and ${verdict}`,
    );
    await new BreakGlass(ctx, node.name, via).orRefuse(refusal);
  }
  await removeMembers(ctx, via, { node, members, seen, lock, needsSnapshot: true });
}

async function join(ctx: Context, inputs: ClusterNodeInputs, via: WayIn, lock: Lock | undefined): Promise<void> {
  const credentials = await makeCredentials(ctx, via, inputs, lock);
  const file = `${RUN_DIR}/join.yaml`;
  let running = false;
  try {
    await ctx.transport.writeFile(inputs.endpoint, file, completeJoin(inputs, credentials), 0o600);
    running = true;
    await runKubeadm(ctx, inputs.endpoint, {
      node: inputs.name,
      verb: "join",
      args: `--config ${file}${ignoring(inputs.ignorePreflightErrors)}`,
      // The job outlives this connection, and the file must not outlive the job.
      after: `rm -f ${file}`,
      timeoutMs: inputs.timeoutSeconds * 1000,
    });
    running = false;
  } catch (error) {
    // Stopped on request, the job goes on and needs its token; the watcher on the control plane takes it away.
    if (!ctx.signal.aborted) running = false;
    throw error;
  } finally {
    if (!running)
      await removeToken(ctx, via, credentials).catch((error: unknown) => {
        ctx.warn(
          `node ${inputs.name}: its join token stays until it expires: ${error instanceof Error ? error.message : String(error)}`,
        );
      });
  }
}

async function waitForNode(ctx: Context, inputs: ClusterNodeInputs, via: WayIn): Promise<void> {
  const seconds = Math.ceil(inputs.timeoutSeconds);
  const result = await ctx.transport.script(
    via.endpoint,
    `end=$(($(date +%s) + ${seconds}))
until ${LOCAL_KUBECTL} get node ${inputs.name} -o name >/dev/null 2>&1; do
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

/** kubeadm's word is not taken for it: the new member votes and is healthy, as another one sees it. */
async function refuseHalfMember(ctx: Context, inputs: ClusterNodeInputs, via: WayIn): Promise<void> {
  let seen = "there is none";
  for (let attempt = 0; attempt < MEMBER_ATTEMPTS; attempt++) {
    if (attempt > 0) await sleep(MEMBER_PAUSE_MS, ctx.signal);
    const members = membersOf(identityOf(inputs), (await membersSeenBy(ctx, via.endpoint)).list);
    if (members.some((member) => member.healthy && !member.learner)) return;
    seen = members.map(({ id, learner }) => `${id}${learner ? ", a learner" : ", not healthy"}`).join("; ") || seen;
  }
  throw new UserError(
    `node ${inputs.name} (${inputs.endpoint.address}): kubeadm joined it, but its etcd is no healthy voting member, as ${via.name} sees it ` +
      `(${seen}). Look at \`crictl ps -a\` and at etcd's log there; \`pulumi up\` goes on from here`,
  );
}
