import { randomUUID } from "node:crypto";
import { PartialError, UserError, type Context } from "../core/kind";
import { ignoring, resetNode, runKubeadm, settledState } from "../node/kubeadm";
import { foreign, isOurs, markOf, writeMark } from "../node/mark";
import { ADMIN_CONF, CONFIG_PATH, KUBECTL, LOCAL_KUBECTL } from "../node/paths";
import { repeatable } from "../node/reach";
import { holdsSomething, lookIfReachable } from "../node/state";
import { dropAddress, placeStaticPods, refuseTakenAddress } from "../node/static-pods";
import { decideFounding, type Looked, type OnRecord, type Verdict } from "./decide";
import { caCertHash, renameKubeconfig } from "./kubeconfig";
import type { ClusterInputs, ClusterOutputs, ControlPlaneMachine } from "./schema";

/**
 * Founds the cluster, goes on with a founding that was cut off, or finds that it is there. Safe to run again at any time. A failure after
 * kubeadm began is kept in state (PartialError), so that destroy clears it away.
 *
 * @param recorded control planes of the old state: data may be on them, too.
 */
export async function ensureCluster(
  ctx: Context,
  inputs: ClusterInputs,
  record: OnRecord,
  recorded: readonly ControlPlaneMachine[] = [],
): Promise<ClusterOutputs> {
  const looked = await lookAtAll(ctx, inputs, recorded);
  const verdict = decideFounding(inputs.owner, looked, record);
  if (verdict.do === "refuse") throw refusal(inputs, verdict.why);
  const clusterId = idOf(verdict, record);
  try {
    return await act(ctx, inputs, verdict, clusterId);
  } catch (error) {
    if (error instanceof UserError) throw new PartialError(error.message, clusterId, { clusterId });
    throw error;
  }
}

export async function lookAtAll(
  ctx: Context,
  inputs: ClusterInputs,
  recorded: readonly ControlPlaneMachine[] = [],
): Promise<Looked[]> {
  const declared = inputs.controlPlanes;
  const gone = recorded.filter((old) => !declared.some(({ name }) => name === old.name));
  const looked = await Promise.all(
    [...declared, ...gone].map(async (machine): Promise<Looked> => {
      const state = await lookIfReachable(ctx, machine.endpoint);
      if (state === undefined || state.job === "") return { machine, state };
      return { machine, state: await settledState(ctx, machine.endpoint, machine.name, inputs.timeoutSeconds) };
    }),
  );
  for (const { machine, state } of looked) {
    if (state === undefined || !holdsSomething(state) || isOurs(state.mark, inputs.owner, machine.name)) continue;
    // What was ours once may be anybody's now.
    if (declared.includes(machine)) throw foreign(machine.name, machine.endpoint, state.mark);
  }
  return looked.filter(
    ({ machine, state }) =>
      declared.includes(machine) || isOurs(state?.mark, inputs.owner, machine.name) || state === undefined,
  );
}

function idOf(verdict: Verdict, record: OnRecord): string {
  if (verdict.do === "go-on") return verdict.clusterId;
  const via = verdict.do === "enter" ? verdict.via : verdict.do === "wake" ? verdict.machines[0] : undefined;
  const mark = via?.state?.mark;
  return typeof mark === "object" ? mark.clusterId : (record.clusterId ?? randomUUID());
}

function refusal({ owner }: ClusterInputs, why: string): UserError {
  return new UserError(`cluster ${owner.cluster} is not founded: ${why}. Nothing was changed`);
}

async function act(
  ctx: Context,
  inputs: ClusterInputs,
  verdict: Exclude<Verdict, { do: "refuse" }>,
  clusterId: string,
): Promise<ClusterOutputs> {
  const { cluster } = inputs.owner;
  switch (verdict.do) {
    case "enter":
      return readOutputs(ctx, inputs, verdict.via.machine, clusterId);
    case "wake": {
      ctx.progress(`cluster ${cluster}: it is there, no API answers; starting the kubelets`);
      const awake = await wake(ctx, inputs, verdict.machines);
      if (awake === undefined) throw refusal(inputs, `it is there, and ${verdict.otherwise}`);
      return readOutputs(ctx, inputs, awake.machine, clusterId);
    }
    case "go-on": {
      const { machine } = verdict.on;
      if (verdict.clear) {
        ctx.progress(
          `node ${machine.name}: an earlier kubeadm init was cut off before etcd held anything; starting over`,
        );
        await resetNode(ctx, machine.endpoint, machine.name);
        if (inputs.virtualIp !== undefined) await dropAddress(ctx, machine, inputs.virtualIp);
      } else ctx.progress(`node ${machine.name}: going on with an earlier kubeadm init; etcd's data stays`);
      // Only preflight objects to what an earlier run left; every other phase takes it and completes it.
      const resumed = verdict.on.state?.etcdData === true && !verdict.clear;
      return init(ctx, inputs, machine, clusterId, resumed ? " --skip-phases=preflight" : "");
    }
    case "found":
      if (inputs.virtualIp !== undefined) await refuseTakenAddress(ctx, verdict.on.machine, inputs.virtualIp);
      ctx.progress(`cluster ${cluster}: no machine holds anything of it; founding it on ${verdict.on.machine.name}`);
      return init(ctx, inputs, verdict.on.machine, clusterId, "");
  }
}

