import { UserError } from "../core/kind";
import type { Context } from "../core/kind";
import { quote } from "../core/quote";
import { requireLease } from "../corelease/scripts";
import { onHost } from "../libvirt/script";
import { MEMBERS_SCRIPT, parseMembers } from "../etcd/members";
import { drainNode } from "../membership/drain";
import { ADMIN_CONF, KUBECTL } from "../node/paths";
import { parseAnswers } from "../node/answers";
import { repeatable } from "../node/reach";
import { Semaphore } from "../transport/semaphore";
import { sleep } from "../transport/sleep";
import type { DomainInputs } from "./schema";
import { quorumWhileDown } from "./restart-quorum";
import { grace, shutDown, SHUTDOWN_SECONDS, SHUTDOWN_TIMEOUT_MS } from "./shutdown";

/** From the start until SSH answers, and from then until the node is Ready. */
const BACK_SECONDS = 600;
/** In the cluster: who is being restarted. It outlives every process and machine, so that the next run goes on. */
const RECORD = "kvmesh-restart";

/** One machine at a time in a run; the record in the cluster keeps other runs away. */
const turns = new Semaphore(1);
/** Machines whose restart failed, in order. */
const failures: string[] = [];

/**
 * Runs a change that needs a restart, and the restart: when it is this machine's turn, drained where it is in a cluster. The first failure ends
 * all restarts that wait for their turn, and they leave their machines as they were.
 *
 * @param change defines the machine anew; true when it has to be restarted for that.
 */
export async function inTurn(ctx: Context, domain: DomainInputs, change: () => Promise<boolean>): Promise<void> {
  const before = failures.length;
  await turns.use(ctx.signal, async () => {
    const failed = failures[before];
    if (failed !== undefined) {
      throw new UserError(
        `${domain.name}: not restarted, because the restart of ${failed} failed: repair that, then run again`,
      );
    }
    try {
      await restart(ctx, domain, await change());
    } catch (error) {
      failures.push(domain.name);
      throw error;
    }
  });
}

/** `needed` false: it runs with its definition already; a restart that an earlier run began is brought to its end. */
async function restart(ctx: Context, domain: DomainInputs, needed: boolean): Promise<void> {
  const { endpoint, drain } = domain.restart ?? {};
  const cluster = drain && (await isMember(ctx, drain)) ? drain : undefined;
  if (!needed && !(cluster && (await holder(ctx, cluster)) === cluster.node)) return;
  if (cluster && needed) await refuseQuorumLoss(ctx, cluster);
  const before = cluster && (await begin(ctx, domain, cluster));
  if (needed) {
    if (cluster) await drainNode(ctx, { at: cluster.controlPlane, node: cluster.node, alive: true });
    ctx.progress(`${domain.name}: shutting down, at most ${SHUTDOWN_SECONDS} s`);
    await onHost(ctx, domain.host, `restarting machine ${domain.name}`, restartScript(domain, grace(ctx)), {
      timeoutMs: SHUTDOWN_TIMEOUT_MS,
      onLine: (line) => {
        ctx.progress(`${domain.name}: ${line}`);
      },
    });
  }
  if (endpoint)
    await ctx.transport.waitUntilReachable(
      endpoint,
      BACK_SECONDS * 1000,
      (line) => ctx.progress(`${domain.name}: ${line}`),
      ctx.signal,
    );
  if (cluster && before) {
    await untilReady(ctx, cluster, before.bootId);
    await end(ctx, cluster, before.cordoned);
  }
}

/** Off, by force when it does not obey, and on again with its definition; the lease is checked before the start as at any start. */
function restartScript({ name, owner, vcpuPins }: DomainInputs, graceSeconds: number): string {
  return `m=${quote(name)}
${shutDown(graceSeconds)}lock
is_off || fail "the machine does not stop: $(state)"
${requireLease({ owner, machine: name }, vcpuPins)}
v start "$m" >/dev/null
echo started
`;
}

type Drain = NonNullable<NonNullable<DomainInputs["restart"]>["drain"]>;

async function ask(ctx: Context, { controlPlane }: Drain, script: string): Promise<ReadonlyMap<string, string>> {
  const result = await ctx.transport.script(
    controlPlane,
    `export LC_ALL=C\nask() { printf '\\n@@ %s\\n' "$1"; }\n${script}`,
    repeatable(ctx),
  );
  if (result.code === 0) return parseAnswers(result.stdout);
  throw new UserError(
    `the control plane at ${controlPlane.address} does not answer (${result.stderr.trim().slice(-300)}): nothing was restarted. ` +
      "Repair it, or set restart to never and restart machines by hand",
  );
}

/** False before the cluster is made, and of a node that has not joined. */
async function isMember(ctx: Context, drain: Drain): Promise<boolean> {
  const script = `[ -e ${ADMIN_CONF} ] || exit 0
ask node; ${KUBECTL} get node ${quote(drain.node)} --ignore-not-found -o name`;
  return ((await ask(ctx, drain, script)).get("node") ?? "") !== "";
}

