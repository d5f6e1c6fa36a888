import { randomBytes } from "node:crypto";
import { UserError, type Context } from "../core/kind";
import { quote } from "../core/quote";
import { ASK, parseAnswers } from "../node/answers";
import { LOCAL_KUBECTL } from "../node/paths";
import { repeatable } from "../node/reach";
import { Semaphore } from "../transport/semaphore";
import { sleep } from "../transport/sleep";
import { lookIfReachable } from "../node/state";
import type { Endpoint } from "../transport/transport";
import type { WayIn } from "./ways-in";

/** The Lease that stands for the lock, in kube-system: `kubectl -n kube-system get lease kvmesh-membership`. */
const LEASE = "kvmesh-membership";
const RENEW_MS = 5000;
/** A holder that has not renewed for so long, as the one who waits sees it (no clock of another machine is believed), is gone. */
const STALE_MS = 20_000;
/** For another run's change to end. */
const WAIT_MS = 900_000;

export interface Lock {
  /** Of this run and this change; nobody else's. */
  readonly holder: string;
}

/** A change of a cluster's control planes. */
export interface MembershipChange {
  /** "join" or "leave". */
  readonly what: string;
  /** The node that joins or leaves, whose job may outlive its run. */
  readonly node: string;
  /** "project/stack", for whoever waits. */
  readonly by: string;
  /** Where the jobs of all control planes can be looked for. */
  readonly machines: readonly { readonly name: string; readonly endpoint: Endpoint }[];
  /** A job of this change has ended by then. */
  readonly timeoutSeconds: number;
}

/** By cluster: in one run, changes wait for each other without asking the API. */
const turns = new Map<string, Semaphore>();

/**
 * Runs one change of a cluster's control planes while no other goes on, in this run or any other: under a Lease that this run renews. A run
 * that dies leaves the Lease; it is taken over once it is stale and no job of its change goes on, on the node that it names.
 */
export async function withLock<T>(
  ctx: Context,
  clusterId: string,
  via: WayIn,
  change: MembershipChange,
  act: (lock: Lock) => Promise<T>,
): Promise<T> {
  let turn = turns.get(clusterId);
  if (turn === undefined) turns.set(clusterId, (turn = new Semaphore(1)));
  return turn.use(ctx.signal, async () => {
    const lock = { holder: `${change.what} ${change.node} ${randomBytes(6).toString("hex")}` };
    await acquire(ctx, via, change, lock);
    const renewal = setInterval(() => void renew(ctx, via, lock).catch(() => undefined), RENEW_MS);
    try {
      return await act(lock);
    } finally {
      clearInterval(renewal);
      await release(ctx, via, change, lock).catch(() => undefined);
    }
  });
}

/** Shell: true while the lock is this one's. */
export function lockHeld({ holder }: Lock): string {
  return `[ "$(${GET} -o 'jsonpath={.spec.holderIdentity}')" = ${quote(holder)} ]`;
}

const GET = `${LOCAL_KUBECTL} -n kube-system get lease ${LEASE}`;

interface Held {
  readonly holder: string;
  readonly node: string;
  readonly by: string;
  readonly renewed: string;
  readonly version: string;
  /** Seconds that its job can still go on, by the clock of the machine that was asked. */
  readonly left: number;
}

async function acquire(ctx: Context, via: WayIn, change: MembershipChange, lock: Lock): Promise<void> {
  const started = Date.now();
  let seen: { renewed: string; at: number } | undefined;
  for (;;) {
    const held = await take(ctx, via, change, lock, undefined);
    if (held === undefined) return;
    if (seen?.renewed !== held.renewed) seen = { renewed: held.renewed, at: Date.now() };
    const silent = Date.now() - seen.at >= STALE_MS;
    if (silent && (await hasEnded(ctx, change, held))) {
      ctx.progress(`node ${change.node}: the lock of ${held.holder} (${held.by}) is stale; taking it over`);
      if ((await take(ctx, via, change, lock, held.version)) === undefined) return;
    }
    if (Date.now() - started > WAIT_MS) {
      throw new UserError(
        `node ${change.node}: another change of this cluster's control planes goes on: ${held.holder}, by ${held.by}. Nothing was done. ` +
          `When it is certain that it does not: kubectl -n kube-system delete lease ${LEASE}`,
      );
    }
    ctx.progress(
      `node ${change.node}: waiting for another change of the control planes: ${held.holder}, by ${held.by} ` +
        `(${Math.round((Date.now() - started) / 1000)} of ${WAIT_MS / 1000} s)`,
    );
    await sleep(2000, ctx.signal);
  }
}

