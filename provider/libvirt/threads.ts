import { parseCpus } from "./cpulist";

/** One thread of a process, as the kernel shows it. */
export interface Thread {
  readonly pid: number;
  readonly id: number;
  readonly name: string;
  /** That the kernel lets it run on. */
  readonly cpus: readonly number[];
  /** Since it was started: time that it ran, and time that it was ready and had to wait for a CPU; nanoseconds. */
  readonly ranNs: number;
  readonly waitedNs: number;
}

/** Shell: `threads_of PID…` prints what `parseThreads` reads. Two processes in all: one for each file of each thread costs a second a host. */
export const THREADS_OF = `threads_of() {
  names= statuses=
  for p in "$@"; do
    names="$names /proc/$p/task/*/comm /proc/$p/task/*/schedstat"
    statuses="$statuses /proc/$p/task/*/status"
  done
  # A thread may end while it is looked at.
  grep -sH '' $names </dev/null || true
  grep -sH '^Cpus_allowed_list:' $statuses </dev/null || true
}`;

/** Threads that were still there when all of their files were read. */
export function parseThreads(text: string): Thread[] {
  const seen = new Map<string, { pid: number; id: number; comm?: string; schedstat?: string; status?: string }>();
  for (const line of text.split("\n")) {
    const match = /^\/proc\/(\d+)\/task\/(\d+)\/(comm|schedstat|status):(.*)$/.exec(line);
    if (!match) continue;
    const [, pid, id, file, content] = match;
    const key = `${pid}/${id}`;
    seen.set(key, { ...seen.get(key), pid: Number(pid), id: Number(id), [file as "comm"]: content });
  }
  return [...seen.values()].flatMap(({ pid, id, comm, schedstat = "", status }) => {
    if (comm === undefined || status === undefined) return [];
    const [ranNs = 0, waitedNs = 0] = schedstat.split(" ").map(Number);
    const cpus = parseCpus(status.replace(/^Cpus_allowed_list:\s*/, ""));
    return [{ pid, id, name: comm, cpus, ranNs, waitedNs }];
  });
}
