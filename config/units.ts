/**
 * Quantities as types, so that a number can't be mistaken for another.
 *
 * A value in the stack file is written with its unit ("16GiB", "90s", "2-5,8"); everything after the parser
 * holds one of these types. The parsers here throw a plain Error that says what to write instead.
 */

/** A whole number of bytes. */
export type Bytes = number & { readonly __unit: "bytes" };
/** A whole number of milliseconds. */
export type Milliseconds = number & { readonly __unit: "milliseconds" };
/** A whole number from 0 to 100. */
export type Percent = number & { readonly __unit: "percent" };
/** Logical CPU numbers of a host, ascending, without repeats. */
export type CpuSet = readonly number[] & { readonly __unit: "cpuset" };

const BYTE_UNITS = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;
const TIME_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Linux counts CPUs up to 8192 on the largest configurations; above that it is a typing error, not a host. */
const MAX_CPU = 8191;

/** "16GiB" → 17179869184. Units: B, KiB, MiB, GiB, TiB. */
export function parseBytes(text: string): Bytes {
  const match = /^(\d+)\s*(B|KiB|MiB|GiB|TiB)$/.exec(text.trim());
  if (!match) throw new Error("write a whole number and one of B, KiB, MiB, GiB, TiB, such as 16GiB");
  const bytes = Number(match[1]) * BYTE_UNITS[match[2] as keyof typeof BYTE_UNITS];
  if (!Number.isSafeInteger(bytes)) throw new Error("the size is larger than 8191TiB; write the real one");
  return bytes as Bytes;
}

/** The shortest exact form: 17179869184 → "16GiB". */
export function formatBytes(bytes: Bytes): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"] as const) {
    if (bytes !== 0 && bytes % BYTE_UNITS[unit] === 0) return `${bytes / BYTE_UNITS[unit]}${unit}`;
  }
  return `${bytes}B`;
}

/** "90s" → 90000. Units: ms, s, m, h. */
export function parseDuration(text: string): Milliseconds {
  const match = /^(\d+)\s*(ms|s|m|h)$/.exec(text.trim());
  if (!match) throw new Error("write a whole number and one of ms, s, m, h, such as 90s");
  const duration = Number(match[1]) * TIME_UNITS[match[2] as keyof typeof TIME_UNITS];
  // Node's timers hold 31 bits; a longer wait would fire at once.
  if (duration > 2 ** 31 - 1) throw new Error("the time is longer than 596h; write a shorter one");
  return duration as Milliseconds;
}

/** "30d" → 2592000000: how old something may be. Units: h, d; nothing waits for it, so no timer limits it. */
export function parseAge(text: string): Milliseconds {
  const match = /^([1-9]\d{0,3})\s*(h|d)$/.exec(text.trim());
  if (!match) throw new Error("write a whole number and one of h, d, such as 30d");
  return (Number(match[1]) * (match[2] === "d" ? 24 : 1) * TIME_UNITS.h) as Milliseconds;
}

/** 90 or "90%" → 90. */
export function parsePercent(value: string | number): Percent {
  const number = typeof value === "number" ? value : Number(/^(\d+)\s*%$/.exec(value.trim())?.[1] ?? NaN);
  if (!Number.isInteger(number) || number < 0 || number > 100) {
    throw new Error("write a whole number from 0 to 100");
  }
  return number as Percent;
}

/** "0-3,8" → [0, 1, 2, 3, 8]; "none" → []. */
export function parseCpuSet(text: string): CpuSet {
  if (text.trim() === "none") return cpuSet([]);
  const cpus = new Set<number>();
  for (const part of text.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (!match) throw new Error('write CPU numbers and ranges, such as "0-3,8", or "none"');
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first) throw new Error(`the range ${part.trim()} runs backwards: write ${last}-${first}`);
    if (last > MAX_CPU) throw new Error(`CPU ${last} is beyond ${MAX_CPU}, the highest that Linux numbers`);
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return cpuSet([...cpus]);
}

/** Any list of CPU numbers as a set: sorted, without repeats. */
export function cpuSet(cpus: readonly number[]): CpuSet {
  return [...new Set(cpus)].sort((a, b) => a - b) as readonly number[] as CpuSet;
}

/** [0, 1, 2, 3, 8] → "0-3,8"; [] → "none". */
export function formatCpuSet(cpus: readonly number[]): string {
  const sorted = cpuSet(cpus);
  const parts: string[] = [];
  for (let start = 0; start < sorted.length;) {
    let end = start;
    while (sorted[end + 1] === sorted[end]! + 1) end++;
    parts.push(end === start ? `${sorted[start]}` : `${sorted[start]}-${sorted[end]}`);
    start = end + 1;
  }
  return parts.length === 0 ? "none" : parts.join(",");
}