/** A job that goes on without its run is looked for on its node; where that can't be, its time limit is waited for. */
async function hasEnded(ctx: Context, change: MembershipChange, held: Held): Promise<boolean> {
  if (held.left <= 0) return true;
  const machine = change.machines.find(({ name }) => name === held.node);
  const state = machine && (await lookIfReachable(ctx, machine.endpoint));
  return state !== undefined && state.job === "";
}

/** Creates the Lease, or replaces exactly the version that was judged; returns who holds it instead. */
async function take(
  ctx: Context,
  via: WayIn,
  change: MembershipChange,
  lock: Lock,
  version: string | undefined,
): Promise<Held | undefined> {
  const lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: LEASE,
      namespace: "kube-system",
      annotations: { "kvmesh/node": change.node, "kvmesh/by": change.by, "kvmesh/until": "UNTIL" },
      ...(version === undefined ? {} : { resourceVersion: version }),
    },
    spec: { holderIdentity: lock.holder, leaseDurationSeconds: STALE_MS / 1000, acquireTime: "NOW", renewTime: "NOW" },
  };
  const verb = version === undefined ? "create" : "replace";
  const result = await ctx.transport.script(
    via.endpoint,
    `${ASK}
now=$(date -u +%Y-%m-%dT%H:%M:%S.000000Z); until=$(($(date +%s) + ${Math.ceil(change.timeoutSeconds) + 120}))
said=$(printf '%s' ${quote(JSON.stringify(lease))} | sed "s/\\"NOW\\"/\\"$now\\"/g; s/\\"UNTIL\\"/\\"$until\\"/" | ${LOCAL_KUBECTL} ${verb} -f - 2>&1)
ask said; printf '%s\\n' "$said"
ask lease; ${GET} --ignore-not-found -o 'jsonpath={.spec.holderIdentity}|{.metadata.annotations.kvmesh/node}|{.metadata.annotations.kvmesh/by}|{.spec.renewTime}|{.metadata.resourceVersion}|{.metadata.annotations.kvmesh/until}' || exit 1
ask now; date +%s`,
    repeatable(ctx),
  );
  const answers = parseAnswers(result.stdout);
  const [holder = "", node = "", by = "", renewed = "", found = "", until = ""] = (answers.get("lease") ?? "").split(
    "|",
  );
  if (holder === lock.holder) return undefined;
  if (result.code !== 0 || holder === "") {
    throw new UserError(
      `node ${change.node}: the cluster's lock can't be taken through ${via.name}: ` +
        (result.stderr.trim() || (answers.get("said") ?? "")).slice(-300),
    );
  }
  return { holder, node, by, renewed, version: found, left: Number(until) - Number(answers.get("now")) };
}

async function renew(ctx: Context, via: WayIn, lock: Lock): Promise<void> {
  await ctx.transport.script(
    via.endpoint,
    `${lockHeld(lock)} && ${LOCAL_KUBECTL} -n kube-system patch lease ${LEASE} --type=merge -p "{\\"spec\\":{\\"renewTime\\":\\"$(date -u +%Y-%m-%dT%H:%M:%S.%N | cut -c 1-26)Z\\"}}" >/dev/null`,
    { timeoutMs: 30_000, idempotent: true },
  );
}

/** Also after Ctrl-C. A Lease that stays, because a job goes on or nobody can say, is taken over later. */
async function release(ctx: Context, via: WayIn, change: MembershipChange, lock: Lock): Promise<void> {
  const parting = { ...ctx, signal: new AbortController().signal };
  const machine = change.machines.find(({ name }) => name === change.node);
  const state = machine && (await lookIfReachable(parting, machine.endpoint));
  // A machine that is dead runs nothing.
  if (state !== undefined && state.job !== "") return;
  await ctx.transport.script(
    via.endpoint,
    `${lockHeld(lock)} && ${LOCAL_KUBECTL} -n kube-system delete lease ${LEASE} >/dev/null`,
    { timeoutMs: 30_000, idempotent: true, signal: parting.signal },
  );
}
