import { UserError, type Context } from "../core/kind";
import { parseAnswers } from "../node/answers";
import { repeatable } from "../node/reach";
import type { Endpoint } from "../transport/transport";
import { GATEWAY } from "./gateway";

/**
 * Lists the members as this machine's etcd has them, then asks each for its health. `digest` changes with the list, not with elections.
 */
export const MEMBERS_SCRIPT = `${GATEWAY}
list=$(post cluster/member/list '{}') || exit 1
printf '\\n@@ members\\n%s\\n\\n@@ digest\\n%s\\n\\n@@ healthy\\n' "$list" "$(printf '%s' "$list" | digest)"
for url in $(printf '%s' "$list" | client_urls); do healthy "$url" && echo "$url"; done
exit 0`;

export interface EtcdMember {
  /** Decimal, as the API has it. */
  readonly id: string;
  /** The node's name; empty before the member has started once. */
  readonly name: string;
  /** Where the other members reach it, "https://10.0.0.11:2380"; known also of a member that never started. */
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly healthy: boolean;
  readonly learner: boolean;
}

export interface Members {
  readonly list: readonly EtcdMember[];
  /** Of the list, so that it can be asked whether it is still the same. */
  readonly digest: string;
}

/** What MEMBERS_SCRIPT said; an empty list when etcd did not answer. */
export function parseMembers(stdout: string): Members {
  const answers = parseAnswers(stdout);
  const text = answers.get("members") ?? "";
  if (!text.startsWith("{")) return { list: [], digest: "" };
  const { members } = JSON.parse(text) as {
    members: { ID: string; name?: string; peerURLs?: string[]; clientURLs?: string[]; isLearner?: boolean }[];
  };
  const healthy = new Set((answers.get("healthy") ?? "").split("\n"));
  const list = members.map((member) => ({
    id: member.ID,
    name: member.name ?? "",
    peerUrls: member.peerURLs ?? [],
    clientUrls: member.clientURLs ?? [],
    healthy: (member.clientURLs ?? []).some((url) => healthy.has(url)),
    learner: member.isLearner === true,
  }));
  return { list, digest: answers.get("digest") ?? "" };
}

export async function membersSeenBy(ctx: Context, at: Endpoint): Promise<Members> {
  const result = await ctx.transport.script(at, MEMBERS_SCRIPT, repeatable(ctx, 90_000));
  const members = parseMembers(result.stdout);
  if (members.list.length > 0) return members;
  throw new UserError(`etcd at ${at.address} does not say who its members are: ${result.stderr.trim().slice(-300)}`);
}

/** A node as etcd may know it: by name once its member has started, by the address of its peer URL before. */
export interface MemberIdentity {
  readonly name: string;
  /** IPv4 address that the node tells the others; undefined: only its name is known. */
  readonly address: string | undefined;
}

/** All members that are this node's: after a join that was cut off and begun again there can be more than one. */
export function membersOf(node: MemberIdentity, list: readonly EtcdMember[]): EtcdMember[] {
  return list.filter(
    (member) =>
      member.name === node.name ||
      (node.address !== undefined && member.peerUrls.some((url) => new URL(url).hostname === node.address)),
  );
}
