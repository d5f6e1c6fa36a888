import { nodesForMachines } from "../../config/facts";
import { hugepagesOf } from "../../config/preparation";
import type { HostSpec } from "../../config/spec";
import { formatCpuSet } from "../../config/units";

/** What is free on one host while machines are being placed. */
export interface HostLedger {
  readonly host: HostSpec;
  /** In the order of their numbers. */
  readonly nodes: readonly NodeLedger[];
  /** How many threads its cores have, most first: two kinds on a hybrid processor, or where siblings are offline. */
  readonly threads: readonly number[];
  controlPlanes: number;
  /** Pool → machines of it on this host. */
  readonly machinesOf: Map<string, number>;
}

interface NodeLedger {
  readonly node: number;
  /** In the order of their first CPU. */
  free: readonly Core[];
  /** Without it, machines on its cores have memory of other nodes. */
  readonly hasMemory: boolean;
  /** Bytes that machines may have in all. */
  readonly memory: number;
  /** Bytes left. */
  freeMemory: number;
}

/** A physical core: what is given to one machine or to none. */
export interface Core {
  readonly node: number;
  /** All siblings, ascending. */
  readonly cpus: readonly number[];
}

/**
 * Memory of each NUMA node that machines never get: the kernel, libvirt and QEMU's own part of each guest live there.
 * Hugepages are set aside for guests alone, so of those all are free.
 */
function reserveOf(bytes: number): number {
  return Math.max(2 ** 30, bytes * 0.05);
}

/**
 * The whole host free, but for its housekeeping cores and those of machines of others: a core with any such CPU is kept whole.
 * Floating vCPUs of other machines reserve no core (config/sections/hosts.ts warns of them, production refuses them).
 */
export function ledgerOf(host: HostSpec): HostLedger {
  const { facts, housekeeping, hugepages } = host;
  const kept = new Set([...housekeeping, ...facts.foreign.flatMap((machine) => machine.cpus)]);
  const cores = new Map<string, { node: number; cpus: number[] }>();
  for (const { cpu, core, socket, node } of [...facts.cpus].sort((a, b) => a.cpu - b.cpu)) {
    const key = `${socket}/${core}`;
    const entry = cores.get(key) ?? { node, cpus: [] };
    entry.cpus.push(cpu);
    cores.set(key, entry);
  }
  const free = [...cores.values()].filter((core) => !core.cpus.some((cpu) => kept.has(cpu)));
  const home = nodesForMachines(facts);
  const numbers = new Set([...facts.cpus.map((cpu) => cpu.node), ...facts.memory.map((memory) => memory.node)]);
  const nodes = [...numbers]
    .sort((a, b) => a - b)
    .map((node) => {
      const hasMemory = home.has(node);
      const all = hugepages === undefined ? plainMemory(host, node) : hugeMemory(host, node, hugepages);
      const memory = hasMemory ? all : 0;
      return { node, free: free.filter((core) => core.node === node), hasMemory, memory, freeMemory: memory };
    });
  const threads = [...new Set([...cores.values()].map((core) => core.cpus.length))].sort((a, b) => b - a);
  return { host, nodes, threads, controlPlanes: 0, machinesOf: new Map() };
}

function plainMemory(host: HostSpec, node: number): number {
  const { facts } = host;
  const bytes = facts.memory.find((memory) => memory.node === node)?.bytes ?? 0;
  const huge = hugepagesOf(host)
    .filter((pages) => pages.node === node)
    .reduce((sum, pages) => sum + pages.sizeBytes * pages.count, 0);
  return Math.max(0, Math.floor(bytes - huge - reserveOf(bytes) - foreignMemory(host, node, undefined)));
}

function hugeMemory(host: HostSpec, node: number, pageSize: number): number {
  const pages = hugepagesOf(host).find((entry) => entry.node === node && entry.sizeBytes === pageSize);
  const bytes = pages ? pages.sizeBytes * pages.count : 0;
  // Only whole pages can be given to a machine.
  return Math.max(0, Math.floor((bytes - foreignMemory(host, node, pageSize)) / pageSize) * pageSize);
}

/**
 * Memory of one kind (plain, or pages of a size) that machines of others have on a node: where it is bound to, else where
 * their CPUs are, else spread over all nodes in proportion to their memory, as the kernel would.
 */
export function foreignMemory({ facts }: HostSpec, node: number, pageSize: number | undefined): number {
  const nodeOf = new Map(facts.cpus.map((cpu) => [cpu.cpu, cpu.node]));
  const bytesOf = (numbers: readonly number[]): number =>
    facts.memory.filter((memory) => numbers.includes(memory.node)).reduce((sum, { bytes }) => sum + bytes, 0);
  let total = 0;
  for (const { cpus, floating, nodes, memoryBytes, hugepageBytes } of facts.foreign) {
    if (hugepageBytes !== pageSize) continue;
    const pinned = floating === 0 ? [...new Set(cpus.map((cpu) => nodeOf.get(cpu)!))] : [];
    const all = [...nodesForMachines(facts)];
    const on = [nodes, pinned, all].find((list) => bytesOf(list) > 0) ?? [];
    if (on.includes(node)) total += Math.ceil((memoryBytes * bytesOf([node])) / bytesOf(on));
  }
  return total;
}

/** The free cores that these CPUs are threads of; undefined when one of them is taken, kept for the host or gone. */
export function coresOf(ledger: HostLedger, cpus: readonly number[]): readonly Core[] | undefined {
  const cores = new Set<Core>();
  for (const cpu of cpus) {
    const core = ledger.nodes.flatMap((node) => node.free).find((candidate) => candidate.cpus.includes(cpu));
    if (!core) return undefined;
    cores.add(core);
  }
  return [...cores];
}

/** "osl1-a: NUMA node 0: 3 cores (6 CPUs), 20.0 GiB; …; machines of others have: db (CPUs 4-7, 16.0 GiB)" */
export function freeReport({ host, nodes }: HostLedger): string {
  const parts = nodes.map(({ node, free, freeMemory }) => {
    const cpus = free.reduce((sum, core) => sum + core.cpus.length, 0);
    return `NUMA node ${node}: ${free.length} cores (${cpus} CPUs), ${(freeMemory / 2 ** 30).toFixed(1)} GiB`;
  });
  const others = host.facts.foreign.map(({ name, cpus, floating, memoryBytes }) => {
    const where = [
      ...(cpus.length > 0 ? [`CPUs ${formatCpuSet(cpus)}`] : []),
      ...(floating > 0 ? [`${floating} floating vCPUs`] : []),
    ];
    return `${name} (${where.join(", ")}, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB)`;
  });
  const held = others.length === 0 ? "" : `; machines of others have: ${others.join(", ")}`;
  return `${host.name}: ${parts.join("; ")}${held}`;
}
