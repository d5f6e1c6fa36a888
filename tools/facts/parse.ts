import { parseFacts, type CpuFacts, type DiskFacts, type HostFacts } from "../../config/facts";
import { parseCpuSet } from "../../config/units";
import { UserError } from "../../provider/core/kind";
import { stealPercent } from "../../provider/machine/probe";
import { parseAnswers } from "../../provider/node/answers";

/** The probe's output as facts. `now` is the time of the probe. Throws a UserError that names the host. */
export function factsFromProbe(host: string, stdout: string, now: Date): HostFacts {
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
  const libvirt = answer("libvirt");
  const version = (label: RegExp): string => {
    const found = label.exec(libvirt)?.[1];
    if (found !== undefined) return found;
    const said = libvirt.split("\n").at(-1)!.slice(0, 200);
    throw new UserError(
      `host ${host}: \`virsh -c qemu:///system version\` says ${JSON.stringify(said)}; install libvirt and QEMU there and start libvirtd`,
    );
  };
  const totalMemory = Number(answer("totalMemory"));
  const memory = lines(answers.get("memory")).map(([node, kib]) => ({ node: Number(node), bytes: Number(kib) * 1024 }));
  const facts = {
    schema: 1,
    probedAt: now.toISOString(),
    hostname: answer("hostname"),
    accelerator: answers.get("kvm") === "started" ? "kvm" : "qemu",
    virtualization: answer("virtualization"),
    libvirtVersion: version(/^Using library: libvirt (\S+)/m),
    qemuVersion: version(/^Running hypervisor: QEMU (\S+)/m),
    cpuModel: answers.get("model") ?? "",
    cpus: cpus(answer("cpus")),
    isolatedCpus: [...parseCpuSet(answers.get("isolated") || "none")],
    memory: memory.length > 0 ? memory : [{ node: 0, bytes: totalMemory * 1024 }],
    hugepages: lines(answers.get("hugepages"))
      .map(([node, kib, count]) => ({ node: Number(node), sizeBytes: Number(kib) * 1024, count: Number(count) }))
      .filter((pages) => pages.count > 0),
    disks: disks(answers.get("disks") ?? ""),
    stealPercent: stealPercent(answer("stat1"), answer("stat2")),
  };
  return parseFacts(facts, `the probe of host ${host}`);
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

interface LsblkDevice {
  readonly name: string;
  readonly tran: string | null;
  /** util-linux before 2.33 writes "1" and "0". */
  readonly rota: boolean | string;
  readonly model: string | null;
  readonly serial: string | null;
  readonly size: number | string;
  readonly type: string;
}

/** Disks that hold something; not loop devices, optical drives or zram. */
function disks(text: string): DiskFacts[] {
  if (!text.startsWith("{")) return [];
  const { blockdevices } = JSON.parse(text) as { readonly blockdevices: readonly LsblkDevice[] };
  return blockdevices
    .filter(({ type, name, size }) => type === "disk" && !name.startsWith("zram") && Number(size) > 0)
    .map(({ name, tran, rota, model, serial, size }) => ({
      name,
      transport: tran ?? (name.startsWith("nvme") ? "nvme" : "unknown"),
      rotational: rota === true || rota === "1",
      model: model?.trim() ?? "",
      serial: serial?.trim() ?? "",
      bytes: Number(size),
    }));
}
