import { missingSoftware, nodesForMachines, type HostFacts } from "./facts";
import type { HostSpec } from "./spec";
import { formatBytes, formatCpuSet, type Bytes } from "./units";

/** Pages that a host has, or is to get before the first machine: what its preparation sets aside replaces what the facts say of that size. */
export function hugepagesOf({ facts, prepare }: Pick<HostSpec, "facts" | "prepare">): HostFacts["hugepages"] {
  const planned = prepare?.hugepages;
  if (planned === undefined) return facts.hugepages;
  const nodes = [...nodesForMachines(facts)];
  return [
    ...facts.hugepages.filter(({ sizeBytes }) => sizeBytes !== planned.size),
    ...nodes.map((node) => ({ node, sizeBytes: planned.size, count: planned.count })),
  ];
}

/** CPUs that preparation takes from the scheduler: all that are not the host's own. */
export function cpusToIsolate({ facts, housekeeping, prepare }: HostSpec): readonly number[] {
  if (prepare?.isolateCpus !== true) return [];
  return facts.cpus.map(({ cpu }) => cpu).filter((cpu) => !housekeeping.includes(cpu));
}

/**
 * What the facts show of settings that need a boot, and of missing software. When a new probe shows something else, the
 * preparation is looked at again, and what was pending before is not reported any more.
 */
export function shownByFacts({ facts, prepare }: HostSpec): string {
  const planned = prepare?.hugepages;
  const missing = missingSoftware(facts);
  const pages = facts.hugepages
    .filter(({ sizeBytes }) => sizeBytes === planned?.size)
    .map(({ node, sizeBytes, count }) => `${count} of ${formatBytes(sizeBytes as Bytes)} on ${node}`);
  return [
    ...(prepare?.isolateCpus === true ? [`isolated ${formatCpuSet(facts.isolatedCpus)}`] : []),
    // Gone again since it was installed.
    ...(prepare?.packages === true && missing !== undefined ? [`without ${missing}`] : []),
    ...(planned === undefined ? [] : [`pages ${pages.join(", ") || "none"}`]),
  ].join("; ");
}
