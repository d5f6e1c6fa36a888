import { machineRequests } from "../../components/nodes/machine-requests";
import { diskBytes, thinPoolShare } from "../../components/nodes/thin-pools";
import { ledgerOf, type HostLedger } from "../../components/nodes/ledger";
import { settle, type Placed, type Settled } from "../../components/nodes/placement";
import type { CarvedPoolSpec, HostSpec, StackSpec } from "../../config/spec";
import { without } from "../../provider/core/values";
import { formatCpuSet } from "../../config/units";

/** What each host has, and who has it: from stack file, facts and state. Sizes are bytes; CPU lists are as Linux writes them. */
export interface Capacity {
  readonly schema: 1;
  readonly stack: string;
  readonly hosts: readonly HostCapacity[];
  /** Machines that the stack file asks for and no host holds. */
  readonly misfits: readonly string[];
}

export interface HostCapacity {
  readonly host: string;
  readonly location: string;
  readonly probedAt: string;
  /** Physical cores. `offered`: what machines may have, before any has it. */
  readonly cores: { readonly total: number; readonly housekeeping: number; readonly foreign: number } & Share;
  /** Memory for machines: without the host's reserve and machines of others; hugepages alone where machines are of them. */
  readonly memory: { readonly total: number } & Share;
  /** The storage folder's file system when the host was probed, and what disks of machines that are not there yet will add. */
  readonly storage: {
    readonly path: string;
    readonly total: number;
    readonly available: number;
    readonly planned: number;
  };
  /** The host's thin pool, where it has one in the stack file: sizes of volumes, and what was written to them when the host was probed. */
  readonly thinPool?: {
    readonly name: string;
    readonly total: number;
    readonly dataPercent?: number;
    readonly metadataPercent?: number;
  } & Share;
  readonly nodes: readonly { readonly node: number; readonly freeCores: number; readonly freeMemory: number }[];
  readonly takers: readonly Taker[];
  readonly disks: readonly { readonly name: string; readonly bytes: number; readonly use: string }[];
}

interface Share {
  readonly offered: number;
  readonly taken: number;
  readonly free: number;
}

/** Who has CPUs or memory of a host. */
export interface Taker {
  readonly name: string;
  /** `runs`: the state has it. `planned`: the next `up` makes it. `leaves`: the next `up` removes it. */
  readonly kind: "housekeeping" | "foreign" | "runs" | "planned" | "leaves";
  /** "2-5,34-37"; "floating" where its vCPUs run anywhere. */
  readonly cpus: string;
  readonly memory: number;
  readonly disk: number;
}

export function capacityOf(spec: StackSpec, stack: string, placed: readonly Placed[]): Capacity {
  const settled = settle(spec.hosts, machineRequests(spec.pools, spec.clusterName), placed);
  return {
    schema: 1,
    stack,
    hosts: spec.hosts.map((host) => hostCapacity(host, spec, placed, settled)),
    misfits: settled.misfits,
  };
}

function hostCapacity(host: HostSpec, spec: StackSpec, placed: readonly Placed[], settled: Settled): HostCapacity {
  const { facts } = host;
  const whole = ledgerOf(host);
  const left = settled.ledgers.get(host.name)!;
  const coreOf = new Map(facts.cpus.map(({ cpu, socket, core }) => [cpu, `${socket}/${core}`]));
  const coresOf = (cpus: readonly number[]): Set<string> => new Set(cpus.map((cpu) => coreOf.get(cpu)!));
  const kept = coresOf(host.housekeeping);
  const foreign = coresOf(facts.foreign.flatMap(({ cpus }) => cpus));
  const takers = [...othersOn(host), ...oursOn(host, spec, placed, settled)];
  return {
    host: host.name,
    location: [host.location.country, host.location.site].filter(Boolean).join(" "),
    probedAt: facts.probedAt,
    cores: {
      total: new Set(coreOf.values()).size,
      housekeeping: kept.size,
      foreign: [...foreign].filter((core) => !kept.has(core)).length,
      ...share(cores(whole), cores(left)),
    },
    memory: {
      total: facts.memory.reduce((sum, { bytes }) => sum + bytes, 0),
      ...share(memory(whole), memory(left)),
    },
    storage: {
      path: facts.storage.path,
      total: facts.storage.bytes,
      available: facts.storage.availableBytes,
      planned: takers.reduce((sum, { kind, file }) => sum + (kind === "planned" ? file : 0), 0),
    },
    ...thinPool(host, spec, settled),
    nodes: left.nodes.map(({ node, free, freeMemory }) => ({ node, freeCores: free.length, freeMemory })),
    takers: takers.map((taker) => without(taker, "file")),
    disks: facts.disks.map(({ name, bytes, use }) => ({ name, bytes, use })),
  };
}

