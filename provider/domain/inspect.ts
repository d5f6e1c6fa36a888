import type { Context } from "../core/kind";
import { formatCpus, parseCpus } from "../libvirt/cpulist";
import { sectionsOf } from "../libvirt/script";
import type { Endpoint } from "../transport/transport";
import { inspectScript } from "./scripts";
import { parseDomainXml } from "./seen";
import type { SeenXml } from "./seen";

/** One thread of a running machine, with the CPUs that the kernel lets it run on. */
export interface Thread {
  readonly id: number;
  readonly name: string;
  readonly cpus: readonly number[];
}

export interface SeenDomain {
  readonly uuid: string;
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
  const inactive = sections.get("inactive");
  if (inactive === undefined) return undefined;
  const live = sections.get("live");
  const state = sections.get("state");
  return {
    uuid: sections.get("uuid") ?? "",
    running: state === "running" || state === "idle" || state === "paused",
    autostart: sections.get("autostart")?.startsWith("enable") ?? false,
    inactive: parseDomainXml(inactive),
    live: live === undefined ? undefined : parseDomainXml(live),
    pid: sections.has("pid") ? Number(sections.get("pid")) : undefined,
    threads: (sections.get("threads") ?? "").split("\n").flatMap(thread),
  };
}

function thread(line: string): Thread[] {
  const [id, name, cpus] = line.split("\t");
  return id && name && cpus ? [{ id: Number(id), name, cpus: parseCpus(cpus) }] : [];
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
