import { FACTS_SCHEMA, parseFacts, type DiskFacts, type HostFacts, type ThinPoolFacts } from "../../config/facts";
import { UserError } from "../../provider/core/kind";
import { reportFrom } from "../../provider/lvm/report";
import { taggedFrom } from "../../provider/lvm/tags";
import { formatCpus, parseCpus } from "../../provider/libvirt/cpulist";
import { stealBetween } from "../../provider/machine/probe";
import { parseAnswers } from "../../provider/node/answers";
import { foreignFrom, type HostCpus } from "./foreign";
import { cpusFrom, memoryFrom, type Warn } from "./hardware";

/** What was asked for beside the host itself. */
export interface Asked {
  /** Folder for images and disks. */
  readonly storage: string;
  /** Time of the probe. */
  readonly now: Date;
  /** Told what is odd on the host and stands in the way of nothing; default: nobody is. */
  readonly warn?: Warn;
}

/**
 * The probe's output as facts. Refused, with a UserError that names the host, is only what placement would go wrong by, and
 * what can't be a host at all; what is merely odd is told to `warn` (docs/decisions/0110).
 */
export function factsFromProbe(
  host: string,
  stdout: string,
  { storage, now, warn = () => undefined }: Asked,
): HostFacts {
  const answers = parseAnswers(stdout);
  const answer = (name: string): string => {
    const text = answers.get(name);
    if (text === undefined || text === "") {
      throw new UserError(
        `host ${host}: no answer for "${name}" when it was probed; it must be a Linux with lscpu and /proc`,
      );
    }
    return text;
  };
  refuseForeignProcessor(host, answer("architecture"));
  const numbers = (name: string): number[][] => lines(answers.get(name)).map((fields) => fields.map(Number));
  const memory = memoryFrom(
    {
      nodes: numbers("memory").map(([node = 0, kib = 0]) => ({ node, kib })),
      present: new Map(numbers("present").map(([node = 0, kib = 0]) => [node, kib])),
      totalKib: Number(answer("totalMemory")),
    },
    warn,
  );
  const online = cpusFrom(
    answer("cpus"),
    memory.map(({ node }) => node),
    warn,
  );
  if (online.length === 0) throw new UserError(`host ${host}: \`lscpu -p\` lists no CPU there: see what it says`);
  const numbersOnline = online.map(({ cpu }) => cpu);
  const facts: HostFacts = {
    schema: FACTS_SCHEMA,
    probedAt: now.toISOString(),
    hostname: answer("hostname"),
    // Without QEMU a guest can't be tried: preparation does that once it has installed it.
    accelerator: ["started", "no qemu"].includes(answer("kvm")) ? "kvm" : "qemu",
    virtualization: answers.get("virtualization") || "unknown",
    ...software(host, answer("libvirt"), answer("qemu")),
    cpuModel: answers.get("model") ?? "",
    cpus: online,
    // Arguments of the kernel may also name CPUs that are offline, or not there.
    isolatedCpus: parseCpus(answers.get("isolated") ?? "").filter((cpu) => numbersOnline.includes(cpu)),
    memory,
    // Kernels before 3.14 don't say.
    availableMemory: answers.get("availableMemory") ? Number(answers.get("availableMemory")) * 1024 : null,
    hugepages: numbers("hugepages")
      .map(([node = 0, kib = 0, count = 0]) => ({ node, sizeBytes: kib * 1024, count }))
      .filter((pages) => pages.count > 0)
      .sort((a, b) => a.node - b.node || a.sizeBytes - b.sizeBytes),
    disks: disks(answers.get("disks") ?? "", byId(answers.get("byId")), warn),
    storage: { path: storage, ...room(answers.get("storage") ?? "", warn) },
    thinPools: thinPools(host, answers.get("volumes") ?? ""),
    foreign: foreign(host, answers.get("foreign"), {
      cpus: numbersOnline,
      defaultHugepageBytes: Number(answers.get("defaultHugepage") || 2048) * 1024,
    }),
    stealPercent: steal(answers.get("stat1") ?? "", answer("stat2"), warn),
  };
  warnOfMemory(facts, warn);
  return parseFacts(facts, `the probe of host ${host}`);
}

