import type { Context } from "../core/kind";
import { formatCpus } from "../libvirt/cpulist";
import { sectionsOf } from "../libvirt/script";
import { parseThreads } from "../libvirt/threads";
import type { Thread } from "../libvirt/threads";
import type { Endpoint } from "../transport/transport";
import { inspectScript } from "./scripts";
import { parseDomainXml } from "./seen";
import type { SeenXml } from "./seen";

export interface SeenDomain {
  readonly uuid: string;
  /** Its vCPUs run, or would: not of one that is off, paused or asleep. */
  readonly running: boolean;
  readonly autostart: boolean;
  readonly inactive: SeenXml;
  /** Of a running machine. */
  readonly live?: SeenXml;
  readonly pid?: number;
  readonly threads: readonly Thread[];
}

/** What is really there under this name or UUID; undefined: nothing. One script, whatever is asked for. */
export async function inspect(ctx: Context, at: Endpoint, name: string): Promise<SeenDomain | undefined> {
  const script = (nonce: string): string => inspectScript(name, nonce);
  const sections = await sectionsOf(ctx, at, `looking at machine ${name}`, script);
  if (sections.has("absent")) return undefined;
  const text = (name: string): string => sections.get(name) ?? "";
  const info = new Map(text("info").split("\n").map(field));
  const state = info.get("State");
  const pid = sections.get("pid");
  return {
    uuid: info.get("UUID") ?? "",
    running: state === "running" || state === "idle",
    autostart: info.get("Autostart")?.startsWith("enable") ?? false,
    inactive: parseDomainXml(text("inactive")),
    live: pid === undefined ? undefined : parseDomainXml(text("live")),
    pid: pid === undefined ? undefined : Number(pid),
    threads: parseThreads(text("threads")),
  };
}

/** "State:          shut off" */
function field(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

/** CPUs that a vCPU's thread may run on; QEMU names it "CPU 3/KVM". */
export function vcpuAffinity(seen: SeenDomain, vcpu: number): readonly number[] | undefined {
  return seen.threads.find((candidate) => candidate.name.startsWith(`CPU ${vcpu}/`))?.cpus;
}

/** The thread that has the process's own id runs the emulator's main loop. */
export function emulatorAffinity(seen: SeenDomain): readonly (readonly number[])[] {
  return seen.threads.filter((candidate) => candidate.id === seen.pid).map((thread) => thread.cpus);
}

export function ioThreadAffinity(seen: SeenDomain): readonly (readonly number[])[] {
  return seen.threads.filter((candidate) => /^IO iothread\d+$/.test(candidate.name)).map((thread) => thread.cpus);
}

export function sameCpus(a: readonly number[], b: readonly number[]): boolean {
  return formatCpus(a) === formatCpus(b);
}
