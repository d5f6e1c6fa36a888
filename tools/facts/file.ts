import type { ForeignMachine, HostFacts } from "../../config/facts";
import { formatBytes, formatCpuSet, type Bytes } from "../../config/units";

/** A facts file: one line a CPU, memory node or disk, so that a change reads well in a pull request. */
export function formatFacts(facts: HostFacts): string {
  const value = (entry: unknown): string => {
    if (!Array.isArray(entry) || entry.length === 0 || typeof entry[0] !== "object") return oneLine(entry);
    return `[\n${entry.map((item) => `    ${oneLine(item)}`).join(",\n")}\n  ]`;
  };
  const entries = Object.entries(facts).map(([key, entry]) => `  ${JSON.stringify(key)}: ${value(entry)}`);
  return `{\n${entries.join(",\n")}\n}\n`;
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const given = Object.entries(value).filter(([, field]) => field !== undefined);
  const fields = given.map(([key, field]) => `${JSON.stringify(key)}: ${oneLine(field)}`);
  return `{ ${fields.join(", ")} }`;
}

/**
 * What is different now, one line each, in words: "isolated CPUs: none → 1-31". What changes from minute to minute is no
 * difference: the time of the probe, steal over its seconds, free memory, free space of the storage folder and of thin pools.
 */
export function changedFacts(before: HostFacts, after: HostFacts): readonly string[] {
  const [old, now] = [inWords(before), inWords(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((what) => {
    const [was, is] = [old.get(what) ?? "absent", now.get(what) ?? "gone"];
    return was === is ? [] : [`${what}: ${was} → ${is}`];
  });
}

function inWords(facts: HostFacts): ReadonlyMap<string, string> {
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const cpuTable = facts.cpus.map(({ cpu, core, socket, node }) => `${cpu}:${socket}/${core}@${node}`).join(" ");
  return new Map<string, string>([
    ["hostname", facts.hostname],
    ["accelerator", facts.accelerator],
    ["virtualization", facts.virtualization],
    ["libvirt", facts.libvirtVersion ?? "not installed"],
    ["QEMU", facts.qemuVersion ?? "not installed"],
    ["CPU model", facts.cpuModel],
    ["CPUs", formatCpuSet(facts.cpus.map(({ cpu }) => cpu))],
    ["CPU topology", shortDigest(cpuTable)],
    ["isolated CPUs", formatCpuSet(facts.isolatedCpus)],
    ...facts.memory.map(({ node, bytes }) => [`memory of node ${node}`, gib(bytes)] as const),
    ...facts.hugepages.map(
      ({ node, sizeBytes, count }) => [`hugepages of ${gib(sizeBytes)} on node ${node}`, String(count)] as const,
    ),
    ...facts.disks.map(
      (disk) =>
        [
          `disk ${disk.name}`,
          `${disk.model} ${disk.serial} (${disk.transport}, ${disk.rotational ? "rotating" : "solid state"}, ${gib(disk.bytes)}, ${disk.byId || "no stable name"}, ${disk.use || "not in use"})`,
        ] as const,
    ),
    ["storage", `${facts.storage.path}, ${gib(facts.storage.bytes)}`],
    ...facts.thinPools.map(
      ({ volumeGroup, name, bytes, foreignBytes }) =>
        [`thin pool ${volumeGroup}/${name}`, `${gib(bytes)}, volumes of others ${gib(foreignBytes)}`] as const,
    ),
    ...facts.foreign.map((machine) => [`machine ${machine.name} (${machine.uuid})`, foreignText(machine)] as const),
  ]);
}

/** "4 vCPUs on CPUs 4-7, 16.0 GiB": a machine that is not ours, in a line. */
export function foreignText(machine: ForeignMachine): string {
  const { vcpus, cpus, floating, memoryBytes, nodes, hugepageBytes } = machine;
  const pinned = cpus.length > 0 ? [`on CPUs ${formatCpuSet(cpus)}`] : [];
  const free = floating > 0 ? [`${floating === vcpus ? "all" : floating} floating over the host's CPUs`] : [];
  const size = hugepageBytes === undefined ? "" : ` of ${formatBytes(hugepageBytes as Bytes)} pages`;
  const where = nodes.length > 0 ? ` on NUMA node ${nodes.join(", ")}` : "";
  return `${vcpus} vCPUs ${[...pinned, ...free].join(", ")}, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB${size}${where}`;
}

/** A table too long to read, as something that changes when it does. */
function shortDigest(text: string): string {
  let hash = 5381;
  for (const letter of text) hash = (hash * 33 + letter.charCodeAt(0)) >>> 0;
  return hash.toString(16);
}