/** `uname -m`. Machines are x86-64, as are the images that they boot. */
function refuseForeignProcessor(host: string, architecture: string): void {
  if (architecture === "x86_64") return;
  throw new UserError(`host ${host}: its processors are ${architecture}, which is not supported: take an x86-64 host`);
}

function warnOfMemory({ cpus, memory }: HostFacts, warn: Warn): void {
  const withCpus = new Set(cpus.map(({ node }) => node));
  const far = memory.filter(({ node }) => !withCpus.has(node)).map(({ node }) => node);
  if (far.length > 0 && far.length < memory.length)
    warn(`NUMA nodes ${formatCpus(far)} have memory and no CPUs (an accelerator's, or CXL): machines get none of it`);
  const bare = [...withCpus].filter((node) => !memory.some((entry) => entry.node === node));
  if (bare.length > 0)
    warn(`NUMA nodes ${formatCpus(bare)} have CPUs and no memory: a machine on them has its memory on other nodes`);
}

/** For people: on a computer that says nothing of it, or less than before (some do after they were moved), it is unknown. */
function steal(before: string, after: string, warn: Warn): number | null {
  const percent = stealBetween(before, after);
  if (percent === undefined) warn("its /proc/stat says nothing about steal");
  return percent ?? null;
}

/** `df`'s size and what is free; not all file systems say. */
function room(text: string, warn: Warn): Pick<HostFacts["storage"], "bytes" | "availableBytes"> {
  const [bytes = NaN, availableBytes = NaN] = text.split(/\s+/).map(Number);
  if (bytes >= 0 && availableBytes >= 0) return { bytes, availableBytes };
  warn(`the size of the file system of its storage folder is unknown: df says ${JSON.stringify(text)}`);
  return { bytes: 0, availableBytes: 0 };
}

/** Versions by libvirt's own word; by QEMU's where there is no libvirt. "missing": it is not installed. */
function software(host: string, libvirt: string, qemu: string): Pick<HostFacts, "libvirtVersion" | "qemuVersion"> {
  // Of "QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-1)".
  const own = /version (\d[\w.]*)/.exec(qemu)?.[1] ?? null;
  if (libvirt.split("\n").at(-1) === "missing") return { libvirtVersion: null, qemuVersion: own };
  const libvirtVersion = /^Using library: libvirt (\S+)/m.exec(libvirt)?.[1];
  const qemuVersion = /^Running hypervisor: QEMU (\S+)/m.exec(libvirt)?.[1];
  if (libvirtVersion !== undefined && (qemuVersion !== undefined || qemu === "missing"))
    return { libvirtVersion, qemuVersion: qemuVersion ?? null };
  const said = libvirt.split("\n").at(-1)!.slice(0, 200);
  throw new UserError(
    `host ${host}: libvirt is installed, and \`virsh -c qemu:///system version\` says ${JSON.stringify(said)}: start libvirtd there`,
  );
}

function lines(text: string | undefined): string[][] {
  return (text ?? "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => line.trim().split(/\s+/));
}

/** In the order of their names; one base64 word a machine. */
function foreign(host: string, text: string | undefined, cpus: HostCpus): HostFacts["foreign"] {
  const why = [...(text ?? "").matchAll(/^! (.*)$/gm)].map(([, line = ""]) => line.trim());
  if (why.length > 0) {
    throw new UserError(`host ${host}: its machines can't be listed: ${why.join("; ")}`);
  }
  return lines(text)
    .flatMap(([word = ""]) => {
      const xml = Buffer.from(word, "base64").toString("utf8");
      try {
        return foreignFrom(xml, cpus) ?? [];
      } catch (error) {
        const name = /<name>([^<]{1,80})/.exec(xml)?.[1] ?? "?";
        const why = error instanceof Error ? error.message : String(error);
        throw new UserError(`host ${host}: the definition of machine ${name} can't be read: ${why}`);
      }
    })
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.uuid < b.uuid ? -1 : 1));
}

