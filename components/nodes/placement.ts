import type { HostSpec, Role } from "../../config/spec";
import { cpuSet, type Bytes, type CpuSet } from "../../config/units";
import { coresOf, freeReport, ledgerOf, type HostLedger, type Core } from "./ledger";

/**
 * The core ledger: which machine gets which cores of which host. Pure: the same input gives the same placement.
 *
 * How it decides, for each machine that has no place yet, control planes first, then the widest, then by pool and index:
 *   1. hosts on which it fits, on one NUMA node if that can be, else over several;
 *   2. a control plane goes where the fewest control planes are;
 *   3. a place on one NUMA node goes before a place over several, and both before one on a node without memory;
 *   4. a worker goes where the fewest of its pool are; then the host with most free cores; then the first by name;
 *   5. on the host, the NUMA node with the fewest free cores that still holds it, so that wide gaps stay wide;
 *      and there cores of one kind, those with most threads first, before a mixture.
 *
 * What has a place keeps it: `placed` is what the state says is leased already (memory.ts), and such a machine keeps its
 * cores as long as they exist and its memory still fits beside them; with fewer vCPUs it keeps the first of them, with
 * more it gets further ones beside them where they are free. So growing or shrinking a pool moves no other machine.
 *
 * Without `placed` the rule alone decides, and a machine that comes earlier in its order may move later ones. It does not
 * search: a set that only fits in another order is refused, and the error says what is free where.
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
  /** The one NUMA node of all its cores; undefined over several, for `shared`, and where that node has no memory. */
  readonly numaNode?: number;
}

/** Where a machine is already. */
export interface Placed {
  readonly name: string;
  readonly host: string;
  /** Its cores; empty where its vCPUs float. */
  readonly cpus: readonly number[];
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
  const { placements, misfits } = settle(hosts, requests, placed);
  if (misfits.length > 0) throw new PlacementError(misfits.join("\n"));
  return requests.map((request) => placements.get(request.name)!);
}

/** What the ledger decides, also where it has no place for some. */
export interface Settled {
  readonly placements: ReadonlyMap<string, Placement>;
  /** An explanation for each request without a place. */
  readonly misfits: readonly string[];
  /** What is left free, by host. */
  readonly ledgers: ReadonlyMap<string, HostLedger>;
}

export function settle(
  hosts: readonly HostSpec[],
  requests: readonly MachineRequest[],
  placed: readonly Placed[],
): Settled {
  const ledgers = new Map(
    [...hosts].sort((a, b) => (a.name < b.name ? -1 : 1)).map((host) => [host.name, ledgerOf(host)]),
  );
  const known = new Map(placed.map((entry) => [entry.name, entry]));
  const result = new Map<string, Placement>();
  const misfits: string[] = [];
  const order = [...requests].sort(compare);

  // Nobody grows, and nobody new is placed, before everyone who stays has their own.
  for (const stay of [keep, extend]) {
    for (const request of order) {
      const current = known.get(request.name);
      const ledger = current && request.hosts.includes(current.host) ? ledgers.get(current.host) : undefined;
      if (!current || !ledger || result.has(request.name)) continue;
      const fit = stay(request, current.cpus, ledger);
      if (fit) result.set(request.name, take(request, fit));
    }
  }
  for (const request of order) {
    if (result.has(request.name)) continue;
    const found = choose(request, ledgers);
    if (found) result.set(request.name, take(request, found));
    else misfits.push(misfit(request, ledgers));
  }
  return { placements: result, misfits, ledgers };
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
  const allowed = new Set(request.hosts);
  // In the order of their names.
  for (const [name, ledger] of ledgers) {
    const fit = allowed.has(name) ? fitOn(ledger, request) : undefined;
    if (!fit) continue;
    const rank = rankOf(fit, request);
    if (!best || less(rank, best.rank)) best = { fit, rank };
  }
  return best?.fit;
}

function rankOf({ ledger, cores }: Fit, request: MachineRequest): readonly number[] {
  const nodes = nodesOf(cores);
  const free = ledger.nodes.reduce((sum, node) => sum + node.free.length, 0);
  const memory = ledger.nodes.reduce((sum, node) => sum + node.freeMemory, 0);
  return [
    request.role === "control-plane" ? ledger.controlPlanes : 0,
    nodes + (farFrom(ledger, cores) ? 1 : 0),
    ledger.machinesOf.get(request.pool) ?? 0,
    -free,
    -memory,
  ];
}

/** Whether a core is on a node without memory. */
function farFrom(ledger: HostLedger, cores: readonly Core[]): boolean {
  return ledger.nodes.some(({ node, hasMemory }) => !hasMemory && cores.some((core) => core.node === node));
}

