import * as fs from "node:fs";
import * as path from "node:path";

const folder = path.resolve(__dirname, "../../../tests/fixtures/hosts");

/** Figures of one recorded host; a recording that lacks some is for the parser of those that it has. */
export interface RecordedHost {
  readonly name: string;
  readonly source: string;
  /** `uname -m`. */
  readonly machine: string;
  /** As `lscpu -p=CPU,CORE,SOCKET,NODE` prints them. */
  readonly cpus?: string;
  /** KiB of each NUMA node. */
  readonly memory: readonly (readonly [node: number, kib: number])[];
  readonly present: readonly (readonly [node: number, kib: number])[];
  readonly totalKib?: number;
  readonly availableKib?: number;
  /** Lines of a process's /proc/PID/cgroup. */
  readonly cgroup: readonly string[];
  /** "NODE SIZE COUNT" of each node and size. */
  readonly hugepages: readonly string[];
}

/** Every host of tests/fixtures/hosts, by name. */
export function recordedHosts(): ReadonlyMap<string, RecordedHost> {
  const files = fs.readdirSync(folder).map((file) => fs.readFileSync(path.join(folder, file), "utf8"));
  const hosts = files.flatMap((text) => text.split(/\n\n+/).filter((part) => part.startsWith("host ")));
  return new Map(hosts.map(parse).map((host) => [host.name, host]));
}

/** What the probe of such a host prints; what the recording lacks is that of a host with libvirt, 8 GiB and one CPU. */
export function probeOf(host: RecordedHost): string {
  const pairs = (list: RecordedHost["memory"]): string => list.map(([node, kib]) => `${node} ${kib}`).join("\n");
  const answers = {
    stat1: "cpu  10 0 10 1000 0 0 0 0 0 0",
    hostname: host.name,
    architecture: host.machine,
    virtualization: "none",
    libvirt: "Using library: libvirt 10.0.0\nRunning hypervisor: QEMU 8.2.2",
    qemu: "QEMU emulator version 8.2.2",
    model: "",
    cpus: `# CPU,Core,Socket,Node\n${host.cpus ?? "0,0,0,"}`,
    isolated: "",
    memory: pairs(host.memory),
    present: pairs(host.present),
    totalMemory: String(host.totalKib ?? (host.memory.reduce((sum, [, kib]) => sum + kib, 0) || 8 * 2 ** 20)),
    availableMemory: host.availableKib === undefined ? "" : String(host.availableKib),
    defaultHugepage: "",
    hugepages: host.hugepages.join("\n"),
    disks: "",
    byId: "",
    storage: "1000000000 900000000",
    volumes: "",
    foreign: "",
    kvm: "started",
    stat2: "cpu  20 0 20 1100 0 0 0 0 0 0",
  };
  return Object.entries(answers)
    .map(([name, answer]) => `@@ ${name}\n${answer}\n\n`)
    .join("");
}

function parse(text: string): RecordedHost {
  const fields = new Map(text.split("\n").map((line) => [line.split(" ", 1)[0]!, line.slice(line.indexOf(" ") + 1)]));
  const words = (name: string): string[] => (fields.get(name) ?? "").split(" ").filter(Boolean);
  const pairs = (name: string): [number, number][] =>
    words(name).map((word) => word.split("=").map(Number) as [number, number]);
  const kib = (name: string): number | undefined => (fields.has(name) ? Number(fields.get(name)) : undefined);
  return {
    name: fields.get("host")!,
    source: fields.get("source")!,
    machine: fields.get("machine")!,
    cpus: fields.has("cpus") ? lscpu(words("cpus")) : undefined,
    memory: pairs("memory"),
    present: pairs("present"),
    totalKib: kib("total"),
    availableKib: kib("available"),
    cgroup: words("cgroup"),
    hugepages: words("hugepages").map((word) => word.replace(/[:=]/g, " ")),
  };
}

/** "0/3@1=6-7" → a line for CPU 6 and one for CPU 7, in the order of their numbers; "-" is an empty field. */
function lscpu(cores: readonly string[]): string {
  const rows = cores.flatMap((text) => {
    const [, socket, core, node, list] = /^(\S+)\/(\S+)@(\S+)=(\S+)$/.exec(text)!;
    const cpus = list!.split(",").flatMap((range) => {
      const [first, last = first] = range.split("-").map(Number) as [number, number?];
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
    return cpus.map((cpu) => ({ cpu, fields: [core, socket, node].map((field) => (field === "-" ? "" : field)) }));
  });
  return rows
    .sort((a, b) => a.cpu - b.cpu)
    .map(({ cpu, fields }) => [cpu, ...fields].join(","))
    .join("\n");
}
