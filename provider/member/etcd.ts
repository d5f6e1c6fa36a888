import { KUBECTL, MARK_PATH } from "../node/paths";
import { parseAnswers } from "../node/answers";

/**
 * Members and health, asked in the etcd pod of this control plane: the machine itself has no etcdctl. The first line
 * defines `etcdctl` for other scripts as well.
 */
export const membersScript = `etcdctl() { ${KUBECTL} -n kube-system exec "etcd-$(sed -n 's/.*"node":"\\([^"]*\\)".*/\\1/p' ${MARK_PATH})" -- etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key "$@"; }
printf '\\n@@ members\\n'; etcdctl member list -w json
printf '\\n@@ health\\n'; etcdctl endpoint health --cluster -w json 2>/dev/null
exit 0`;

export interface EtcdMember {
  /** Hexadecimal, as etcdctl takes it. */
  readonly id: string;
  /** The node's name; empty before the member has started once. */
  readonly name: string;
  readonly healthy: boolean;
  readonly learner: boolean;
}

export function parseMembers(stdout: string): EtcdMember[] {
  const answers = parseAnswers(stdout);
  // Ids have 64 bits: as JSON numbers they would be rounded.
  const text = (answers.get("members") ?? "").replace(/"ID":(\d+)/g, '"ID":"$1"');
  if (!text.startsWith("{")) return [];
  const list = JSON.parse(text) as {
    members: { ID: string; name?: string; clientURLs?: string[]; isLearner?: boolean }[];
  };
  const healthText = answers.get("health") ?? "";
  const health = healthText.startsWith("[") ? (JSON.parse(healthText) as { endpoint: string; health: boolean }[]) : [];
  const healthy = new Set(health.filter((one) => one.health).map((one) => one.endpoint));
  return list.members.map((member) => ({
    id: BigInt(member.ID).toString(16),
    name: member.name ?? "",
    healthy: (member.clientURLs ?? []).some((url) => healthy.has(url)),
    learner: member.isLearner === true,
  }));
}

/** Why a member must stay; undefined: its removal leaves a majority of healthy voters. */
export function quorumAfterRemoval(members: readonly EtcdMember[], name: string): string | undefined {
  if (members.length === 0)
    return "etcd does not say who its members are, so it is unknown whether the rest would keep a majority";
  if (!members.some((member) => member.name === name)) return undefined;
  const voters = members.filter((member) => !member.learner);
  const left = voters.filter((member) => member.name !== name);
  const healthy = left.filter((member) => member.healthy);
  const needed = Math.floor(left.length / 2) + 1;
  if (healthy.length >= needed) return undefined;
  return (
    `etcd has ${voters.length} voting members; without it ${left.length} stay, of which ${healthy.length} ` +
    `${healthy.length === 1 ? "is" : "are"} healthy (${healthy.map((member) => member.name).join(", ") || "none"}), and ${needed} are needed. ` +
    "Repair the unhealthy ones first"
  );
}
