/**
 * The commands of virsh that our scripts use, with the messages and exit codes of libvirt 9 to 11.
 * What they must do like the real ones is in the contract tests.
 */
import { VirshError } from "./errors";
import { SimulatedLibvirt } from "./libvirt";
import { SimulatedNetworks } from "./networks";
import { SimulatedPools } from "./pools";
import type { Answer } from "./tool-server";

type Command<T> = (on: T, args: readonly string[], flags: ReadonlySet<string>) => string;

const MACHINES: Readonly<Record<string, Command<SimulatedLibvirt>>> = {
  define: (libvirt, [file]) => libvirt.define(file ?? ""),
  undefine: (libvirt, [name], flags) => libvirt.undefine(name ?? "", flags),
  start: (libvirt, [name]) => libvirt.startDomain(name ?? ""),
  shutdown: (libvirt, [name]) => libvirt.shutdown(name ?? ""),
  destroy: (libvirt, [name]) => libvirt.destroy(name ?? ""),
  autostart: (libvirt, [name], flags) => libvirt.setAutostart(name ?? "", !flags.has("--disable")),
  // By name only, as the real one.
  domuuid: (libvirt, [name]) => libvirt.byName(name ?? "").uuid,
  // By UUID only: the real one refuses a name.
  domname: (libvirt, [uuid]) => libvirt.byUuid(uuid ?? "").name,
  // virsh metadata NAME --uri URI --key KEY --set XML [--live] [--config]
  metadata: (libvirt, [name, uri, key, xml], flags) =>
    libvirt.setMetadata(name ?? "", uri ?? "", key ?? "", xml ?? "", flags),
  domrename: (libvirt, [name, to]) => libvirt.rename(name ?? "", to ?? ""),
  domstate: (libvirt, [name], flags) => `${libvirt.state(name ?? "")}${flags.has("--reason") ? " (user)" : ""}`,
  suspend: (libvirt, [name]) => libvirt.pause(name ?? "", true),
  resume: (libvirt, [name]) => libvirt.pause(name ?? "", false),
  dominfo: (libvirt, [name]) => libvirt.info(name ?? ""),
  dumpxml: (libvirt, [name], flags) => libvirt.dumpXml(name ?? "", flags.has("--inactive")),
  vcpucount: (libvirt, [name], flags) => libvirt.vcpuCount(name ?? "", flags.has("--live")),
  vcpupin: (libvirt, [name, vcpu, cpus], flags) => libvirt.pin(name ?? "", "vcpupin", cpus ?? "", flags, vcpu),
  emulatorpin: (libvirt, [name, cpus], flags) => libvirt.pin(name ?? "", "emulatorpin", cpus ?? "", flags),
  iothreadpin: (libvirt, [name, thread, cpus], flags) =>
    libvirt.pin(name ?? "", "iothreadpin", cpus ?? "", flags, thread),
  list: (libvirt, _args, flags) => libvirt.list(flags.has("--all"), flags.has("--uuid") ? "uuid" : "name"),
  version: () =>
    "Compiled against library: libvirt 11.3.0\nUsing library: libvirt 11.3.0\nUsing API: QEMU 11.3.0\nRunning hypervisor: QEMU 10.0.13",
  "attach-device": (libvirt, [name, file]) => libvirt.attachDevice(name ?? "", file ?? ""),
  "detach-disk": (libvirt, [name, target]) => libvirt.detachDevice(name ?? "", "disk", target ?? ""),
  // virsh detach-interface NAME TYPE --mac MAC
  "detach-interface": (libvirt, [name, , mac]) => libvirt.detachDevice(name ?? "", "interface", mac ?? ""),
  domfsinfo: (libvirt, [name]) => libvirt.fileSystems(name ?? ""),
  setmem: (libvirt, [name, kib]) => libvirt.setMemory(name ?? "", kib ?? ""),
  domblklist: (libvirt, [name]) => libvirt.blockDevices(name ?? ""),
  blockresize: (libvirt, [name, device, size]) => libvirt.blockResize(name ?? "", device ?? "", size ?? ""),
};

