/**
 * A virsh that keeps its machines in files: the commands that our scripts use, with the messages and exit codes of libvirt 9 to 11.
 * What it must do like the real one is in the contract tests.
 */
import { SimulatedLibvirt, VirshError } from "./libvirt";

type Command = (libvirt: SimulatedLibvirt, args: readonly string[], flags: ReadonlySet<string>) => string;

const COMMANDS: Readonly<Record<string, Command>> = {
  define: (libvirt, [file]) => libvirt.define(file ?? ""),
  undefine: (libvirt, [name]) => libvirt.undefine(name ?? ""),
  start: (libvirt, [name]) => libvirt.startDomain(name ?? ""),
  shutdown: (libvirt, [name]) => libvirt.shutdown(name ?? ""),
  destroy: (libvirt, [name]) => libvirt.destroy(name ?? ""),
  autostart: (libvirt, [name], flags) => libvirt.setAutostart(name ?? "", !flags.has("--disable")),
  domuuid: (libvirt, [name]) => libvirt.domain(name ?? "").uuid,
  domname: (libvirt, [name]) => libvirt.domain(name ?? "").name,
  domstate: (libvirt, [name]) => libvirt.state(name ?? ""),
  dominfo: (libvirt, [name]) => libvirt.info(name ?? ""),
  dumpxml: (libvirt, [name], flags) => libvirt.dumpXml(name ?? "", flags.has("--inactive")),
  vcpucount: (libvirt, [name], flags) => libvirt.vcpuCount(name ?? "", flags.has("--live")),
  vcpupin: (libvirt, [name, vcpu, cpus], flags) => libvirt.pin(name ?? "", "vcpupin", cpus ?? "", flags, vcpu),
  emulatorpin: (libvirt, [name, cpus], flags) => libvirt.pin(name ?? "", "emulatorpin", cpus ?? "", flags),
  iothreadpin: (libvirt, [name, thread, cpus], flags) =>
    libvirt.pin(name ?? "", "iothreadpin", cpus ?? "", flags, thread),
  list: (libvirt, _args, flags) => libvirt.list(flags.has("--all")),
  domblklist: (libvirt, [name]) => libvirt.blockDevices(name ?? ""),
  blockresize: (libvirt, [name, device, size]) => libvirt.blockResize(name ?? "", device ?? "", size ?? ""),
  "pool-define-as": (libvirt, [name], _flags) => libvirt.definePool(name ?? "", option("--target")),
  "pool-list": (libvirt) => libvirt.listPools(),
  "pool-dumpxml": (libvirt, [name]) => libvirt.poolXml(name ?? ""),
  "pool-info": (libvirt, [name]) => libvirt.poolInfo(name ?? ""),
  "pool-start": (libvirt, [name]) => libvirt.setPool(name ?? "", "active", true),
  "pool-autostart": (libvirt, [name]) => libvirt.setPool(name ?? "", "autostart", true),
  "pool-refresh": (libvirt, [name]) => libvirt.poolInfo(name ?? "") && "",
  "pool-destroy": (libvirt, [name]) => libvirt.setPool(name ?? "", "active", false),
  "pool-undefine": (libvirt, [name]) => libvirt.undefinePool(name ?? ""),
};

function option(name: string): string {
  return process.argv[process.argv.indexOf(name) + 1] ?? "";
}

function main(): void {
  const args = process.argv.slice(2);
  if (args[0] === "-q") args.shift();
  if (args[0] === "-c") args.splice(0, 2);
  const [name = "", ...rest] = args;
  const command = COMMANDS[name];
  const root = process.env["KVMESH_SIMULATED_ROOT"] ?? "";
  try {
    if (!command) throw new VirshError(`unknown command: '${name}'`);
    const flags = new Set(rest.filter((word) => word.startsWith("--")));
    const text = command(
      new SimulatedLibvirt(root),
      rest.filter((word) => !word.startsWith("--")),
      flags,
    );
    if (text !== "") process.stdout.write(`${text}\n`);
  } catch (error) {
    if (!(error instanceof VirshError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  }
}

main();
