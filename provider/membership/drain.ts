import { UserError, type Context } from "../core/kind";
import { LOCAL_KUBECTL } from "../node/paths";
import { repeatable } from "../node/reach";
import type { Endpoint } from "../transport/transport";

/** A drain that isn't done by then is blocked, and says by what. */
const DRAIN_SECONDS = 180;

export interface DrainOptions {
  /** A control plane. */
  readonly at: Endpoint;
  readonly node: string;
  /** A dead node's pods can't be evicted in an orderly way: they are waited for a short time only. */
  readonly alive: boolean;
}

/** Cordons a node and evicts its pods; nothing is done for a node that the cluster does not know. The flag's name changed in 1.20. */
export async function drainNode(ctx: Context, { at, node, alive }: DrainOptions): Promise<void> {
  ctx.progress(`node ${node}: draining, at most ${DRAIN_SECONDS} s`);
  const result = await ctx.transport.script(
    at,
    `export LC_ALL=C
found=$(${LOCAL_KUBECTL} get node ${node} --ignore-not-found -o name 2>&1) || { printf '%s\\n' "$found"; exit 1; }
[ -n "$found" ] || exit 0
flag=--delete-local-data
! kubectl drain --help 2>/dev/null | grep -q -e --delete-emptydir-data || flag=--delete-emptydir-data
${LOCAL_KUBECTL.replace("15s", "0")} drain ${node} --ignore-daemonsets --force $flag --timeout=${DRAIN_SECONDS}s${alive ? "" : " --skip-wait-for-delete-timeout=1"} 2>&1
code=$?
[ $code -eq 0 ] || { echo '@@ budgets'; ${LOCAL_KUBECTL} get pdb -A -o 'jsonpath={range .items[?(@.status.disruptionsAllowed==0)]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'; }
exit $code`,
    repeatable(ctx, (DRAIN_SECONDS + 60) * 1000),
  );
  if (result.code !== 0) throw drainError(node, result.stdout);
}

/** Which pods stayed and which budgets kept them. */
export function drainError(node: string, stdout: string): UserError {
  const [said = "", budgets = ""] = stdout.split(/^@@ budgets$/m);
  const blocked = [
    ...new Set([...said.matchAll(/pods?[/ ]"?([^"\s]+)"?.*disruption budget/g)].map((match) => match[1])),
  ];
  const names = budgets.split("\n").filter((line) => line.trim() !== "");
  const cause =
    names.length > 0
      ? `PodDisruptionBudget ${names.join(", ")} allows no disruption${blocked.length > 0 ? ` of ${blocked.join(", ")}` : ""}; ` +
        "give its workload one replica more, or lower the budget"
      : said.trim().split("\n").slice(-4).join("\n  ");
  return new UserError(
    `node ${node} could not be drained within ${DRAIN_SECONDS} s: ${cause}. It stays cordoned; nothing was removed`,
  );
}
