import { z } from "zod";
import { ConfigError, fromIssues, problem, type Path, type Problem } from "./problems";

/**
 * What a probe saw of a KVM host: the versioned schema of the facts files that are committed beside a stack.
 * Preview reads these and no host.
 */
export interface HostFacts {
  readonly schema: typeof FACTS_SCHEMA;
  /** ISO 8601 time of the probe. */
  readonly probedAt: string;
  /** `uname -n` of the host. */
  readonly hostname: string;
  /** "kvm": /dev/kvm is there and, where QEMU is, a guest started with it; "qemu": emulation only. */
  readonly accelerator: "kvm" | "qemu";
  /** systemd-detect-virt's word for the host itself: none, kvm, lxc, openvz, … */
  readonly virtualization: string;
  /** null: it is not installed; preparation does that (docs/decisions/0090). */
  readonly libvirtVersion: string | null;
  /** null: it is not installed. */
  readonly qemuVersion: string | null;
  readonly cpuModel: string;
  /** Every online logical CPU. */
  readonly cpus: readonly CpuFacts[];
  /** Logical CPUs taken from the scheduler by kernel arguments. */
  readonly isolatedCpus: readonly number[];
  /** Total memory in bytes, by NUMA node; nodes without memory are not in it. What decides: docs/decisions/0110. */
  readonly memory: readonly { readonly node: number; readonly bytes: number }[];
  /**
   * What the kernel could give away when it was probed, in bytes (MemAvailable); null: it didn't say. For people: the ledger
   * counts promises, not use.
   */
  readonly availableMemory: number | null;
  /** Free or used hugepages configured on the host. */
  readonly hugepages: readonly { readonly node: number; readonly sizeBytes: number; readonly count: number }[];
  readonly disks: readonly DiskFacts[];
  /** The file system that holds the stack file's `storage`. */
  readonly storage: { readonly path: string; readonly bytes: number; readonly availableBytes: number };
  /** Thin pools of LVM; empty where there is no LVM, and in files from before they were asked for. */
  readonly thinPools: readonly ThinPoolFacts[];
  /** Machines on the host that kvmesh did not make, running or not: their cores and memory are not ours. */
  readonly foreign: readonly ForeignMachine[];
  /** Steal of the host itself, in percent, over the probe's window; null: it couldn't be measured. For people. */
  readonly stealPercent: number | null;
}

export interface CpuFacts {
  readonly cpu: number;
  readonly core: number;
  readonly socket: number;
  readonly node: number;
}

export interface DiskFacts {
  readonly name: string;
  readonly transport: string;
  readonly rotational: boolean;
  readonly model: string;
  readonly serial: string;
  readonly bytes: number;
  /** Its stable name, /dev/disk/by-id/…; empty where udev gave none. */
  readonly byId: string;
  /** What is on it ("mounted on /", "partitions", "LVM2_member"); empty: nothing that lsblk knows. */
  readonly use: string;
}

/** A thin pool of LVM. */
export interface ThinPoolFacts {
  readonly volumeGroup: string;
  readonly name: string;
  /** Room for what is written to its volumes. */
  readonly bytes: number;
  readonly metadataBytes: number;
  /** Sizes of its volumes are whole multiples of it; absent in files from before it was asked for. */
  readonly extentBytes?: number;
  /** How much of both is taken; absent while the pool is not active. */
  readonly dataPercent?: number;
  readonly metadataPercent?: number;
  /** Sizes of all its volumes that kvmesh did not make, in sum: what they may take of the pool. */
  readonly foreignBytes: number;
}

/** A libvirt domain without our mark. */
export interface ForeignMachine {
  readonly name: string;
  readonly uuid: string;
  readonly vcpus: number;
  /** Host CPUs that its vCPUs are pinned to, ascending. */
  readonly cpus: readonly number[];
  /** vCPUs that may run on any CPU of the host: whatever is pinned beside them is not alone on its core. */
  readonly floating: number;
  readonly memoryBytes: number;
  /** NUMA nodes that its memory is bound to; empty: any. */
  readonly nodes: readonly number[];
  /** Size of the hugepages that its memory is of; absent: plain memory. */
  readonly hugepageBytes?: number;
}

/**
 * 2 since other machines are in it. Files of schema 1 are not read on: without other machines, their cores would be given
 * away again (docs/decisions/0052).
 */
export const FACTS_SCHEMA = 2;

/** Facts older than this are warned about: hardware is changed, kernels get other arguments. */
const STALE_DAYS = 90;

const whole = z.int().min(0);
const size = z.int().min(1);

const schema = z.strictObject({
  schema: z.literal(FACTS_SCHEMA),
  probedAt: z.iso.datetime({ offset: true, error: "give a time in ISO 8601, such as 2026-03-01T09:30:00Z" }),
  hostname: z.string().min(1),
  accelerator: z.enum(["kvm", "qemu"]),
  virtualization: z.string().min(1),
  libvirtVersion: z.string().min(1).nullable(),
  qemuVersion: z.string().min(1).nullable(),
  cpuModel: z.string(),
  cpus: z.array(z.strictObject({ cpu: whole, core: whole, socket: whole, node: whole })).min(1),
  isolatedCpus: z.array(whole),
  memory: z.array(z.strictObject({ node: whole, bytes: size })).min(1),
  availableMemory: whole.nullable(),
  hugepages: z.array(z.strictObject({ node: whole, sizeBytes: size, count: whole })),
  disks: z.array(
    z.strictObject({
      name: z.string().min(1),
      transport: z.string(),
      rotational: z.boolean(),
      model: z.string(),
      serial: z.string(),
      bytes: whole,
      byId: z.string(),
      use: z.string(),
    }),
  ),
  storage: z.strictObject({ path: z.string().startsWith("/"), bytes: whole, availableBytes: whole }),
  thinPools: z
    .array(
      z.strictObject({
        volumeGroup: z.string().min(1),
        name: z.string().min(1),
        bytes: whole,
        metadataBytes: whole,
        extentBytes: size.optional(),
        dataPercent: z.number().min(0).max(100).optional(),
        metadataPercent: z.number().min(0).max(100).optional(),
        foreignBytes: whole,
      }),
    )
    .default([]),
  foreign: z.array(
    z.strictObject({
      name: z.string().min(1),
      uuid: z.guid({ error: "give the UUID that `virsh domuuid` prints" }),
      vcpus: size,
      cpus: z.array(whole),
      floating: whole,
      memoryBytes: whole,
      nodes: z.array(whole),
      hugepageBytes: size.optional(),
    }),
  ),
  stealPercent: z.number().min(0).max(100).nullable(),
});

