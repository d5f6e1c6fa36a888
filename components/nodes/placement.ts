import type { HostSpec, Role } from "../../config/spec";
import { cpuSet, type Bytes, type CpuSet } from "../../config/units";
import { coresOf, freeReport, ledgerOf, type HostLedger, type Core } from "./ledger";

/**
 * The core ledger: which machine gets which cores of which host. Pure: the same input gives the same placement.
 *
 * How it decides, for each machine that has no place yet, control planes first, then the widest, then by pool and index:
 *   1. hosts on which it fits, on one NUMA node if that can be, else over several;
 *   2. a control plane goes where the fewest control planes are;
 *   3. a place on one NUMA node goes before a place over several;
 *   4. a worker goes where the fewest of its pool are; then the host with most free cores; then the first by name;
 *   5. on the host, the NUMA node with the fewest free cores that still holds it, so that wide gaps stay wide.
 *
 * What has a place keeps it: `placed` is what the last update made (see memory.ts), and such a machine is taken as it
 * stands as long as its cores exist, are free of housekeeping and are as many as it asks for. So growing or shrinking any
 * pool moves no other machine. Without `placed`, the rule alone decides: machines that come last in the order above move
 * nobody, others may. It does not search: a set that only fits in another order is refused, and the error says what is
 * free where.
 */

export interface MachineRequest {
  /** Node name, unique in the stack. */
  readonly name: string;
  readonly pool: string;
  readonly index: number;
  readonly role: Role;
  readonly vcpus: number;
  readonly memory: Bytes;
  /** Names of the hosts that it may be on. */
  readonly hosts: readonly string[];
  /** `shared`: only memory is counted, no core is taken. */
  readonly cpu: "dedicated" | "shared";
}

export interface Placement {
  readonly name: string;
  readonly host: string;
  /** vcpuPins[i] is the host CPU of vCPU i; empty for `shared`. */
  readonly vcpuPins: readonly number[];
  /** Whole physical cores: every sibling of every core in vcpuPins. */
  readonly cpus: CpuSet;
  /** The one NUMA node of all its cores; undefined over several, and for `shared`. */
  readonly numaNode?: number;
}

/** Where a machine is already. */
export interface Placed {
  readonly name: string;
  readonly host: string;
  readonly vcpuPins: readonly number[];
}

export class PlacementError extends Error {
  override readonly name = "PlacementError";
}

/** A place for every request, in the order of the requests; throws one PlacementError that names every misfit. */
export function place(
  hosts: readonly HostSpec[],
  requests: readonly MachineRequest[],
  placed: readonly Placed[] = [],
): readonly Placement[] {
  const ledgers = new Map(
    [...hosts].sort((a, b) => (a.name < b.name ? -1 : 1)).map((host) => [host.name, ledgerOf(host)]),
  );
  const known = new Map(placed.map((entry) => [entry.name, entry]));
  const result = new Map<string, Placement>();
  const misfits: string[] = [];
  const order = [...requests].sort(compare);

  for (const request of order) {
    const kept = keep(request, known.get(request.name), ledgers);
    if (kept) result.set(request.name, kept);
  }
  for (const request of order) {
    if (result.has(request.name)) continue;
    const found = choose(request, ledgers);
    if (found) result.set(request.name, take(request, found));
    else misfits.push(misfit(request, ledgers));
  }
  if (misfits.length > 0) throw new PlacementError(misfits.join("\n"));
  return requests.map((request) => result.get(request.name)!);
}

function compare(a: MachineRequest, b: MachineRequest): number {
  if (a.role !== b.role) return a.role === "control-plane" ? -1 : 1;
  if (a.vcpus !== b.vcpus) return b.vcpus - a.vcpus;
  if (a.pool !== b.pool) return a.pool < b.pool ? -1 : 1;
  return a.index - b.index;
}

/** Cores and memory of one host that would hold a machine. */
interface Fit {
  readonly ledger: HostLedger;
  readonly cores: readonly Core[];
  /** Memory taken of each NUMA node. */
  readonly memory: ReadonlyMap<number, number>;
}

function choose(request: MachineRequest, ledgers: ReadonlyMap<string, HostLedger>): Fit | undefined {
  let best: { readonly fit: Fit; readonly rank: readonly number[] } | undefined;
  for (const name of [...request.hosts].sort()) {
    const ledger = ledgers.get(name);
    const fit = ledger && fitOn(ledger, request);
    if (!fit) continue;
    const rank = rankOf(fit, request);
    if (!best || less(rank, best.rank)) best = { fit, rank };
  }
  return best?.fit;
}

function rankOf({ ledger, cores }: Fit, request: MachineRequest): readonly number[] {
  const nodes = new Set(cores.map((core) => core.node)).size;
  const free = ledger.nodes.reduce((sum, node) => sum + node.free.length, 0);
  const memory = ledger.nodes.reduce((sum, node) => sum + node.freeMemory, 0);
  return [
    request.role === "control-plane" ? ledger.controlPlanes : 0,
    nodes,
    ledger.machinesOf.get(request.pool) ?? 0,
    -free,
    -memory,
  ];
}

