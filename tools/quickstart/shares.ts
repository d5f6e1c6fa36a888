import type { HostFacts } from "../../config/facts";
import { formatCpuSet, cpuSet } from "../../config/units";

/** vCPUs of the control plane where it is carved from the host, too. */
export const CONTROL_VCPUS = 2;

export interface Shares {
  /** The host's own CPUs, as the stack file writes them: its first core, or "none" where machines need every core. */
  readonly housekeeping: string;
  readonly workerVcpus: number;
}

/**
 * How this computer's CPUs are shared. Machines get whole cores: a core's two threads go to one machine, so that computers
 * of few cores, as most rented ones with two vCPUs are, keep none for themselves.
 */
export function shares({ cpus }: Pick<HostFacts, "cpus">, carvesControlPlane: boolean): Shares {
  const cores = new Map<string, number[]>();
  for (const { cpu, core, socket } of [...cpus].sort((a, b) => a.cpu - b.cpu)) {
    const key = `${socket}/${core}`;
    cores.set(key, [...(cores.get(key) ?? []), cpu]);
  }
  const [first, ...others] = [...cores.values()];
  const kept = left(others, carvesControlPlane) > 0;
  const threads = left(kept ? others : [...cores.values()], carvesControlPlane);
  return {
    housekeeping: kept ? formatCpuSet(cpuSet(first!)) : "none",
    workerVcpus: Math.min(
      4,
      Math.max(1, Math.floor((kept ? cpus.length - first!.length : cpus.length) / 2)),
      Math.max(1, threads),
    ),
  };
}

/** Threads that the worker may have, after the control plane has its cores. */
function left(cores: readonly (readonly number[])[], carvesControlPlane: boolean): number {
  let wanted = carvesControlPlane ? CONTROL_VCPUS : 0;
  let threads = 0;
  // Placement takes those with most threads first.
  for (const { length } of [...cores].sort((a, b) => b.length - a.length)) {
    if (wanted > 0) wanted -= length;
    else threads += length;
  }
  return threads;
}
