import { formatCpus } from "../../provider/libvirt/cpulist";
import { where } from "../../provider/transport/errors";
import type { Adoption } from "../../provider/domain/adopt";

/** What adopting would do, for a person to agree to. */
export function planText(adoption: Adoption, hostName: string): string {
  const { inputs, uuid, marked, running, disks, unmarkable, cpus, unmodelled } = adoption;
  const { name, owner, vcpus, memoryBytes } = inputs;
  return [
    `machine ${name} on ${hostName} (${uuid}): ${vcpus} vCPUs, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB, ${running ? "running" : "off"}`,
    marked
      ? `  has the mark of stack ${owner.project}/${owner.stack} already`
      : `  gets the mark of stack ${owner.project}/${owner.stack}, cluster ${owner.cluster}: from then on the stack may change and remove it`,
    ...disks.map(({ path }) => `  disk ${path} gets the mark beside it: it may be removed with the machine`),
    ...unmarkable.map(
      (path) => `  disk ${path} is a device: no mark can be put on it; kvmesh never changes what is on it`,
    ),
    cpus.length === 0
      ? "  is pinned to no CPUs: nothing is leased to it"
      : `  CPUs ${formatCpus(cpus)} are leased to it`,
    ...unmodelled.map((path) =>
      path.startsWith("without ")
        ? `  the next change of the machine adds ${path.slice("without ".length)}`
        : `  the next change of the machine drops ${path}, which kvmesh can't describe`,
    ),
    "  is neither stopped nor defined anew",
  ].join("\n");
}

/** Why it is not adopted as it is; undefined: it can be. */
export function refusalOf({ inputs, unmodelled }: Adoption, dropUnmodelled: boolean): string | undefined {
  if (unmodelled.length === 0 || dropUnmodelled) return undefined;
  return (
    `${where(inputs.host)}: machine ${inputs.name}: unmodelled: ${unmodelled.join(", ")}; kvmesh would drop them (or add what it is ` +
    "without) on the next change, so it is not adopted. Change the machine first, or add --drop-unmodelled"
  );
}
