import type { CpuFacts, HostFacts } from "../../config/facts";

/** For what is odd and decides nothing: a line for the person who probes. */
export type Warn = (message: string) => void;

/**
 * Online CPUs from `lscpu -p=CPU,CORE,SOCKET,NODE`, one a line. Where the kernel names no core, socket or NUMA node, the
 * field is empty.
 */
export function cpusFrom(text: string, memoryNodes: readonly number[], warn: Warn): CpuFacts[] {
  const rows = text
    .split("\n")
    .filter((line) => /^\d/.test(line))
    .map((line) => {
      const [cpu, core, socket, node] = line
        .split(",")
        .map((field) => (/^\d+$/.test(field) ? Number(field) : undefined));
      return { cpu: cpu ?? -1, core, socket: socket ?? 0, node };
    })
    .filter(({ cpu }) => cpu >= 0);
  const named = rows.flatMap(({ core }) => core ?? []);
  const unnamed = rows.filter(({ core }) => core === undefined).map(({ cpu }) => cpu);
  if (unnamed.length > 0) {
    const what = "each counts as a core of its own; where they are threads of one, two machines may share it";
    warn(`the kernel names no core for ${unnamed.length} of ${rows.length} CPUs: ${what}`);
  }
  const afterLast = Math.max(-1, ...named) + 1;
  const elsewhere = nodeOfTheOthers(rows, memoryNodes, warn);
  const cpus = rows.map(({ cpu, core, socket, node }) => {
    return { cpu, core: core ?? afterLast + unnamed.indexOf(cpu), socket, node: node ?? elsewhere };
  });
  return coresOnOneNode(cpus, warn);
}

/**
 * The NUMA node of CPUs that have none. Of a kernel without NUMA: the one with the memory. Else their node is offline, and
 * its memory is not there: a number that has no memory, so that they are taken last, and with memory of other nodes.
 */
function nodeOfTheOthers(
  rows: readonly { readonly cpu: number; readonly node?: number }[],
  memoryNodes: readonly number[],
  warn: Warn,
): number {
  const numbers = new Set(rows.flatMap(({ node }) => node ?? []));
  if (numbers.size === 0) return Math.min(...memoryNodes);
  const lost = rows.filter(({ node }) => node === undefined);
  for (const node of memoryNodes) numbers.add(node);
  let free = 0;
  while (numbers.has(free)) free += 1;
  if (lost.length > 0)
    warn(`${lost.length} of ${rows.length} CPUs are on no NUMA node that is online: they count as node ${free}`);
  return free;
}

/** Tables of the firmware may tear a core's threads apart; they still are one core. */
function coresOnOneNode(cpus: readonly CpuFacts[], warn: Warn): CpuFacts[] {
  const nodeOf = new Map<string, number>();
  const keyOf = ({ socket, core }: CpuFacts): string => `${socket}/${core}`;
  for (const cpu of cpus) if (!nodeOf.has(keyOf(cpu))) nodeOf.set(keyOf(cpu), cpu.node);
  const torn = new Set(cpus.filter((cpu) => nodeOf.get(keyOf(cpu)) !== cpu.node).map(keyOf));
  if (torn.size > 0)
    warn(
      `the threads of ${torn.size} cores are on two NUMA nodes, which can't be: each core counts on its first thread's`,
    );
  return cpus.map((cpu) => ({ ...cpu, node: nodeOf.get(keyOf(cpu))! }));
}

/** What the kernel says of the host's memory. Sizes are KiB. */
export interface SeenMemory {
  /** MemTotal of each NUMA node's meminfo; none of a kernel without NUMA. */
  readonly nodes: readonly { readonly node: number; readonly kib: number }[];
  /** By node, pages that are physically there, in use by the kernel or not (`present` in /proc/zoneinfo). */
  readonly present: ReadonlyMap<number, number>;
  /** MemTotal of /proc/meminfo. */
  readonly totalKib: number;
}

/** Two figures of one thing that are nearer than this are the same: kernels differ in what of their own they count. */
const CLOSE = 0.05;

/**
 * Memory by NUMA node; nodes without any are left out. Where the nodes' sum and the machine's total differ, placement has the
 * smaller one. But one thing is known to be no total: kernels that initialise memory as it is used (`deferred_init=lazy`)
 * show on a node what they have initialised, 4 of 24 GiB after a boot, and all of it in /proc/meminfo. With one node, whose
 * pages are present for the whole of MemTotal, that is its memory (docs/decisions/0110).
 */
export function memoryFrom({ nodes, present, totalKib }: SeenMemory, warn: Warn): HostFacts["memory"] {
  const seen = nodes.filter(({ kib }) => kib > 0).sort((a, b) => a.node - b.node);
  const [first, ...others] = seen;
  if (!first) return [{ node: 0, bytes: totalKib * 1024 }];
  const sum = seen.reduce((total, { kib }) => total + kib, 0);
  const gib = (kib: number): string => (kib / 2 ** 20).toFixed(1);
  if (sum > totalKib) {
    if (sum > totalKib * (1 + CLOSE))
      warn(
        `its NUMA nodes show ${gib(sum)} GiB of memory, the machine has ${gib(totalKib)}: machines get of the smaller`,
      );
    return seen.map(({ node, kib }) => ({ node, bytes: Math.floor((kib * totalKib) / sum) * 1024 }));
  }
  if (others.length === 0 && (present.get(first.node) ?? 0) >= totalKib)
    return [{ node: first.node, bytes: totalKib * 1024 }];
  if (sum < totalKib * (1 - CLOSE))
    warn(
      `its NUMA nodes show ${gib(sum)} of ${gib(totalKib)} GiB of memory, and machines get of what they show: ` +
        "a kernel that initialises memory as it is used shows more later (probe again), an offline node never does",
    );
  return seen.map(({ node, kib }) => ({ node, bytes: kib * 1024 }));
}
