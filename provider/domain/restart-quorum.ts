import type { EtcdMember } from "../etcd/members";

/** Why a control plane must not go down now, even for a while; undefined: etcd keeps its majority, or the only one is meant. */
export function quorumWhileDown(
  node: string,
  planes: readonly { readonly name: string; readonly ready: boolean }[],
  members: readonly Pick<EtcdMember, "name" | "healthy" | "learner">[],
): string | undefined {
  if (planes.length <= 1) return undefined;
  const unready = planes.filter(({ name, ready }) => name !== node && !ready).map(({ name }) => name);
  if (unready.length > 0) return `the control plane ${unready.join(", ")} is not Ready. Repair it first`;
  if (members.length === 0)
    return "etcd does not say who its members are, so it is unknown whether the rest is a majority";
  const voters = members.filter(({ learner }) => !learner);
  const healthy = voters.filter((member) => member.name !== node && member.healthy);
  const needed = Math.floor(voters.length / 2) + 1;
  if (healthy.length >= needed) return undefined;
  return (
    `of ${voters.length} members of etcd ${healthy.length} would be left healthy (${healthy.map(({ name }) => name).join(", ") || "none"}), and ` +
    `${needed} are needed. Repair the others first, or have an odd number of control planes`
  );
}
