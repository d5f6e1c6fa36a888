import { ASK, parseAnswers } from "./answers";
import { UnreachableError, type Context } from "../core/kind";
import type { Endpoint } from "../transport/transport";
import { SLOT } from "./kubeadm-slot";
import { parseMark, type Mark } from "./mark";
import { ADMIN_CONF, LOCAL_KUBECTL, MARK_PATH, RUN_DIR } from "./paths";
import { repeatable } from "./reach";

/** What kubeadm has left on a machine, as far as it decides what to do next. */
export interface NodeState {
  readonly mark: Mark | "unreadable" | undefined;
  readonly adminConf: boolean;
  readonly kubeletConf: boolean;
  readonly manifests: boolean;
  readonly etcdData: boolean;
  /** The API server of this machine is ready. */
  readonly apiHealthy: boolean;
  /** "v1.34.2", of the API server; empty when it does not answer. */
  readonly serverVersion: string;
  /** What kubeadm is doing there now: "init", "join", "reset"; empty: nothing. */
  readonly job: string;
}

/** Reads NodeState and changes nothing. */
export const STATE_SCRIPT = `${ASK}
yes() { if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }
ask mark; cat ${MARK_PATH} 2>/dev/null
ask adminConf; yes test -s ${ADMIN_CONF}
ask kubeletConf; yes test -s /etc/kubernetes/kubelet.conf
ask manifests; yes sh -c 'ls /etc/kubernetes/manifests/*.yaml'
ask etcdData; yes sh -c 'ls -A /var/lib/etcd/* | grep -q .'
ask job; [ -e ${RUN_DIR}/${SLOT}/running ] && ! flock -sn ${RUN_DIR}/${SLOT}/running true && cat ${RUN_DIR}/${SLOT}/what
ask api
if [ -s ${ADMIN_CONF} ]; then ${LOCAL_KUBECTL} get --raw /readyz 2>/dev/null; else echo none; fi
ask version
[ -s ${ADMIN_CONF} ] && ${LOCAL_KUBECTL} get --raw /version 2>/dev/null | sed -n 's/.*"gitVersion": *"\\([^"]*\\)".*/\\1/p'
exit 0`;

export function parseState(stdout: string): NodeState {
  const answers = parseAnswers(stdout);
  const yes = (name: string): boolean => answers.get(name) === "yes";
  return {
    mark: parseMark(answers.get("mark") ?? ""),
    adminConf: yes("adminConf"),
    kubeletConf: yes("kubeletConf"),
    manifests: yes("manifests"),
    etcdData: yes("etcdData"),
    apiHealthy: answers.get("api") === "ok",
    serverVersion: answers.get("version") ?? "",
    job: answers.get("job") ?? "",
  };
}

export async function lookAt(ctx: Context, at: Endpoint): Promise<NodeState> {
  const result = await ctx.transport.script(at, STATE_SCRIPT, repeatable(ctx, 90_000));
  return parseState(result.stdout);
}

/** undefined: it does not answer, which says nothing about what is on it. */
export async function lookIfReachable(ctx: Context, at: Endpoint): Promise<NodeState | undefined> {
  try {
    return await lookAt(ctx, at);
  } catch (error) {
    if (error instanceof UnreachableError) return undefined;
    throw error;
  }
}

/** Whether anything of Kubernetes is on the machine, a mark or more. */
export function holdsSomething(state: NodeState): boolean {
  return state.mark !== undefined || isMade(state);
}

/** Whether kubeadm has left anything on the machine. */
export function isMade(state: NodeState): boolean {
  return state.adminConf || state.kubeletConf || state.manifests || state.etcdData;
}