function nodesOf(cores: readonly Core[]): number {
  return cores.every((core) => core.node === cores[0]!.node)
    ? Math.min(1, cores.length)
    : new Set(cores.map(({ node }) => node)).size;
}

function less(a: readonly number[], b: readonly number[]): boolean {
  const i = a.findIndex((value, at) => value !== b[at]);
  return i >= 0 && a[i]! < b[i]!;
}

function fitOn(ledger: HostLedger, request: MachineRequest): Fit | undefined {
  if (request.cpu === "shared") {
    if (request.vcpus > ledger.host.facts.cpus.length) return undefined;
    return withMemory(ledger, [], request);
  }
  const near = ledger.nodes.filter(({ hasMemory }) => hasMemory);
  return (
    fitIn(near, ledger, request) ??
    (near.length < ledger.nodes.length ? fitIn(ledger.nodes, ledger, request) : undefined)
  );
}

/** On one of these nodes, else over several. */
function fitIn(nodes: HostLedger["nodes"], ledger: HostLedger, request: MachineRequest): Fit | undefined {
  const byTightness = [...nodes].sort((a, b) => a.free.length - b.free.length || a.node - b.node);
  for (const node of byTightness) {
    const cores = alikeFor(node.free, request.vcpus, ledger);
    const fit = cores && withMemory(ledger, cores, request);
    if (fit) return fit;
  }
  const roomiest = byTightness.reverse().filter((node) => node.free.length > 0);
  for (let count = 2; count <= roomiest.length; count++) {
    const cores = alikeFor(inTurn(roomiest.slice(0, count).map((node) => node.free)), request.vcpus, ledger);
    const fit = cores && withMemory(ledger, cores, request);
    if (fit) return fit;
  }
  return undefined;
}

/** One of each list, then the next of each. */
function inTurn<T>(lists: readonly (readonly T[])[]): readonly T[] {
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}

/** Of cores of one kind while there are enough of them, those with most threads first: unlike ones make unlike vCPUs. */
function alikeFor(free: readonly Core[], vcpus: number, { threads }: HostLedger): readonly Core[] | undefined {
  const kinds = threads.length === 1 ? [] : threads.map((count) => free.filter((core) => core.cpus.length === count));
  for (const kind of kinds) {
    const cores = coresFor(kind, vcpus);
    if (cores) return cores;
  }
  return coresFor(free, vcpus);
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

function take(request: MachineRequest, fit: Fit): Placement {
  const { ledger, memory } = fit;
  const cores = [...fit.cores].sort((a, b) => a.cpus[0]! - b.cpus[0]!);
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
    numaNode: nodes.size === 1 && !farFrom(ledger, cores) ? cores[0]!.node : undefined,
  };
}

/** The cores that a machine has, if they are enough. */
function keep(request: MachineRequest, cpus: readonly number[], ledger: HostLedger): Fit | undefined {
  if (request.cpu === "shared") return fitOn(ledger, request);
  const own = coresOf(ledger, cpus);
  const cores = own && coresFor(own, request.vcpus);
  return cores && withMemory(ledger, cores, request);
}

/** The cores that a machine has and further ones beside them; else others of its host, so that its disk stays there. */
function extend(request: MachineRequest, cpus: readonly number[], ledger: HostLedger): Fit | undefined {
  const own = coresOf(ledger, cpus) ?? [];
  const nodes = new Set(own.map((core) => core.node));
  const kind = own[0]?.cpus.length;
  const beside = ledger.nodes
    .filter((node) => nodes.has(node.node))
    .flatMap((node) => node.free.filter((core) => !own.includes(core)))
    .sort((a, b) => Number(a.cpus.length !== kind) - Number(b.cpus.length !== kind));
  const cores = coresFor([...own, ...beside], request.vcpus);
  return (cores && withMemory(ledger, cores, request)) ?? fitOn(ledger, request);
}

/**
 * Memory is taken where the cores are, from each NUMA node in proportion to them; from all nodes, in proportion to their
 * size, where vCPUs float or no node of the cores has memory. So it depends on nothing but the machine itself, and stays when others come and go.
 */
function withMemory(ledger: HostLedger, cores: readonly Core[], request: MachineRequest): Fit | undefined {
  const own = ledger.nodes.map(({ node, hasMemory }) =>
    hasMemory ? cores.filter((core) => core.node === node).length : 0,
  );
  const weights = own.some((count) => count > 0) ? own : ledger.nodes.map(({ memory }) => memory);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return undefined;
  const memory = new Map<number, number>();
  for (const [i, { node, freeMemory }] of ledger.nodes.entries()) {
    const part = Math.ceil((request.memory * weights[i]!) / total);
    if (part > freeMemory) return undefined;
    memory.set(node, part);
  }
  return { ledger, cores, memory };
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