function less(a: readonly number[], b: readonly number[]): boolean {
  const i = a.findIndex((value, at) => value !== b[at]);
  return i >= 0 && a[i]! < b[i]!;
}

function fitOn(ledger: HostLedger, request: MachineRequest): Fit | undefined {
  if (request.cpu === "shared") {
    if (request.vcpus > ledger.host.facts.cpus.length) return undefined;
    const memory = spread(ledger, request.memory);
    return memory && { ledger, cores: [], memory };
  }
  const byTightness = ledger.nodes
    .filter((node) => node.freeMemory >= request.memory)
    .sort((a, b) => a.free.length - b.free.length || a.node - b.node);
  for (const node of byTightness) {
    const cores = coresFor(node.free, request.vcpus);
    if (cores) return { ledger, cores, memory: new Map([[node.node, request.memory]]) };
  }
  const roomiest = [...ledger.nodes].sort((a, b) => b.free.length - a.free.length || a.node - b.node);
  const cores = coresFor(
    roomiest.flatMap((node) => node.free),
    request.vcpus,
  );
  const memory = cores && spread(ledger, request.memory);
  return cores && memory && { ledger, cores, memory };
}

/** The first cores that hold so many vCPUs; undefined when these are too few. */
function coresFor(free: readonly Core[], vcpus: number): readonly Core[] | undefined {
  const taken: Core[] = [];
  let threads = 0;
  for (const core of free) {
    if (threads >= vcpus) break;
    taken.push(core);
    threads += core.cpus.length;
  }
  return threads >= vcpus ? taken : undefined;
}

/** Memory from the NUMA nodes with most of it free first. */
function spread(ledger: HostLedger, bytes: number): ReadonlyMap<number, number> | undefined {
  const taken = new Map<number, number>();
  let left = bytes;
  for (const node of [...ledger.nodes].sort((a, b) => b.freeMemory - a.freeMemory || a.node - b.node)) {
    const part = Math.min(left, node.freeMemory);
    if (part > 0) taken.set(node.node, part);
    left -= part;
  }
  return left === 0 ? taken : undefined;
}

function take(request: MachineRequest, fit: Fit): Placement {
  const { ledger, cores, memory } = fit;
  const taken = new Set(cores);
  for (const node of ledger.nodes) {
    node.free = node.free.filter((core) => !taken.has(core));
    node.freeMemory -= memory.get(node.node) ?? 0;
  }
  ledger.machinesOf.set(request.pool, (ledger.machinesOf.get(request.pool) ?? 0) + 1);
  if (request.role === "control-plane") ledger.controlPlanes += 1;
  const cpus = cores.flatMap((core) => core.cpus);
  const nodes = new Set(cores.map((core) => core.node));
  return {
    name: request.name,
    host: ledger.host.name,
    vcpuPins: cpus.slice(0, request.vcpus),
    cpus: cpuSet(cpus),
    numaNode: nodes.size === 1 ? cores[0]!.node : undefined,
  };
}

/** The place that a machine has already, if it may stay there. */
function keep(
  request: MachineRequest,
  placed: Placed | undefined,
  ledgers: ReadonlyMap<string, HostLedger>,
): Placement | undefined {
  const ledger = placed && request.hosts.includes(placed.host) ? ledgers.get(placed.host) : undefined;
  if (!placed || !ledger) return undefined;
  if (request.cpu === "shared") {
    const fit = fitOn(ledger, request);
    return fit && take(request, fit);
  }
  const pins = placed.vcpuPins;
  if (pins.length !== request.vcpus) return undefined;
  const cores = coresOf(ledger, pins);
  if (!cores) return undefined;
  const nodes = new Set(cores.map((core) => core.node));
  const local = ledger.nodes.find((node) => nodes.size === 1 && nodes.has(node.node));
  const memory =
    local && local.freeMemory >= request.memory
      ? new Map([[local.node, request.memory]])
      : spread(ledger, request.memory);
  if (!memory) return undefined;
  return { ...take(request, { ledger, cores, memory }), vcpuPins: [...pins] };
}

function misfit(request: MachineRequest, ledgers: ReadonlyMap<string, HostLedger>): string {
  const hosts = request.hosts.flatMap((name) => ledgers.get(name) ?? []);
  const wanted = `${request.vcpus} vCPUs and ${(request.memory / 2 ** 30).toFixed(1)} GiB`;
  const free = hosts.map((ledger) => `    ${freeReport(ledger)}`).join("\n");
  return (
    `${request.name} (pool ${request.pool}) fits on no host: it needs ${wanted} on one host. Free there:\n${free}\n` +
    "    Lower the pool's count, vcpus or memory, or give it another host."
  );
}
