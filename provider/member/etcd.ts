import { parseAnswers } from "../node/answers";

const PKI = "/etc/kubernetes/pki/etcd";

/**
 * etcd's HTTP API (its gRPC gateway), asked by kubectl as a client with a certificate: a control plane has no etcdctl, its
 * etcd image need not have one either, and curl is not on every machine.
 */
const ETCD = `etcd() { kubectl --kubeconfig=/dev/null --request-timeout=10s --certificate-authority=${PKI}/ca.crt --client-certificate=${PKI}/healthcheck-client.crt --client-key=${PKI}/healthcheck-client.key "$@"; }
post() { printf '%s' "$2" | etcd --server=https://127.0.0.1:2379 create --raw "/v3/cluster/member/$1" -f -; }`;

/** Lists the members, then asks each for its health. */
export const MEMBERS_SCRIPT = `${ETCD}
list=$(post list '{}') || exit 1
printf '\\n@@ members\\n%s\\n\\n@@ healthy\\n' "$list"
for url in $(printf '%s' "$list" | grep -o '"clientURLs":\\["[^"]*"' | cut -d '"' -f 4); do
  case "$(etcd --server="$url" get --raw /health 2>/dev/null)" in *'"health":"true"'*) echo "$url" ;; esac
done`;

export function removeMemberScript(id: string): string {
  return `${ETCD}\npost remove '{"ID":"${id}"}'`;
}

export interface EtcdMember {
  /** Decimal, as the API has it. */
  readonly id: string;
  /** The node's name; empty before the member has started once. */
  readonly name: string;
  readonly healthy: boolean;
  readonly learner: boolean;
}

/** What MEMBERS_SCRIPT said; empty when etcd did not answer. */
export function parseMembers(stdout: string): EtcdMember[] {
  const answers = parseAnswers(stdout);
  const text = answers.get("members") ?? "";
  if (!text.startsWith("{")) return [];
  const { members } = JSON.parse(text) as {
    members: { ID: string; name?: string; clientURLs?: string[]; isLearner?: boolean }[];
  };
  const healthy = new Set((answers.get("healthy") ?? "").split("\n"));
  return members.map((member) => ({
    id: member.ID,
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
