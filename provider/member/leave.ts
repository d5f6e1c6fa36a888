import { UnreachableError, UserError, type Context } from "../core/kind";
import { lookAt } from "../controlplane/make";
import type { NodeState } from "../controlplane/state";
import { foreign, isOurs } from "../node/mark";
import { resetNode } from "../node/kubeadm";
import { KUBECTL } from "../node/paths";
import { MEMBERS_SCRIPT, parseMembers, quorumAfterRemoval, removeMemberScript } from "./etcd";
import type { MemberInputs } from "./schema";
import { repeatable } from "../node/reach";

/** A drain that isn't done by then is blocked, and says by what. */
const DRAIN_SECONDS = 180;

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
    await drain(ctx, inputs, member !== undefined);
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

/** A dead node's pods can't be evicted in an orderly way: they are waited for a short time only. */
async function drain(ctx: Context, inputs: MemberInputs, alive: boolean): Promise<void> {
  const { name } = inputs;
  ctx.progress(`node ${name}: draining, at most ${DRAIN_SECONDS} s`);
  const minor = Number(inputs.kubernetesVersion.split(".")[1]);
  const emptyDir = minor >= 20 ? "--delete-emptydir-data" : "--delete-local-data";
  const result = await ctx.transport.script(
    inputs.controlPlane,
    `export LC_ALL=C
${KUBECTL} get node ${name} -o name >/dev/null 2>&1 || exit 0
${KUBECTL.replace("15s", "0")} drain ${name} --ignore-daemonsets --force ${emptyDir} --timeout=${DRAIN_SECONDS}s${alive ? "" : " --skip-wait-for-delete-timeout=1"} 2>&1
code=$?
[ $code -eq 0 ] || { echo '@@ budgets'; ${KUBECTL} get pdb -A -o 'jsonpath={range .items[?(@.status.disruptionsAllowed==0)]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'; }
exit $code`,
    repeatable(ctx, (DRAIN_SECONDS + 60) * 1000),
  );
  if (result.code !== 0) throw drainError(name, result.stdout);
}

/** Which pods stayed and which budgets kept them. */
export function drainError(node: string, stdout: string): UserError {
  const [said = "", budgets = ""] = stdout.split(/^@@ budgets$/m);
  const blocked = [
    ...new Set([...said.matchAll(/pods?[/ ]"?([^"\s]+)"?.*disruption budget/g)].map((match) => match[1])),
  ];
  const names = budgets.split("\n").filter((line) => line.trim() !== "");
  const cause =
    names.length > 0
      ? `PodDisruptionBudget ${names.join(", ")} allows no disruption${blocked.length > 0 ? ` of ${blocked.join(", ")}` : ""}; ` +
        "give its workload one replica more, or lower the budget"
      : said.trim().split("\n").slice(-4).join("\n  ");
  return new UserError(
    `node ${node} could not be drained within ${DRAIN_SECONDS} s: ${cause}. It stays cordoned; nothing was removed`,
  );
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