const POOLS: Readonly<Record<string, Command<SimulatedPools>>> = {
  // virsh -q pool-define-as NAME dir --target FOLDER
  "pool-define-as": (pools, [name, , target]) => pools.define(name ?? "", target ?? ""),
  "pool-list": (pools) => pools.list(),
  "pool-dumpxml": (pools, [name]) => pools.xml(name ?? ""),
  "pool-info": (pools, [name]) => pools.info(name ?? ""),
  "pool-start": (pools, [name]) => pools.set(name ?? "", "active", true),
  "pool-autostart": (pools, [name]) => pools.set(name ?? "", "autostart", true),
  "pool-refresh": (pools, [name]) => pools.info(name ?? "") && "",
  "pool-destroy": (pools, [name]) => pools.set(name ?? "", "active", false),
  "pool-undefine": (pools, [name]) => pools.undefine(name ?? ""),
};

const NETWORKS: Readonly<Record<string, Command<SimulatedNetworks>>> = {
  "net-define": (networks, [file]) => networks.define(file ?? ""),
  "net-undefine": (networks, [name]) => networks.undefine(name ?? ""),
  "net-start": (networks, [name]) => networks.set(name ?? "", "active", true),
  "net-destroy": (networks, [name]) => networks.set(name ?? "", "active", false),
  "net-autostart": (networks, [name], flags) => networks.set(name ?? "", "autostart", !flags.has("--disable")),
  "net-list": (networks, _args, flags) => networks.list(flags.has("--uuid") ? "uuid" : "name"),
  "net-info": (networks, [name]) => networks.info(name ?? ""),
  "net-dumpxml": (networks, [name]) => networks.xml(name ?? ""),
  "net-uuid": (networks, [name]) => networks.uuid(name ?? ""),
};

/** One command as words, or a single word that holds many with semicolons between them: each is run, and the last one's code counts. */
export function virsh(root: string, args: readonly string[]): Answer {
  const words = [...args];
  if (words[0] === "-q") words.shift();
  if (words[0] === "-c") words.splice(0, 2);
  const commands = words.length === 1 ? commandsIn(words[0] ?? "") : [words];
  const answers = commands.map((command) => run(root, command));
  return {
    code: answers.at(-1)?.code ?? 0,
    stdout: answers.map(({ stdout }) => stdout).join(""),
    stderr: answers.map(({ stderr }) => stderr).join(""),
  };
}

/** Quotes and backslashes as in a shell. */
function commandsIn(text: string): string[][] {
  const commands: string[][] = [[]];
  for (const [token] of text.matchAll(/;|(?:[^\s;'"\\]|\\[^]|'[^']*'|"(?:[^"\\]|\\[^])*")+/g)) {
    if (token === ";") commands.push([]);
    else commands.at(-1)?.push(token.replace(/'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])/g, "$1$2$3"));
  }
  return commands.filter((command) => command.length > 0);
}

function run(root: string, [name = "", ...rest]: readonly string[]): Answer {
  // Quiet, it ends no line.
  if (name === "echo") return { code: 0, stdout: rest.join(" "), stderr: "" };
  try {
    const plain = rest.filter((word) => !word.startsWith("--"));
    const flags = new Set(rest.filter((word) => word.startsWith("--")));
    const text =
      MACHINES[name]?.(new SimulatedLibvirt(root), plain, flags) ??
      POOLS[name]?.(new SimulatedPools(root), plain, flags) ??
      NETWORKS[name]?.(new SimulatedNetworks(root), plain, flags);
    if (text === undefined) throw new VirshError(`unknown command: '${name}'`);
    return { code: 0, stdout: text === "" ? "" : `${text}\n`, stderr: "" };
  } catch (error) {
    if (!(error instanceof VirshError)) throw error;
    return { code: 1, stdout: "", stderr: `error: ${error.message}\n` };
  }
}
