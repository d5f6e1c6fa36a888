/**
 * Several of the quickstart's `cp1` on one network: Debian roots in namespaces at native speed, with real containerd, kubelet and
 * kubeadm. To the program they are existing machines. Each can lose its power, its disks and its network, and come back.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clientKey, connectHost, endpointOf, startExisting } from "../../../tools/site/machines";
import { removeCgroups, type Recorder, type RunningMachine } from "../../../tools/site/namespaces";
import { chooseSubnet, ip, ownAddress, removeLink, type Subnet } from "../../../tools/site/network";
import { siteDir } from "../../../tools/site/paths";
import { end, identify, isAlive, type ProcessRecord } from "../../../tools/site/processes";
import { run } from "../../../tools/site/run";
import { waitForSsh, writeSshFiles } from "../../../tools/site/ssh";
import type { Report, SiteEndpoint } from "../../../tools/site/types";
import { guard, UNTIL_THIS_ENDS } from "../guard";

/** What must go when the lab ends, also when the tests were killed. */
export interface LabRecord {
  processes: ProcessRecord[];
  cgroups: string[];
  device?: string;
}

/** Starts one machine of a name; the same disks as at its last start. */
export type Starter = (
  machine: { readonly name: string; readonly address: string; readonly cgroup: string; readonly etcdDisk: boolean },
  network: RunningMachine,
  subnet: Subnet,
  record: Recorder,
) => Promise<RunningMachine>;

const SSH_MS = 60_000;
const recordFile = (): string => path.join(siteDir(), "lab.json");

/** A starter of machines on the node root, with everything real. */
export const realMachine =
  (root: string): Starter =>
  (machine, network, subnet, record) =>
    startExisting({ ...machine, root }, network, subnet, record);

export class LabMachines {
  private readonly running = new Map<string, RunningMachine>();
  private readonly unplugged = new Set<string>();
  private readonly record: LabRecord = { processes: [], cgroups: [] };

  private constructor(
    private readonly network: RunningMachine,
    readonly subnet: Subnet,
    private readonly starter: Starter,
    /** The data folder of this lab. */
    readonly data: string,
    /** Private key that every machine lets in. */
    readonly identityFile: string,
    private readonly release: () => void,
    private readonly outer: string | undefined,
  ) {}

  /** An empty network with this computer on it. It ends with this process; only one may be there in a process. */
  static async open(starter: Starter): Promise<LabMachines> {
    const outer = process.env.KVMESH_DATA;
    const data = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-machines-"));
    process.env.KVMESH_DATA = data;
    const release = guard('"$NODE" "$DOWN" && rm -rf -- "$KVMESH_DATA"', {
      NODE: process.execPath,
      DOWN: path.join(__dirname, "down.js"),
      KVMESH_DATA: data,
    });
    fs.mkdirSync(siteDir(), { recursive: true, mode: 0o700 });
    // The network is a namespace with a bridge, and goes with the process that holds it.
    const holder = spawn("setpriv", [...UNTIL_THIS_ENDS, "unshare", "--net", "sleep", "infinity"], { stdio: "ignore" });
    while (!isOtherNetwork(holder.pid!)) await sleep(10);
    const found = identify("network", holder.pid!)!;
    const network = { init: found, holder: found };
    let subnet = await chooseSubnet();
    while (!(await connectHost(network, subnet))) subnet = await chooseSubnet();
    const { file } = await clientKey();
    const lab = new LabMachines(network, subnet, starter, data, file, release, outer);
    lab.record.processes.push(found);
    lab.record.device = subnet.device;
    lab.write();
    return lab;
  }

  /** Name of the n-th machine and its address, from .2 on. */
  address(name: string): string {
    return `${this.subnet.prefix}.${1 + Number(/\d+$/.exec(name)![0])}`;
  }

  /** An address that no machine has: for the endpoint of a cluster. */
  get freeAddress(): string {
    return `${this.subnet.prefix}.20`;
  }

  /** This computer's own address on the network. */
  get ownAddress(): string {
    return ownAddress(this.subnet);
  }

  endpoint(name: string): Promise<SiteEndpoint> {
    return endpointOf(name, this.address(name));
  }

  /** Pid 1 of a machine, seen from here. */
  pid(name: string): number {
    return this.running.get(name)!.init.pid;
  }

  isUp(name: string): boolean {
    const machine = this.running.get(name);
    return machine !== undefined && isAlive(machine.init);
  }

  /** Power and cable are there. */
  reachable(name: string): boolean {
    return this.isUp(name) && !this.unplugged.has(name);
  }

  get names(): readonly string[] {
    return [...this.running.keys()];
  }

