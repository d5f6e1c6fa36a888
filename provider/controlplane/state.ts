import type { Owner } from "../core/check";
import { ASK, parseAnswers } from "../node/answers";
import { isOurs, parseMark, type Mark } from "../node/mark";
import { ADMIN_CONF, KUBECTL, MARK_PATH } from "../node/paths";

/** What kubeadm has left on a machine, as far as it decides what to do next. */
export interface NodeState {
  readonly mark: Mark | "unreadable" | undefined;
  readonly adminConf: boolean;
  readonly kubeletConf: boolean;
  readonly manifests: boolean;
  readonly etcdData: boolean;
  readonly apiHealthy: boolean;
  /** "v1.34.2", of the API server; empty when it does not answer. */
  readonly serverVersion: string;
}

/** Reads NodeState and changes nothing. */
export const STATE_SCRIPT = `${ASK}
yes() { if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }
ask mark; cat ${MARK_PATH} 2>/dev/null
ask adminConf; yes test -s ${ADMIN_CONF}
ask kubeletConf; yes test -s /etc/kubernetes/kubelet.conf
ask manifests; yes sh -c 'ls /etc/kubernetes/manifests/*.yaml'
ask etcdData; yes sh -c 'ls -A /var/lib/etcd/* | grep -q .'
ask api
if [ -s ${ADMIN_CONF} ]; then ${KUBECTL} get --raw /readyz 2>/dev/null; else echo none; fi
ask version
[ -s ${ADMIN_CONF} ] && ${KUBECTL} get --raw /version 2>/dev/null | sed -n 's/.*"gitVersion": *"\\([^"]*\\)".*/\\1/p'
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
  };
}

/**
 * What makes a control plane of a machine in this state:
 * `refuse`: it belongs to something else. `init`: nothing is there. `clear-and-init`: a run of ours was cut off before
 * etcd held anything. `resume`: cut off later; kubeadm's phases are run again over what is there, etcd's data stays.
 * `wait`: made completely, but its API does not answer. `adopt`: made and healthy.
 */
export type Action = "refuse" | "init" | "clear-and-init" | "resume" | "wait" | "adopt";

export function decide(state: NodeState, owner: Owner, node: string): Action {
  const something = state.adminConf || state.kubeletConf || state.manifests || state.etcdData;
  if (state.mark === undefined && !something) return "init";
  if (!isOurs(state.mark, owner, node) || state.mark.role !== "first-control-plane") return "refuse";
  if (!state.etcdData) return something ? "clear-and-init" : "init";
  if (state.mark.phase === "started" || !state.adminConf) return "resume";
  return state.apiHealthy ? "adopt" : "wait";
}
