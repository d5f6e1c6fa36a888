import { UserError, type Context } from "../core/kind";
import { quote } from "../core/quote";
import { lockHeld, type Lock } from "../membership/lock";
import type { WayIn } from "../membership/ways-in";
import { parseAnswers } from "../node/answers";
import { runJob } from "../node/job";
import { lastWords } from "../node/kubeadm";
import { GATEWAY } from "./gateway";
import { membersOf, parseMembers, type EtcdMember, type MemberIdentity, type Members } from "./members";
import { snapshotScript } from "./snapshot";

/** Of one step on a survivor: a snapshot of etcd's largest database, an election, a removal. */
const TIMEOUT_MS = 400_000;

export interface Removal {
  readonly node: MemberIdentity;
  /** The members to remove, found in `seen`. */
  readonly members: readonly EtcdMember[];
  /** What the quorum was judged by: nothing is done when it is not so any more. */
  readonly seen: Members;
  readonly lock: Lock;
  /** False: the removal goes on when no snapshot can be taken. */
  readonly needsSnapshot: boolean;
}

/**
 * Takes etcd members out through another control plane, as one job there that holds the cluster's lock and goes on without this run:
 * look again, snapshot, move the leadership away, remove, look again.
 */
export async function removeMembers(ctx: Context, via: WayIn, removal: Removal): Promise<void> {
  const { node, members } = removal;
  if (members.length === 0) return;
  ctx.progress(`node ${node.name}: removing its etcd member through ${via.name}, after a snapshot there`);
  const lines: string[] = [];
  const code = await runJob(ctx, via.endpoint, {
    slot: "etcd",
    what: `remove-${node.name}`,
    command: `( ${removeScript(removal)}\n)`,
    timeoutMs: TIMEOUT_MS,
    onLine: (line) => lines.push(line),
  });
  const said = lines.join("\n");
  const after = parseMembers(said).list;
  const warned = parseAnswers(said).get("warning");
  if (warned) ctx.warn(`node ${node.name}: ${warned}`);
  if (code !== 0)
    throw new UserError(
      `node ${node.name}: its etcd member was not removed (through ${via.name}):\n${lastWords(lines.filter((line) => !line.startsWith("{")))}`,
    );
  const stayed = membersOf(node, after);
  if (after.length === 0 || stayed.length > 0) {
    throw new UserError(
      `node ${node.name}: etcd ${after.length === 0 ? "does not say" : `still has member ${stayed.map(({ id }) => id).join(", ")}`} ` +
        `after its removal, as ${via.name} sees it; nothing else was done. Run again`,
    );
  }
}

function removeScript({ members, seen, lock, needsSnapshot, node }: Removal): string {
  const ids = members.map(({ id }) => id);
  const wasHealthy = seen.list.filter((one) => one.healthy && !ids.includes(one.id)).flatMap((one) => one.clientUrls);
  const urls = members.flatMap((one) => one.clientUrls);
  const noSnapshot = needsSnapshot
    ? 'echo "no snapshot could be taken, so nothing was changed: $error"; exit 1'
    : 'printf "@@ warning\\nno snapshot could be taken before the removal: %s\\n\\n@@ rest\\n" "$error"';
  return `${GATEWAY}
${lockHeld(lock)} || { echo "the cluster's lock is another's now, so nothing was changed; run again"; exit 1; }
list=$(post cluster/member/list '{}') || exit 1
[ "$(printf '%s' "$list" | digest)" = ${quote(seen.digest)} ] || { echo "etcd's members have changed meanwhile, so nothing was changed; run again"; exit 1; }
for url in ${wasHealthy.map(quote).join(" ")}; do
  healthy "$url" || { echo "the member at $url is not healthy any more, so nothing was changed; run again"; exit 1; }
done
${snapshotScript(`before-removal-of-${node.name}`)}
error=$(snapshot 2>&1) || { ${noSnapshot}; }
leader() { post maintenance/status '{}' | sed -n 's/.*"leader": *"\\([0-9]*\\)".*/\\1/p'; }
for id in ${ids.map(quote).join(" ")}; do
  [ "$(leader)" = "$id" ] || continue
  me=$(post maintenance/status '{}' | sed -n 's/.*"member_id": *"\\([0-9]*\\)".*/\\1/p')
  for url in ${urls.map(quote).join(" ")}; do post maintenance/transfer-leadership "{\\"targetID\\":\\"$me\\"}" "$url" >/dev/null 2>&1 && break; done
  n=0; while [ "$(leader)" = "$id" ] && [ $n -lt 20 ]; do n=$((n + 1)); sleep 0.5; done
  [ "$(leader)" != "$id" ] || { echo "etcd's leadership could not be moved away from it; nothing was removed"; exit 1; }
done
# After an election, etcd takes no change before all have been connected for five seconds.
for id in ${ids.map(quote).join(" ")}; do
  n=0
  while :; do
    ${lockHeld(lock)} || { echo "the cluster's lock was taken over, so nothing was removed; run again"; exit 1; }
    said=$(post cluster/member/remove "{\\"ID\\":\\"$id\\"}" 2>&1) && break
    n=$((n + 1)); [ $n -lt 10 ] || { printf '%s\\n' "$said"; exit 1; }
    sleep 2
  done
done
list=$(post cluster/member/list '{}') || exit 1
printf '\\n@@ members\\n%s\\n' "$list"`;
}