async function init(
  ctx: Context,
  inputs: ClusterInputs,
  machine: ControlPlaneMachine,
  clusterId: string,
  extra: string,
): Promise<ClusterOutputs> {
  const { endpoint, name } = machine;
  const mark = { role: "control-plane", making: "init" } as const;
  await ctx.transport.script(endpoint, "install -d -m 755 /etc/kubernetes", repeatable(ctx));
  await writeMark(ctx, endpoint, markOf(inputs.owner, clusterId, name, { ...mark, phase: "started" }));
  await ctx.transport.writeFile(endpoint, CONFIG_PATH, `${machine.config.trimEnd()}\n---\n${inputs.config}`, 0o600);
  const { staticPods = [] } = inputs;
  await placeStaticPods(ctx, machine, staticPods, true);
  await runKubeadm(ctx, endpoint, {
    node: name,
    verb: "init",
    // The token that init makes dies on its own; printing it would put it into a log.
    args: `--config ${CONFIG_PATH} --skip-token-print${extra}${ignoring(inputs.ignorePreflightErrors)}`,
    timeoutMs: inputs.timeoutSeconds * 1000,
  });
  await waitForApi(ctx, inputs, machine);
  await placeStaticPods(ctx, machine, staticPods);
  const outputs = await readOutputs(ctx, inputs, machine, clusterId);
  await writeMark(ctx, endpoint, markOf(inputs.owner, clusterId, name, { ...mark, phase: "done" }));
  return outputs;
}

/** The first whose API server becomes ready. Without an init system that we know, what starts the kubelet there is the machine's own business, and starts it again. */
async function wake(ctx: Context, inputs: ClusterInputs, machines: readonly Looked[]): Promise<Looked | undefined> {
  const tries = machines.map(async (one) => {
    const result = await ctx.transport.script(
      one.machine.endpoint,
      `if command -v systemctl >/dev/null; then systemctl restart containerd kubelet; else pkill -x kubelet; fi
${untilReady(LOCAL_KUBECTL, inputs.timeoutSeconds)}`,
      repeatable(ctx, (inputs.timeoutSeconds + 60) * 1000),
    );
    if (result.code !== 0) throw new UserError("not ready");
    return one;
  });
  return Promise.any(tries).catch((error: unknown) => {
    if (error instanceof AggregateError && error.errors.every((one) => one instanceof UserError)) return undefined;
    throw error;
  });
}

function untilReady(kubectl: string, seconds: number): string {
  return `end=$(($(date +%s) + ${Math.ceil(seconds)}))
while :; do
  answer=$(${kubectl} get --raw /readyz 2>&1) && exit 0
  [ "$(date +%s)" -ge $end ] && { printf '%s\\n' "$answer" >&2; exit 1; }
  sleep 1
done`;
}

/** Through the endpoint that everybody uses. */
async function waitForApi(ctx: Context, inputs: ClusterInputs, { endpoint, name }: ControlPlaneMachine): Promise<void> {
  const limit = inputs.timeoutSeconds;
  const result = await ctx.transport.script(endpoint, untilReady(KUBECTL, limit), repeatable(ctx, (limit + 60) * 1000));
  if (result.code !== 0) {
    throw new UserError(
      `node ${name} (${endpoint.address}): the API at ${inputs.apiEndpoint} is not ready after ${limit} s: ${result.stderr.trim().slice(0, 500)}\n` +
        "Look at `journalctl -u kubelet` and `crictl ps -a` there; etcd's data is untouched, and `pulumi up` goes on from here",
    );
  }
}

/** Reads admin.conf over SSH: it never touches a disk here. Every control plane has one, with the endpoint that everybody uses. */
export async function readOutputs(
  ctx: Context,
  inputs: ClusterInputs,
  { endpoint, name }: ControlPlaneMachine,
  clusterId: string,
): Promise<ClusterOutputs> {
  const result = await ctx.transport.script(endpoint, `cat ${ADMIN_CONF}`, repeatable(ctx));
  if (result.code !== 0) {
    throw new UserError(`node ${name} (${endpoint.address}): ${ADMIN_CONF} can't be read: ${result.stderr.trim()}`);
  }
  const kubeconfig = renameKubeconfig(result.stdout, inputs.owner.cluster, name);
  return { clusterId, kubeconfig, caCertHash: caCertHash(kubeconfig) };
}