function thinPool(host: HostSpec, spec: StackSpec, { placements }: Settled): Pick<HostCapacity, "thinPool"> {
  const found = thinPoolShare(host, spec.pools, spec.clusterName, [...placements.values()]);
  if (!found) return {};
  const { name, total, offered, taken } = found;
  const { dataPercent, metadataPercent } = host.facts.thinPools.find(
    (pool) => `${pool.volumeGroup}/${pool.name}` === name,
  )!;
  return { thinPool: { name, total, dataPercent, metadataPercent, ...share(offered, offered - taken) } };
}

const cores = ({ nodes }: HostLedger): number => nodes.reduce((sum, { free }) => sum + free.length, 0);
const memory = ({ nodes }: HostLedger): number => nodes.reduce((sum, { freeMemory }) => sum + freeMemory, 0);

function share(offered: number, free: number): Share {
  return { offered, taken: offered - free, free };
}

/** With what of its disk is in the storage folder. */
type Counted = Taker & { readonly file: number };

function othersOn({ housekeeping, facts }: HostSpec): Counted[] {
  const host: Counted = {
    name: "(the host itself)",
    kind: "housekeeping",
    cpus: formatCpuSet(housekeeping),
    memory: 0,
    disk: 0,
    file: 0,
  };
  const foreign = facts.foreign.map(({ name, cpus, floating, memoryBytes }): Counted => {
    const where = [...(cpus.length > 0 ? [formatCpuSet(cpus)] : []), ...(floating > 0 ? ["floating"] : [])];
    return { name, kind: "foreign", cpus: where.join(" and "), memory: memoryBytes, disk: 0, file: 0 };
  });
  return [host, ...foreign];
}

function oursOn(host: HostSpec, spec: StackSpec, placed: readonly Placed[], { placements }: Settled): Counted[] {
  const carved = spec.pools.filter((pool): pool is CarvedPoolSpec => pool.source === "hosts");
  const poolOf = new Map(
    carved.flatMap((pool) => machineRequests([pool], spec.clusterName).map(({ name }) => [name, pool] as const)),
  );
  const known = new Map(placed.map((entry) => [entry.name, entry]));
  const here = [...placements.values()].filter((placement) => placement.host === host.name);
  const wanted = here.map(({ name, cpus }): Counted => {
    const pool = poolOf.get(name)!;
    const disk = diskBytes(pool);
    const file = pool.storage === "directory" ? disk : 0;
    const kind = known.get(name)?.host === host.name ? "runs" : "planned";
    return { name, kind, cpus: cpus.length === 0 ? "floating" : formatCpuSet(cpus), memory: pool.memory, disk, file };
  });
  const leaving = placed
    .filter(({ name, host: at }) => at === host.name && placements.get(name)?.host !== host.name)
    .map(({ name, cpus }): Counted => {
      const list = cpus.length === 0 ? "floating" : formatCpuSet(cpus);
      return { name, kind: "leaves", cpus: list, memory: 0, disk: 0, file: 0 };
    });
  return [...wanted, ...leaving].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}