interface LsblkDevice {
  readonly name: string;
  readonly tran?: string | null;
  /** util-linux before 2.33 writes "1" and "0". */
  readonly rota?: boolean | string;
  readonly model?: string | null;
  readonly serial?: string | null;
  readonly size: number | string;
  readonly type: string;
  readonly fstype?: string | null;
  readonly mountpoint?: string | null;
  readonly children?: readonly LsblkDevice[];
}

/** Kernel name → its first stable one. */
function byId(text: string | undefined): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [name = "", link = ""] of lines(text)) if (!names.has(name)) names.set(name, link);
  return names;
}

/** A stack file may name a disk that is not in the list; so without a list, preview can say less, and that is all. */
function devicesOf(text: string, warn: Warn): readonly LsblkDevice[] {
  if (text === "") return [];
  try {
    return (JSON.parse(text) as { readonly blockdevices?: readonly LsblkDevice[] }).blockdevices ?? [];
  } catch {
    warn(`its disks are unknown: lsblk says ${JSON.stringify(text.slice(0, 80))}`);
    return [];
  }
}

/** Disks that hold something; not loop devices, optical drives or zram. */
function disks(text: string, links: ReadonlyMap<string, string>, warn: Warn): DiskFacts[] {
  return devicesOf(text, warn)
    .filter(({ type, name, size }) => type === "disk" && !name.startsWith("zram") && Number(size) > 0)
    .map((device) => ({
      name: device.name,
      transport: device.tran ?? (device.name.startsWith("nvme") ? "nvme" : "unknown"),
      rotational: device.rota === true || device.rota === "1",
      model: device.model?.trim() ?? "",
      serial: device.serial?.trim() ?? "",
      bytes: Number(device.size),
      byId: links.get(device.name) ?? "",
      use: useOf(device),
    }));
}

/** A host without LVM has none. One whose LVM fails may have some: without them, a preview would refuse its machines with the wrong reason. */
function thinPools(host: string, report: string): ThinPoolFacts[] {
  if (report === "") return [];
  const failed = /^! ([^]*)/m.exec(report)?.[1];
  if (failed !== undefined) {
    const said = failed
      .trim()
      .split(/\s*\n\s*/)
      .join("; ");
    throw new UserError(`host ${host}: its logical volumes can't be listed, \`lvs\` there says: ${said}`);
  }
  const volumes = reportFrom(report);
  return volumes
    .filter(({ type }) => type === "thin-pool")
    .map(({ volumeGroup, name, bytes, metadataBytes, extentBytes, dataPercent, metadataPercent }) => ({
      ...{ volumeGroup, name, bytes, metadataBytes, extentBytes, dataPercent, metadataPercent },
      foreignBytes: volumes
        .filter((volume) => volume.volumeGroup === volumeGroup && volume.pool === name && !taggedFrom(volume.tags))
        .reduce((sum, volume) => sum + volume.bytes, 0),
    }));
}

/** Where it is mounted, whatever lies between; else its signature; else that it has parts. */
function useOf(device: LsblkDevice): string {
  const mounts = (part: LsblkDevice): string[] => [
    ...(part.mountpoint ? [part.mountpoint] : []),
    ...(part.children ?? []).flatMap(mounts),
  ];
  const mounted = [...new Set(mounts(device))].sort();
  if (mounted.length > 0) return `mounted on ${mounted.join(", ")}`;
  if (device.fstype) return device.fstype;
  return (device.children ?? []).length > 0 ? "partitions" : "";
}
