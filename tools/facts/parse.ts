import {
  FACTS_SCHEMA,
  parseFacts,
  type CpuFacts,
  type DiskFacts,
  type HostFacts,
  type ThinPoolFacts,
} from "../../config/facts";
import { parseCpuSet } from "../../config/units";
import { UserError } from "../../provider/core/kind";
import { reportFrom } from "../../provider/lvm/report";
import { taggedFrom } from "../../provider/lvm/tags";
import { stealPercent } from "../../provider/machine/probe";
import { parseAnswers } from "../../provider/node/answers";
import { foreignFrom, type HostCpus } from "./foreign";

/** What was asked for beside the host itself. */
export interface Asked {
  /** Folder for images and disks. */
  readonly storage: string;
  /** Time of the probe. */
  readonly now: Date;
}

/** The probe's output as facts. Throws a UserError that names the host. */
export function factsFromProbe(host: string, stdout: string, { storage, now }: Asked): HostFacts {
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
  const totalMemory = Number(answer("totalMemory"));
  const memory = lines(answers.get("memory")).map(([node, kib]) => ({ node: Number(node), bytes: Number(kib) * 1024 }));
  const online = cpus(answer("cpus"));
  const [storageBytes, storageAvailable] = answer("storage").split(/\s+/).map(Number);
  const facts = {
    schema: FACTS_SCHEMA,
    probedAt: now.toISOString(),
    hostname: answer("hostname"),
    // Without QEMU a guest can't be tried: preparation does that once it has installed it.
    accelerator: ["started", "no qemu"].includes(answer("kvm")) ? "kvm" : "qemu",
    virtualization: answer("virtualization"),
    ...software(host, answer("libvirt"), answer("qemu")),
    cpuModel: answers.get("model") ?? "",
    cpus: online,
    isolatedCpus: [...parseCpuSet(answers.get("isolated") || "none")],
    memory: memory.length > 0 ? memory : [{ node: 0, bytes: totalMemory * 1024 }],
    availableMemory: Number(answer("availableMemory")) * 1024,
    hugepages: lines(answers.get("hugepages"))
      .map(([node, kib, count]) => ({ node: Number(node), sizeBytes: Number(kib) * 1024, count: Number(count) }))
      .filter((pages) => pages.count > 0),
    disks: disks(answers.get("disks") ?? "", byId(answers.get("byId"))),
    storage: { path: storage, bytes: storageBytes, availableBytes: storageAvailable },
    thinPools: thinPools(host, answers.get("volumes") ?? ""),
    foreign: foreign(host, answers.get("foreign"), {
      cpus: online.map(({ cpu }) => cpu),
      defaultHugepageBytes: Number(answers.get("defaultHugepage") || 2048) * 1024,
    }),
    stealPercent: stealPercent(`host ${host}`, answer("stat1"), answer("stat2")),
  };
  return parseFacts(facts, `the probe of host ${host}`);
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

/** `lscpu -p=CPU,CORE,SOCKET,NODE`: one line an online CPU; the node is empty on kernels without NUMA. */
function cpus(text: string): CpuFacts[] {
  return text
    .split("\n")
    .filter((line) => /^\d/.test(line))
    .map((line) => {
      const [cpu, core, socket, node] = line.split(",").map((field) => Number(field === "" ? "0" : field));
      return { cpu: cpu!, core: core!, socket: socket!, node: node ?? 0 };
    });
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

/** Disks that hold something; not loop devices, optical drives or zram. */
function disks(text: string, links: ReadonlyMap<string, string>): DiskFacts[] {
  if (!text.startsWith("{")) return [];
  const { blockdevices } = JSON.parse(text) as { readonly blockdevices: readonly LsblkDevice[] };
  return blockdevices
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
