import type { CpuFacts, HostFacts } from "../../config/facts";
import type { HostSpec } from "../../config/spec";
import { cpuSet } from "../../config/units";

const GIB = 2 ** 30;

/** A public key that decodes; `seed` makes it another one. */
export function exampleHostKey(seed = 7): string {
  const type = Buffer.from("ssh-ed25519");
  const blob = Buffer.concat([Buffer.from([0, 0, 0, 11]), type, Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, seed)]);
  return `ssh-ed25519 ${blob.toString("base64")}`;
}

export interface Shape {
  /** NUMA nodes, one a socket. */
  readonly nodes: number;
  readonly coresPerNode: number;
  readonly threadsPerCore: number;
  readonly gibPerNode: number;
}

/** Facts of a machine of this shape; CPUs are numbered as Linux does: first threads of all cores, then second ones. */
export function factsOf({ nodes, coresPerNode, threadsPerCore, gibPerNode }: Shape): HostFacts {
  const cores = nodes * coresPerNode;
  const cpus = Array.from({ length: cores * threadsPerCore }, (_, cpu): CpuFacts => {
    const core = cpu % cores;
    const node = Math.floor(core / coresPerNode);
    return { cpu, core: core % coresPerNode, socket: node, node };
  });
  return {
    schema: 2,
    probedAt: "2026-11-01T00:00:00Z",
    hostname: "host",
    accelerator: "kvm",
    virtualization: "none",
    libvirtVersion: "11.3.0",
    qemuVersion: "10.0.13",
    cpuModel: "Example",
    cpus,
    isolatedCpus: [],
    memory: Array.from({ length: nodes }, (_, node) => ({ node, bytes: gibPerNode * GIB })),
    availableMemory: Math.floor(nodes * gibPerNode * GIB * 0.9),
    hugepages: [],
    disks: [],
    storage: { path: "/var/lib/kvmesh", bytes: 1000 * GIB, availableBytes: 900 * GIB },
    thinPools: [],
    foreign: [],
    stealPercent: 0,
  };
}

/** A host of this shape whose first core of each NUMA node is the host's own. */
export function hostOf(name: string, shape: Shape, change: Partial<HostSpec> = {}): HostSpec {
  const facts = factsOf(shape);
  const kept = facts.cpus.filter((cpu) => cpu.core === 0).map((cpu) => cpu.cpu);
  const last = (Buffer.from(name).reduce((sum, byte) => sum * 31 + byte, 0) % 250) + 1;
  return {
    name,
    endpoint: { address: `192.0.2.${last}`, port: 22, user: "root", hostKey: exampleHostKey(last) },
    location: { country: "NO", site: "Oslo" },
    facts,
    factsFile: `facts/${name}.json`,
    tolerate: [],
    housekeeping: cpuSet(kept),
    storage: "/var/lib/kvmesh",
    accelerator: "kvm",
    ...change,
  };
}
