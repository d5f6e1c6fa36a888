import type { EtcdMember } from "./members";

/** Why members must stay; undefined: their removal leaves a majority of healthy voters. */
export function quorumAfterRemoval(list: readonly EtcdMember[], ids: readonly string[]): string | undefined {
  if (list.length === 0)
    return "etcd does not say who its members are, so it is unknown whether the rest would keep a majority";
  const going = list.filter((member) => ids.includes(member.id));
  // A learner has no vote: without it the majority is what it was.
  if (going.every((member) => member.learner)) return undefined;
  const voters = list.filter((member) => !member.learner);
  const left = voters.filter((member) => !ids.includes(member.id));
  const healthy = left.filter((member) => member.healthy);
  const needed = Math.floor(left.length / 2) + 1;
  if (healthy.length >= needed) return undefined;
  return (
    `etcd has ${voters.length} voting members; without it ${left.length} stay, of which ${healthy.length} ` +
    `${healthy.length === 1 ? "is" : "are"} healthy (${healthy.map((member) => member.name).join(", ") || "none"}), and ${needed} are needed. ` +
    "Repair the unhealthy ones first"
  );
}
