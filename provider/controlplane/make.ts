import { PartialError, UserError, type Context } from "../core/kind";
import { ignoring, resetNode, runKubeadm } from "../node/kubeadm";
import { foreign, markOf, writeMark } from "../node/mark";
import { ADMIN_CONF, CONFIG_PATH, KUBECTL } from "../node/paths";
import { caCertHash, renameKubeconfig } from "./kubeconfig";
import type { ControlPlaneInputs, ControlPlaneOutputs } from "./schema";
import { decide, parseState, STATE_SCRIPT, type Action, type NodeState } from "./state";
import { repeatable } from "../node/reach";

/**
 * Makes the first control plane, or goes on with what an earlier run left. Safe to run again at any time. A failure after
 * kubeadm began is kept in state (PartialError): the next run goes on from it, and destroy clears it away.
 */
export async function ensureControlPlane(ctx: Context, inputs: ControlPlaneInputs): Promise<ControlPlaneOutputs> {
  const state = await lookAt(ctx, inputs);
  const action = decide(state, inputs.owner, inputs.name);
  if (action === "refuse") throw foreign(inputs.name, inputs.endpoint, state.mark, "Kubernetes is");
  try {
    await act(ctx, inputs, action);
    return await readOutputs(ctx, inputs);
  } catch (error) {
    if (error instanceof UserError) throw new PartialError(error.message, inputs.name, {});
    throw error;
  }
}

async function act(ctx: Context, inputs: ControlPlaneInputs, action: Exclude<Action, "refuse">): Promise<void> {
  const { endpoint, name } = inputs;
  switch (action) {
    case "adopt":
      return;
    case "wait":
      ctx.progress(`node ${name}: control plane is there, its API does not answer; starting the kubelet`);
      await startKubelet(ctx, inputs);
      await waitForApi(ctx, inputs);
      return;
    case "clear-and-init":
      ctx.progress(`node ${name}: an earlier kubeadm init was cut off before etcd held anything; starting over`);
      await resetNode(ctx, endpoint, name, { leaveEtcd: false });
      await init(ctx, inputs, "");
      return;
    case "resume":
      ctx.progress(`node ${name}: going on with an earlier kubeadm init; etcd's data stays`);
      // Only preflight objects to what an earlier run left; every other phase takes it and completes it.
      await init(ctx, inputs, " --skip-phases=preflight");
      return;
    case "init":
      await init(ctx, inputs, "");
  }
}

export async function lookAt(ctx: Context, inputs: Pick<ControlPlaneInputs, "endpoint">): Promise<NodeState> {
  const result = await ctx.transport.script(inputs.endpoint, STATE_SCRIPT, repeatable(ctx, 90_000));
  return parseState(result.stdout);
}

async function init(ctx: Context, inputs: ControlPlaneInputs, extra: string): Promise<void> {
  const { endpoint, owner, name } = inputs;
  await ctx.transport.script(endpoint, "install -d -m 755 /etc/kubernetes", repeatable(ctx));
  await writeMark(ctx, endpoint, markOf(owner, name, "first-control-plane", "started"));
  await ctx.transport.writeFile(endpoint, CONFIG_PATH, inputs.config, 0o600);
  await runKubeadm(ctx, endpoint, {
    node: name,
    verb: "init",
    // The token that init makes dies on its own; printing it would put it into a log.
    args: `--config ${CONFIG_PATH} --skip-token-print${extra}${ignoring(inputs.ignorePreflightErrors)}`,
    timeoutMs: inputs.timeoutSeconds * 1000,
  });
  await waitForApi(ctx, inputs);
  await writeMark(ctx, endpoint, markOf(owner, name, "first-control-plane", "done"));
}

/** Without an init system that we know, what starts the kubelet there is the machine's own business, and starts it again. */
async function startKubelet(ctx: Context, inputs: ControlPlaneInputs): Promise<void> {
  await ctx.transport.script(
    inputs.endpoint,
    "if command -v systemctl >/dev/null; then systemctl restart containerd kubelet; else pkill -x kubelet; fi; exit 0",
    repeatable(ctx),
  );
}

async function waitForApi(ctx: Context, inputs: ControlPlaneInputs): Promise<void> {
  const limit = inputs.timeoutSeconds;
  const result = await ctx.transport.script(
    inputs.endpoint,
    `end=$(($(date +%s) + ${Math.ceil(limit)}))
while :; do
  answer=$(${KUBECTL} get --raw /readyz 2>&1) && exit 0
  [ "$(date +%s)" -ge $end ] && { printf '%s\\n' "$answer" >&2; exit 1; }
  sleep 1
done`,
    repeatable(ctx, (limit + 60) * 1000),
  );
  if (result.code !== 0) {
    throw new UserError(
      `node ${inputs.name} (${inputs.endpoint.address}): the API is not ready after ${limit} s: ${result.stderr.trim().slice(0, 500)}\n` +
        "Look at `journalctl -u kubelet` and `crictl ps -a` there; etcd's data is untouched, and `pulumi up` goes on from here",
    );
  }
}

/** Reads admin.conf over SSH: it never touches a disk here. */
export async function readOutputs(ctx: Context, inputs: ControlPlaneInputs): Promise<ControlPlaneOutputs> {
  const result = await ctx.transport.script(inputs.endpoint, `cat ${ADMIN_CONF}`, repeatable(ctx));
  if (result.code !== 0) {
    throw new UserError(
      `node ${inputs.name} (${inputs.endpoint.address}): ${ADMIN_CONF} can't be read: ${result.stderr.trim()}`,
    );
  }
  const kubeconfig = renameKubeconfig(result.stdout, inputs.owner.cluster, inputs.name);
  return { kubeconfig, caCertHash: caCertHash(kubeconfig) };
}
