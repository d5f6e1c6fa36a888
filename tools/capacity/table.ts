import type { Capacity, HostCapacity, Taker } from "./capacity";

/** The report for a terminal: one line a host, then who has what on each. No colours, at most about 110 columns. */
export function capacityTable(capacity: Capacity): string {
  const { stack, hosts, misfits } = capacity;
  const summary = table(
    ["host", "where", "cores free", "of", "memory free", "of", "storage free", "of", "by NUMA node"],
    [...hosts.map(hostRow), ...(hosts.length > 1 ? [sumRow(hosts)] : [])],
    [2, 3, 4, 5, 6, 7],
  );
  const details = hosts.map((host) => {
    const rows = host.takers.map(takerRow);
    const disks = host.disks.map(({ name, bytes, use }) => `  disk ${name}, ${size(bytes)}: ${use || "not in use"}`);
    const day = host.probedAt.slice(0, 10);
    const head = `${host.host} (probed ${day}): ${host.cores.total} cores, of which ${host.cores.housekeeping} for the host, ${host.cores.foreign} of others, ${host.cores.taken} for machines`;
    const pool = host.thinPool ? [thinPoolLine(host.thinPool)] : [];
    return [head, indent(table(["who", "what", "CPUs", "memory", "disk"], rows, [3, 4])), ...pool, ...disks].join("\n");
  });
  const missing = misfits.length === 0 ? [] : [`No place for ${misfits.length}:\n${indent(misfits.join("\n"))}`];
  return [`Stack ${stack}`, summary, ...details, ...missing].join("\n\n");
}

function hostRow({ host, location, cores, memory, storage, nodes }: HostCapacity): string[] {
  const free = storage.available - storage.planned;
  return [
    host,
    location,
    `${cores.free}`,
    `${cores.offered}`,
    size(memory.free),
    size(memory.offered),
    free < 0 ? `${size(-free)} too little` : size(free),
    size(storage.total),
    nodes.map(({ node, freeCores, freeMemory }) => `${node}: ${freeCores} cores, ${size(freeMemory)}`).join("; "),
  ];
}

function sumRow(hosts: readonly HostCapacity[]): string[] {
  const sum = (of: (host: HostCapacity) => number): number => hosts.reduce((total, host) => total + of(host), 0);
  return [
    "all",
    "",
    `${sum(({ cores }) => cores.free)}`,
    `${sum(({ cores }) => cores.offered)}`,
    size(sum(({ memory }) => memory.free)),
    size(sum(({ memory }) => memory.offered)),
    size(sum(({ storage }) => Math.max(0, storage.available - storage.planned))),
    size(sum(({ storage }) => storage.total)),
    "",
  ];
}

function thinPoolLine({
  name,
  total,
  offered,
  taken,
  free,
  dataPercent,
  metadataPercent,
}: NonNullable<HostCapacity["thinPool"]>): string {
  const room = free < 0 ? `${size(-free)} too little` : `${size(free)} free`;
  const used =
    dataPercent === undefined
      ? "not active"
      : `${dataPercent} % of data and ${metadataPercent ?? 0} % of metadata written`;
  return `  thin pool ${name}, ${size(total)}: disks of ${size(taken)} of ${size(offered)}, ${room}; when probed, ${used}`;
}

const KINDS: Readonly<Record<Taker["kind"], string>> = {
  housekeeping: "housekeeping",
  foreign: "not ours",
  runs: "runs",
  planned: "planned",
  leaves: "leaves",
};

function takerRow({ name, kind, cpus, memory, disk }: Taker): string[] {
  return [name, KINDS[kind], cpus, memory > 0 ? size(memory) : "", disk > 0 ? size(disk) : ""];
}

/** Three digits that count: "238 GiB", "1.9 TiB". */
function size(bytes: number): string {
  const [value, unit] = bytes >= 2 ** 40 ? [bytes / 2 ** 40, "TiB"] : [bytes / 2 ** 30, "GiB"];
  return `${value >= 100 || value === 0 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}

/** Columns as wide as their widest text; those in `right` end in line. */
function table(head: readonly string[], rows: readonly (readonly string[])[], right: readonly number[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}
