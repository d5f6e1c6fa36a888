/** The process of a running machine as the kernel shows it: pid file and /proc below a simulated host's root. */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Element } from "@xmldom/xmldom";
import { parseCpus } from "../../../provider/libvirt/cpulist";
import { elements, text } from "./xml";

/** Who runs, as which process. */
export interface RunningMachine {
  readonly name: string;
  readonly pid?: number;
}

/** A machine of this XML runs now: QEMU's threads, on the CPUs that the XML pins them to. */
export function showProcess(root: string, { name: machine, pid = 0 }: RunningMachine, xml: Element): void {
  fs.writeFileSync(path.join(root, `run/libvirt/qemu/${machine}.pid`), `${pid}`);
  const all = `0-${fs.readdirSync(path.join(root, "sys/devices/system/cpu")).length - 1}`;
  const pinned = (element: string, key?: string, value?: string): string =>
    elements(xml, element)
      .find((pin) => key === undefined || pin.getAttribute(key) === value)
      ?.getAttribute("cpuset") ?? all;
  const threads: [string, string][] = [
    ["qemu-system-x86", pinned("emulatorpin")],
    ["IO iothread1", pinned("iothreadpin", "iothread", "1")],
  ];
  const kind = xml.getAttribute("type") === "kvm" ? "KVM" : "TCG";
  for (let i = 0; i < Number(text(xml, "vcpu")); i++)
    threads.push([`CPU ${i}/${kind}`, pinned("vcpupin", "vcpu", String(i))]);
  threads.forEach(([name, cpus], i) => {
    const folder = path.join(root, `proc/${pid}/task/${pid + i}`);
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, "comm"), `${name}\n`);
    fs.writeFileSync(path.join(folder, "status"), `Name:\t${name}\nCpus_allowed_list:\t${cpus}\n`);
    // Time that it ran, time that it waited for a CPU, how often it was put on one.
    fs.writeFileSync(path.join(folder, "schedstat"), "5000000 1000 7\n");
    fs.writeFileSync(path.join(folder, "cgroup"), `0::/machine.slice/${machine}/vcpu\n`);
  });
  const kib = Number(text(xml, "memory")) || 65536;
  fs.writeFileSync(path.join(root, `proc/${pid}/numa_maps`), numaMaps(kib));
  const cgroup = path.join(root, `sys/fs/cgroup/machine.slice/${machine}/vcpu`);
  fs.mkdirSync(cgroup, { recursive: true });
  fs.writeFileSync(path.join(cgroup, "cpu.max"), "max 100000\n");
}

/** A library, the heap, and the machine's memory, all of it on node 0. */
function numaMaps(kib: number): string {
  return [
    "7f10a0000000 default file=/usr/lib/libc.so.6 mapped=400 N0=100 N1=300 kernelpagesize_kB=4",
    "7f10b0000000 bind:0 heap anon=900 dirty=900 N0=900 kernelpagesize_kB=4",
    `7f10c0000000 bind:0 anon=${kib / 4} dirty=${kib / 4} active=0 N0=${Math.max(16384, kib / 4)} kernelpagesize_kB=4`,
    "",
  ].join("\n");
}

/** libvirtd itself: its pid lies beside those of the machines, and it may run anywhere. */
export function showLibvirtd(root: string): void {
  const folder = path.join(root, "proc/700/task/700");
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(root, "run/libvirt/qemu/driver.pid"), "700");
  fs.writeFileSync(path.join(folder, "comm"), "libvirtd\n");
  fs.writeFileSync(path.join(folder, "status"), "Name:\tlibvirtd\nCpus_allowed_list:\t0-7\n");
}

export function hideProcess(root: string, { name, pid }: RunningMachine): void {
  if (pid) fs.rmSync(path.join(root, `proc/${pid}`), { recursive: true, force: true });
  fs.rmSync(path.join(root, `run/libvirt/qemu/${name}.pid`), { force: true });
}

/** `pin`: libvirt's element; `which`: number of the vCPU or I/O thread. */
export function setAffinity(root: string, { pid }: RunningMachine, pin: string, which: string, cpus: string): void {
  const thread = threadName(pin, which);
  const tasks = path.join(root, `proc/${pid}/task`);
  for (const id of fs.readdirSync(tasks)) {
    const name = fs.readFileSync(path.join(tasks, id, "comm"), "utf8").trim();
    if (!name.startsWith(thread)) continue;
    const list = parseCpus(cpus).join(",");
    fs.writeFileSync(path.join(tasks, id, "status"), `Name:\t${name}\nCpus_allowed_list:\t${list}\n`);
  }
}

function threadName(element: string, which: string): string {
  if (element === "vcpupin") return `CPU ${which}/`;
  return element === "iothreadpin" ? `IO iothread${which}` : "qemu-system";
}
