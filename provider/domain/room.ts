import type { DomainInputs } from "./schema";

/**
 * Part of a machine's script, under the lock, before it is defined and started: ends it when the host has not the memory. Without it
 * libvirt starts the machine all the same, and the kernel ends something when the memory is really used.
 */
export function requireMemory(
  domain: Pick<DomainInputs, "memoryBytes" | "maxMemoryBytes" | "numaNode" | "hugepageBytes">,
): string {
  const { numaNode, hugepageBytes } = domain;
  // With hugepages, QEMU takes all that the machine may ever have at its start.
  if (hugepageBytes !== undefined)
    return requireHugepages(domain.maxMemoryBytes ?? domain.memoryBytes, hugepageBytes, numaNode);
  const where = numaNode === undefined ? "the host" : `the host's NUMA node ${numaNode}`;
  // A node has no MemAvailable: free pages, and those of files and caches that the kernel can drop.
  const file = numaNode === undefined ? "/proc/meminfo" : `/sys/devices/system/node/node${numaNode}/meminfo`;
  const available =
    numaNode === undefined
      ? `awk '$1 == "MemAvailable:" { print $2 }'`
      : `awk '$3 == "MemFree:" || $3 == "FilePages:" || $3 == "SReclaimable:" { n += $4 } $3 == "Shmem:" { n -= $4 } END { print n }'`;
  const wanted = Math.ceil(domain.memoryBytes / 1024);
  return `${numaNode === undefined ? "" : `[ -d /sys/devices/system/node/node${numaNode} ] || fail "this host has no NUMA node ${numaNode}: probe it again with \\\`npm run facts\\\`"\n`}if [ -r ${file} ]; then
  have=$(${available} ${file})
  [ "\${have:-0}" -ge ${wanted} ] || fail "the machine needs ${mib(wanted)} MiB, and $((\${have:-0} / 1024)) MiB are available on ${where}: lower its memory or that of others there, or give it another host; nothing was started"
fi
`;
}

function requireHugepages(bytes: number, pageBytes: number, node: number | undefined): string {
  const size = pageBytes / 1024;
  const wanted = Math.ceil(bytes / pageBytes);
  const where = node === undefined ? "the host" : `the host's NUMA node ${node}`;
  return `have=0
all=0
for p in /sys/devices/system/node/node${node ?? "[0-9]*"}/hugepages/hugepages-${size}kB; do
  [ -r "$p/free_hugepages" ] || continue
  have=$((have + $(cat "$p/free_hugepages")))
  all=$((all + $(cat "$p/nr_hugepages")))
done
[ "$have" -ge ${wanted} ] || fail "the machine needs ${wanted} hugepages of ${size} KiB, and $have of $all are free on ${where}: set more aside there, or lower its memory; if the facts say otherwise, probe the host again with \\\`npm run facts\\\`; nothing was started"
`;
}

const mib = (kib: number): number => Math.ceil(kib / 1024);
