import type { DomainInputs } from "./schema";

/** What a machine has of its host's memory, or will have. */
type Memory = Pick<DomainInputs, "memoryBytes" | "maxMemoryBytes" | "numaNode" | "hugepageBytes">;

/** What it takes at its start: with hugepages, QEMU takes all that the machine may ever have. */
function taken({ memoryBytes, maxMemoryBytes, hugepageBytes }: Memory): number {
  return hugepageBytes === undefined ? memoryBytes : (maxMemoryBytes ?? memoryBytes);
}

/**
 * Part of a machine's script, under the lock, before it is defined and started: ends it when the host has not the memory. Without it
 * libvirt starts the machine all the same, and the kernel ends something when the memory is really used.
 */
export function requireMemory(machine: Memory): string {
  return required(machine, taken(machine), "", "nothing was started");
}

/** The same before a running machine is shut down to start with more memory, or other memory: what it has, it gives back. Empty: it has enough. */
export function requireMoreMemory(machine: Memory, running: Memory): string {
  const nodes = [machine, running].map(({ numaNode }) => numaNode);
  const moves = !nodes.includes(undefined) && nodes[0] !== nodes[1];
  // An adopted machine may have hugepages of the host's default size, seen as 0.
  const sizes = [machine, running].map(({ hugepageBytes }) => hugepageBytes);
  const alike = sizes[0] === sizes[1] || (sizes[0] !== undefined && sizes[1] === 0);
  const kept = alike && !moves;
  const wanted = taken(machine) - (kept ? taken(running) : 0);
  return wanted <= 0 ? "" : required(machine, wanted, kept ? " more" : "", "it runs on as it was");
}

/** @param more " more", where the machine has some already. */
function required({ numaNode, hugepageBytes }: Memory, bytes: number, more: string, then: string): string {
  if (hugepageBytes !== undefined) return requireHugepages(bytes, hugepageBytes, numaNode, more, then);
  const where = numaNode === undefined ? "the host" : `the host's NUMA node ${numaNode}`;
  const wanted = Math.ceil(bytes / 1024);
  return `${memoryFile(numaNode)}
if [ -r "$memory" ]; then
  have=$(awk '${AVAILABLE}' "$memory")
  [ "\${have:-0}" -ge ${wanted} ] || fail "the machine needs ${mib(wanted)} MiB${more}, and $((\${have:-0} / 1024)) MiB are available on ${where}: lower its memory or that of others there, or give it another host; ${then}"
fi
`;
}

/** KiB. A node has no MemAvailable: free pages, and those of files and caches that the kernel can drop. */
const AVAILABLE =
  '$1 == "MemAvailable:" { n += $2 } $1 == "Node" && ($3 == "MemFree:" || $3 == "FilePages:" || $3 == "SReclaimable:") { n += $4 } $1 == "Node" && $3 == "Shmem:" { n -= $4 } END { print n }';

/**
 * `$memory`: where the kernel says what is available. The only node has what the machine has, and kernels that initialise
 * memory as it is used show less of it there (docs/decisions/0110).
 */
function memoryFile(numaNode: number | undefined): string {
  if (numaNode === undefined) return "memory=/proc/meminfo";
  const node = `/sys/devices/system/node/node${numaNode}`;
  return `[ -d ${node} ] || fail "this host has no NUMA node ${numaNode}: probe it again with \\\`npm run facts\\\`"
memory=${node}/meminfo
[ "$(ls -d /sys/devices/system/node/node[0-9]* | wc -l)" -gt 1 ] || memory=/proc/meminfo`;
}

function requireHugepages(
  bytes: number,
  pageBytes: number,
  node: number | undefined,
  more: string,
  then: string,
): string {
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
[ "$have" -ge ${wanted} ] || fail "the machine needs ${wanted}${more} hugepages of ${size} KiB, and $have of $all are free on ${where}: set more aside there, or lower its memory; if the facts say otherwise, probe the host again with \\\`npm run facts\\\`; ${then}"
`;
}

const mib = (kib: number): number => Math.ceil(kib / 1024);