/** Facts from a parsed JSON file; throws one ConfigError with everything that is wrong in it. */
export function parseFacts(raw: unknown, source: string): HostFacts {
  const { facts, problems } = checkFacts(raw, []);
  if (!facts) throw new ConfigError(source, problems);
  return facts;
}

/** The same without throwing, for the stack file's parser: problems stand below `base`. */
export function checkFacts(
  raw: unknown,
  base: Path,
): { readonly facts?: HostFacts; readonly problems: readonly Problem[] } {
  const version = (raw as { schema?: unknown } | null | undefined)?.schema;
  if (version !== FACTS_SCHEMA) {
    const message =
      version === 1
        ? "facts of schema 1 don't say which other machines are on the host: probe it again"
        : `this program reads facts of schema ${FACTS_SCHEMA}: probe the host again`;
    return { problems: [problem([...base, "schema"], version, message)] };
  }
  const result = schema.safeParse(raw);
  if (!result.success) {
    return { problems: fromIssues(result.error.issues, raw, base, () => Object.keys(schema.shape)) };
  }
  const problems = contradictions(result.data, base);
  return problems.length > 0 ? { problems } : { facts: result.data, problems };
}

/**
 * What no probe writes and placement would go wrong by: somebody has edited the file. Figures of memory are not held against
 * each other: kernels that initialise memory as it is used show less of it on a node than in all, or than is free
 * (docs/decisions/0110).
 */
function contradictions(facts: HostFacts, base: Path): Problem[] {
  const problems: Problem[] = [];
  const fail = (path: Path, found: unknown, message: string): void =>
    void problems.push(problem([...base, ...path], found, message));
  const seen = new Set<number>();
  const coreNode = new Map<string, number>();
  facts.cpus.forEach((cpu, i) => {
    if (seen.has(cpu.cpu)) fail(["cpus", i, "cpu"], cpu.cpu, "this CPU is listed twice: probe the host again");
    seen.add(cpu.cpu);
    const core = `${cpu.socket}/${cpu.core}`;
    const node = coreNode.get(core) ?? cpu.node;
    coreNode.set(core, node);
    if (node === cpu.node) return;
    const message = `siblings of socket ${cpu.socket}, core ${cpu.core} are on NUMA nodes ${node} and ${cpu.node}: probe the host again`;
    fail(["cpus", i, "node"], cpu.node, message);
  });
  const nodes = new Set<number>();
  facts.memory.forEach(({ node }, i) => {
    if (nodes.has(node)) fail(["memory", i, "node"], node, "this node is listed twice: probe the host again");
    nodes.add(node);
  });
  facts.foreign.forEach((machine, i) => {
    machine.cpus.forEach((cpu, c) => {
      if (!seen.has(cpu)) fail(["foreign", i, "cpus", c], cpu, "the host has no such CPU: probe it again");
    });
    if (machine.floating > machine.vcpus)
      fail(
        ["foreign", i, "floating"],
        machine.floating,
        `the machine has ${machine.vcpus} vCPUs: probe the host again`,
      );
  });
  if (["lxc", "lxc-libvirt", "openvz"].includes(facts.virtualization) && facts.accelerator === "kvm") {
    const message = "a container is no KVM host: rent a machine whose kernel is its own";
    fail(["virtualization"], facts.virtualization, message);
  }
  return problems;
}

/**
 * NUMA nodes whose memory machines get: those that have CPUs, too. What has none is an accelerator's memory or a slower kind.
 * Only where no node has both, it is all that have memory.
 */
export function nodesForMachines({ cpus, memory }: Pick<HostFacts, "cpus" | "memory">): ReadonlySet<number> {
  const withCpus = new Set(cpus.map(({ node }) => node));
  const all = memory.map(({ node }) => node);
  const both = all.filter((node) => withCpus.has(node));
  return new Set(both.length > 0 ? both : all);
}

/** "libvirt and QEMU", where the probe found neither; undefined: the host has both. */
export function missingSoftware({ libvirtVersion, qemuVersion }: HostFacts): string | undefined {
  const missing = [...(libvirtVersion === null ? ["libvirt"] : []), ...(qemuVersion === null ? ["QEMU"] : [])];
  return missing.length === 0 ? undefined : missing.join(" and ");
}

/** What to say about the age of these facts; undefined: nothing. */
export function staleness(facts: HostFacts, now: Date): string | undefined {
  const days = Math.floor((now.getTime() - Date.parse(facts.probedAt)) / 86_400_000);
  // A day for clocks and time zones.
  if (days < -1) return `these facts are of ${facts.probedAt}, which is still to come: probe the host again`;
  if (days <= STALE_DAYS) return undefined;
  return `these facts are ${days} days old: probe the host again`;
}
