import { UserError, type Context } from "../core/kind";
import { quote } from "../core/quote";
import type { Endpoint } from "../transport/transport";
import { followJob, runJob } from "./job";
import { SLOT } from "./kubeadm-slot";
import { CONFIG_PATH, MARK_PATH, RUN_DIR } from "./paths";
import { lookAt, type NodeState } from "./state";

export interface KubeadmRun {
  readonly node: string;
  readonly verb: "init" | "join";
  /** Arguments, quoted already. */
  readonly args: string;
  /** Shell that is run when kubeadm has ended, whatever its result. */
  readonly after?: string;
  readonly timeoutMs: number;
}

/** kubeadm init or join as a job; its phases become progress, its last words the error. */
export async function runKubeadm(ctx: Context, at: Endpoint, run: KubeadmRun): Promise<void> {
  const started = Date.now();
  const lines: string[] = [];
  let phase = "";
  const code = await runJob(ctx, at, {
    slot: SLOT,
    what: run.verb,
    command: `kubeadm ${run.verb} ${run.args}\ncode=$?\n${run.after ?? ":"}\n(exit $code)`,
    timeoutMs: run.timeoutMs,
    onLine: (line) => {
      lines.push(line);
      const next = /^\[([a-z-]+)\]/.exec(line)?.[1];
      if (next === undefined || next === phase) return;
      phase = next;
      ctx.progress(`node ${run.node}: kubeadm ${run.verb}: ${phase} (${Math.round((Date.now() - started) / 1000)} s)`);
    },
  });
  if (code !== 0) {
    throw new UserError(
      `node ${run.node} (${at.address}): kubeadm ${run.verb} failed in phase "${phase}" after ${Math.round((Date.now() - started) / 1000)} s:\n` +
        `${lastWords(lines)}\nWhen the cause is removed, \`pulumi up\` goes on where this run was`,
    );
  }
}

/**
 * What is on a machine once nothing of ours runs there any more: a job of an earlier run, which goes on without it, is waited for, so
 * that nothing is ever begun beside it or taken away under it.
 */
export async function settledState(
  ctx: Context,
  at: Endpoint,
  node: string,
  timeoutSeconds: number,
): Promise<NodeState> {
  const state = await lookAt(ctx, at);
  if (state.job === "") return state;
  ctx.progress(
    `node ${node}: kubeadm ${state.job} of an earlier run goes on there; waiting, at most ${timeoutSeconds} s`,
  );
  await followJob(ctx, at, {
    slot: SLOT,
    timeoutMs: timeoutSeconds * 1000,
    onLine: (line) => {
      const phase = /^\[([a-z-]+)\]/.exec(line)?.[1];
      if (phase !== undefined) ctx.progress(`node ${node}: kubeadm ${state.job}: ${phase}`);
    },
  });
  const after = await lookAt(ctx, at);
  if (after.job === "") return after;
  throw new UserError(
    `node ${node} (${at.address}): kubeadm ${after.job} of an earlier run still goes on after ${timeoutSeconds} s; nothing was changed. Run again later`,
  );
}

/** What kubeadm said at the end, without its advice for people at a terminal and without anything like a token or key. */
export function lastWords(lines: readonly string[]): string {
  return lines
    .filter(
      (line) =>
        line.trim() !== "" && !/^To see the stack trace|^\[preflight\] If you know what you are doing/.test(line),
    )
    .slice(-12)
    .map((line) => `  ${redact(line)}`)
    .join("\n");
}

export function redact(line: string): string {
  return line.replace(/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g, "[token]").replace(/\b[0-9a-f]{64}\b/g, "[key]");
}

/** "--ignore-preflight-errors=…", or nothing. */
export function ignoring(checks: readonly string[]): string {
  return checks.length === 0 ? "" : ` --ignore-preflight-errors=${quote(checks.join(","))}`;
}

/**
 * Takes a node back to what it was before kubeadm. Its etcd member is no business of this: who calls it has taken the member out, or
 * destroys the whole cluster. Without systemctl, kubeadm can't stop the kubelet, which would start the control plane's containers again
 * while they are being removed: it is ended then, and the clean-up is run again.
 * Rules of kube-proxy and the CNI in iptables stay, as kubeadm leaves them; they go with the next boot.
 */
export async function resetNode(ctx: Context, at: Endpoint, node: string): Promise<void> {
  ctx.progress(`node ${node}: kubeadm reset`);
  const lines: string[] = [];
  const code = await runJob(ctx, at, {
    slot: SLOT,
    what: "reset",
    command: `( export LC_ALL=C
if command -v kubeadm >/dev/null; then
  timeout 300 kubeadm reset -f --skip-phases=remove-etcd-member 2>&1 || exit 1
  if ! command -v systemctl >/dev/null && pkill -x kubelet; then
    sleep 1
    timeout 300 kubeadm reset -f --skip-phases=remove-etcd-member 2>&1 || exit 1
  fi
fi
for link in flannel.1 cni0; do ip link delete "$link" 2>/dev/null; done
rm -rf /var/lib/etcd/* /etc/cni/net.d/10-flannel.conflist /run/flannel /var/lib/cni ${RUN_DIR}/join.yaml ${CONFIG_PATH} ${MARK_PATH}
exit 0 )`,
    timeoutMs: 660_000,
    onLine: (line) => lines.push(line),
  });
  if (code !== 0)
    throw new UserError(`node ${node} (${at.address}): kubeadm reset failed (exit ${code}):\n${lastWords(lines)}`);
}
