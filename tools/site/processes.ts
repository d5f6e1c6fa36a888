import * as fs from "node:fs";
import { sleep } from "./run";

/** A process by more than its id, which the kernel gives out again: start time and boot make it unmistakable. */
export interface ProcessRecord {
  readonly name: string;
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: string;
  /** /proc/sys/kernel/random/boot_id. */
  readonly bootId: string;
}

/** Parent and start time out of the text of /proc/PID/stat; the command in it may hold spaces and parentheses. */
export function parseStat(text: string): {
  readonly state: string;
  readonly parent: number;
  readonly startTime: string;
} {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0]!, parent: Number(fields[1]), startTime: fields[19]! };
}

function stat(pid: number): ReturnType<typeof parseStat> | undefined {
  try {
    return parseStat(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return undefined;
  }
}

/** The record of a process that runs now; undefined when there is none of this id. */
export function identify(name: string, pid: number): ProcessRecord | undefined {
  const now = stat(pid);
  if (!now) return undefined;
  return { name, pid, startTime: now.startTime, bootId: bootId() };
}

/** Whether exactly this process still runs (a zombie does not). */
export function isAlive(record: ProcessRecord): boolean {
  const now = stat(record.pid);
  return now !== undefined && now.state !== "Z" && now.startTime === record.startTime && record.bootId === bootId();
}

/** Ids of the processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => stat(candidate)?.parent === pid);
}

/** Ends a process if it is still the recorded one; returns when it is gone. Pid 1 of a namespace takes all inside along. */
export async function end(record: ProcessRecord, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  for (let waited = 0; isAlive(record); waited += 50) {
    // Asked politely for 5 s, then not any more.
    if (waited === 0) process.kill(record.pid, signal);
    if (waited === 5_000) process.kill(record.pid, "SIGKILL");
    if (waited > 60_000) throw new Error(`process ${record.pid} (${record.name}) does not end, even killed`);
    await sleep(50);
  }
}

function bootId(): string {
  return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