/** The node that is being restarted; empty: none. */
async function holder(ctx: Context, drain: Drain): Promise<string> {
  const script = `ask record; ${KUBECTL} -n kube-system get configmap ${RECORD} --ignore-not-found -o 'jsonpath={.data.node}'`;
  return (await ask(ctx, drain, script)).get("record") ?? "";
}

/** Notes in the cluster that this node's restart has begun, or finds that an earlier run began it; another's is not interfered with. */
async function begin(ctx: Context, domain: DomainInputs, drain: Drain): Promise<{ bootId: string; cordoned: boolean }> {
  const node = quote(drain.node);
  const { project, stack } = domain.owner;
  const answers = await ask(
    ctx,
    drain,
    `boot=$(${KUBECTL} get node ${node} -o 'jsonpath={.status.nodeInfo.bootID}') || exit 1
off=$(${KUBECTL} get node ${node} -o 'jsonpath={.spec.unschedulable}') || exit 1
${KUBECTL} -n kube-system create configmap ${RECORD} --from-literal=node=${node} --from-literal=by=${quote(`${project}/${stack}`)} --from-literal=boot="$boot" --from-literal=cordoned="\${off:-false}" >/dev/null 2>&1 || true
ask record; ${KUBECTL} -n kube-system get configmap ${RECORD} -o 'jsonpath={.data.node} {.data.by} {.data.boot} {.data.cordoned}'`,
  );
  const [held = "", by = "", bootId = "", cordoned = ""] = (answers.get("record") ?? "").split(" ");
  if (held !== drain.node) {
    throw new UserError(
      `${domain.name}: not restarted, because ${held} is being restarted by ${by}, or its restart failed. Bring ${held} back and run its stack's ` +
        `\`pulumi up\` again; to give its restart up: kubectl -n kube-system delete configmap ${RECORD}; kubectl uncordon ${held}`,
    );
  }
  return { bootId, cordoned: cordoned === "true" };
}

async function refuseQuorumLoss(ctx: Context, drain: Drain): Promise<void> {
  const answers = await ask(
    ctx,
    drain,
    `ask nodes; ${KUBECTL} get nodes -l node-role.kubernetes.io/control-plane -o 'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
exit 0`,
  );
  const planes = (answers.get("nodes") ?? "").split("\n").flatMap((line) => {
    const [name, ready] = line.split(" ");
    return name ? [{ name, ready: ready === "True" }] : [];
  });
  if (!planes.some(({ name }) => name === drain.node)) return;
  const listed = await ctx.transport.script(drain.controlPlane, MEMBERS_SCRIPT, repeatable(ctx));
  const verdict = quorumWhileDown(drain.node, planes, parseMembers(listed.stdout).list);
  if (verdict !== undefined) throw new UserError(`node ${drain.node} is not restarted: ${verdict}`);
}

/** Ready with another boot: what the API server says of the old one stays for a while. */
async function untilReady(ctx: Context, drain: Drain, oldBootId: string): Promise<void> {
  const started = Date.now();
  let last = "";
  for (;;) {
    const seconds = Math.round((Date.now() - started) / 1000);
    try {
      const answers = await ask(
        ctx,
        drain,
        `ask ready; ${KUBECTL} get node ${quote(drain.node)} -o 'jsonpath={.status.nodeInfo.bootID} {.status.conditions[?(@.type=="Ready")].status}'`,
      );
      const [bootId, ready] = (answers.get("ready") ?? "").split(" ");
      if (ready === "True" && bootId !== oldBootId) return;
      last = ready === "True" ? "it has not reported since its start" : "it is not Ready";
    } catch (error) {
      // The first control plane restarts itself: its API needs a while.
      ctx.signal.throwIfAborted();
      last = (error as Error).message;
    }
    if (seconds >= BACK_SECONDS) {
      throw new UserError(
        `node ${drain.node} was restarted, but is not back after ${BACK_SECONDS} s (${last}). It stays cordoned; see its console and kubelet, then run again: ` +
          "the next run goes on from here",
      );
    }
    ctx.progress(`node ${drain.node}: waiting to be Ready: ${seconds} of ${BACK_SECONDS} s (${last})`);
    await sleep(3000, ctx.signal);
  }
}

/** A node that somebody had cordoned before stays cordoned. */
async function end(ctx: Context, drain: Drain, cordoned: boolean): Promise<void> {
  const uncordon = cordoned ? "" : `${KUBECTL} uncordon ${quote(drain.node)} >/dev/null || exit 1\n`;
  await ask(
    ctx,
    drain,
    `${uncordon}${KUBECTL} -n kube-system delete configmap ${RECORD} --ignore-not-found >/dev/null`,
  );
}