  /** Power on. `name` ends with a number from 1 to 18: "cp1". */
  async start(name: string, options: { readonly etcdDisk?: boolean } = {}): Promise<void> {
    if (this.isUp(name)) throw new Error(`${name} is running`);
    const cgroup = this.record.cgroups.find((one) => one.startsWith(`kvmesh-${name}-`));
    if (cgroup === undefined) this.record.cgroups.push(`kvmesh-${name}-${randomBytes(3).toString("hex")}`);
    this.write();
    const machine = {
      name,
      address: this.address(name),
      cgroup: cgroup ?? this.record.cgroups.at(-1)!,
      etcdDisk: options.etcdDisk ?? true,
    };
    const record: Recorder = ({ init, holder }) => {
      this.record.processes.push(init, holder);
      this.write();
    };
    this.unplugged.delete(name);
    this.running.set(name, await this.starter(machine, this.network, this.subnet, record));
  }

  /** Waits for SSH on machines. */
  async ready(names: readonly string[], report: Report): Promise<void> {
    const endpoints = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await this.endpoint(name)] as const)),
    );
    writeSshFiles(siteDir(), this.identityFile, endpoints);
    for (const name of names) await waitForSsh(siteDir(), name, endpoints[name]!, SSH_MS, report);
  }

  /** Power off, from one moment to the next: whatever was not synced is as the kernel left it. */
  async kill(...names: readonly string[]): Promise<void> {
    const records = names.flatMap((name) => {
      const machine = this.running.get(name);
      return machine === undefined ? [] : [machine.init, machine.holder];
    });
    // All at once: the second of them must not see the first one gone.
    for (const one of records) if (isAlive(one)) process.kill(one.pid, "SIGKILL");
    for (const one of records) await end(one);
    // The kernel takes a namespace's cables away when it comes to it; what comes up next has one of the same name.
    for (const name of names) {
      const gone = ["--target", String(this.network.init.pid), "--net", "ip", "link", "delete", name];
      await run("nsenter", gone, { allowFailure: true });
    }
  }

  /** The machine is another one now: nothing of its disks is left, and it has a new host key. */
  async scrap(name: string): Promise<void> {
    await this.kill(name);
    this.running.delete(name);
    fs.rmSync(path.join(siteDir(), name), { recursive: true, force: true });
    for (const file of [name, `${name}.pub`]) fs.rmSync(path.join(siteDir(), "hostkeys", file), { force: true });
  }

  /** Its cable is pulled, or put in again. */
  async cable(name: string, plugged: boolean): Promise<void> {
    if (plugged) this.unplugged.delete(name);
    else this.unplugged.add(name);
    await ip(["link", "set", name, plugged ? "up" : "down"], this.network.init.pid);
  }

  /** A folder or file of a machine's own disks, as seen from here; also while its power is off. */
  disk(name: string, inside: string): string {
    const etcd = /^\/var\/lib\/(etcd|kubelet|containerd)(.*)$/.exec(inside);
    const dir = path.join(siteDir(), name);
    return etcd === null ? path.join(dir, "upper", inside) : path.join(dir, "keep", etcd[1]!, etcd[2]!);
  }

  /** Ends everything and removes its files. */
  async close(): Promise<void> {
    await takeDown(this.record);
    if (this.outer === undefined) delete process.env.KVMESH_DATA;
    else process.env.KVMESH_DATA = this.outer;
    fs.rmSync(this.data, { recursive: true, force: true, maxRetries: 5 });
    this.release();
  }

  private write(): void {
    fs.writeFileSync(`${recordFile()}.new`, JSON.stringify(this.record));
    fs.renameSync(`${recordFile()}.new`, recordFile());
  }
}

/** Of a lab whose tests were killed: by the guard, in its data folder. */
export async function takeDownRecorded(): Promise<void> {
  if (!fs.existsSync(recordFile())) return;
  await takeDown(JSON.parse(fs.readFileSync(recordFile(), "utf8")) as LabRecord);
}

async function takeDown(record: LabRecord): Promise<void> {
  for (const one of record.processes) if (isAlive(one)) process.kill(one.pid, "SIGKILL");
  for (const one of record.processes) await end(one);
  if (record.device !== undefined) await removeLink(record.device);
  for (const cgroup of record.cgroups) await removeCgroups(cgroup);
}

function isOtherNetwork(pid: number): boolean {
  try {
    const isSleep = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep\0");
    return isSleep && fs.readlinkSync(`/proc/${pid}/ns/net`) !== fs.readlinkSync("/proc/self/ns/net");
  } catch {
    return false;
  }
}
