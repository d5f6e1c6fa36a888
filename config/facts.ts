import { z } from "zod";
import { ConfigError, fromIssues, problem, type Path, type Problem } from "./problems";

/**
 * What a probe saw of a KVM host: the versioned schema of the facts files that are committed beside a stack.
 * Preview reads these and no host.
 */
export interface HostFacts {
  readonly schema: 1;
  /** ISO 8601 time of the probe. */
  readonly probedAt: string;
  /** `uname -n` of the host. */
  readonly hostname: string;
  /** "kvm": /dev/kvm is there and a guest started with it; "qemu": emulation only. */
  readonly accelerator: "kvm" | "qemu";
  /** systemd-detect-virt's word for the host itself: none, kvm, lxc, openvz, … */
  readonly virtualization: string;
  readonly libvirtVersion: string;
  readonly qemuVersion: string;
  readonly cpuModel: string;
  /** Every online logical CPU. */
  readonly cpus: readonly CpuFacts[];
  /** Logical CPUs taken from the scheduler by kernel arguments. */
  readonly isolatedCpus: readonly number[];
  /** Total memory in bytes, by NUMA node. */
  readonly memory: readonly { readonly node: number; readonly bytes: number }[];
  /** Free or used hugepages configured on the host. */
  readonly hugepages: readonly { readonly node: number; readonly sizeBytes: number; readonly count: number }[];
  readonly disks: readonly DiskFacts[];
  /** Steal of the host itself, in percent, over the probe's window. */
  readonly stealPercent: number;
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
}

/** Facts older than this are warned about: hardware is changed, kernels get other arguments. */
const STALE_DAYS = 90;

const whole = z.int().min(0);
const size = z.int().min(1);

const schema = z.strictObject({
  schema: z.literal(1),
  probedAt: z.iso.datetime({ offset: true, error: "give a time in ISO 8601, such as 2026-03-01T09:30:00Z" }),
  hostname: z.string().min(1),
  accelerator: z.enum(["kvm", "qemu"]),
  virtualization: z.string().min(1),
  libvirtVersion: z.string().min(1),
  qemuVersion: z.string().min(1),
  cpuModel: z.string(),
  cpus: z.array(z.strictObject({ cpu: whole, core: whole, socket: whole, node: whole })).min(1),
  isolatedCpus: z.array(whole),
  memory: z.array(z.strictObject({ node: whole, bytes: size })).min(1),
  hugepages: z.array(z.strictObject({ node: whole, sizeBytes: size, count: whole })),
  disks: z.array(
    z.strictObject({
      name: z.string().min(1),
      transport: z.string(),
      rotational: z.boolean(),
      model: z.string(),
      serial: z.string(),
      bytes: whole,
    }),
  ),
  stealPercent: z.number().min(0).max(100),
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
  if (version !== 1) {
    return {
      problems: [problem([...base, "schema"], version, "this program reads facts of schema 1: probe the host again")],
    };
  }
  const result = schema.safeParse(raw);
  if (!result.success) {
    return { problems: fromIssues(result.error.issues, raw, base, () => Object.keys(schema.shape)) };
  }
  const problems = contradictions(result.data, base);
  return problems.length > 0 ? { problems } : { facts: result.data, problems };
}

/** What no real host says of itself. */
function contradictions(facts: HostFacts, base: Path): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<number>();
  const coreNode = new Map<string, number>();
  facts.cpus.forEach((cpu, i) => {
    if (seen.has(cpu.cpu)) problems.push(problem([...base, "cpus", i, "cpu"], cpu.cpu, "this CPU is listed twice"));
    seen.add(cpu.cpu);
    const core = `${cpu.socket}/${cpu.core}`;
    const node = coreNode.get(core) ?? cpu.node;
    coreNode.set(core, node);
    if (node !== cpu.node) {
      const message = `siblings of socket ${cpu.socket}, core ${cpu.core} are on NUMA nodes ${node} and ${cpu.node}`;
      problems.push(problem([...base, "cpus", i, "node"], cpu.node, message));
    }
  });
  facts.isolatedCpus.forEach((cpu, i) => {
    if (!seen.has(cpu)) problems.push(problem([...base, "isolatedCpus", i], cpu, "the host has no such CPU"));
  });
  const memoryNodes = new Set<number>();
  facts.memory.forEach(({ node }, i) => {
    if (memoryNodes.has(node))
      problems.push(problem([...base, "memory", i, "node"], node, "this node is listed twice"));
    memoryNodes.add(node);
  });
  if (["lxc", "lxc-libvirt", "openvz"].includes(facts.virtualization) && facts.accelerator === "kvm") {
    const message = "a container is no KVM host: rent a machine whose kernel is its own";
    problems.push(problem([...base, "virtualization"], facts.virtualization, message));
  }
  return problems;
}

/** What to say about the age of these facts; undefined: nothing. */
export function staleness(facts: HostFacts, now: Date): string | undefined {
  const days = Math.floor((now.getTime() - Date.parse(facts.probedAt)) / 86_400_000);
  if (days <= STALE_DAYS) return undefined;
  return `these facts are ${days} days old: probe the host again`;
}
