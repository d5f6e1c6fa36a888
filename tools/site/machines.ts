import * as fs from "node:fs";
import * as path from "node:path";
import { ensureKey } from "./keys";
import { startMachine, type Recorder, type RunningMachine } from "./namespaces";
import { hostAddress, ip, markLink, ownAddress, siteNetwork, type Subnet } from "./network";
import { siteDir } from "./paths";
import { run } from "./run";
import { machineKubelet } from "./settings";
import { type SiteEndpoint, SiteError } from "./types";

/** Names of the emulated site's machines: in messages, in ssh_config, as host names. */
export const HOST = "host";
export const EXISTING = "cp1";
/** The host's bridge, and its folder for images and disks. */
export const BRIDGE = "br0";
export const STORAGE = "/var/lib/kvmesh";

/** The client's key of the site; made at the first call. */
export async function clientKey(): Promise<{ readonly file: string; readonly publicKey: string }> {
  const file = path.join(siteDir(), "id_ed25519");
  return { file, publicKey: await ensureKey(file) };
}

/** Where a machine's SSH server will be, with the host key that is pinned for it. */
export async function endpointOf(name: string, address: string): Promise<SiteEndpoint> {
  return { address, port: 22, user: "root", hostKey: await ensureKey(hostKeyPath(name)) };
}

const hostKeyPath = (name: string): string => path.join(siteDir(), "hostkeys", name);

/** What a machine's init needs of keys, for /run/site. */
export async function loginFiles(name: string): Promise<Record<string, string>> {
  await ensureKey(hostKeyPath(name));
  return {
    authorized_keys: `${(await clientKey()).publicKey} kvmesh\n`,
    host_key: fs.readFileSync(hostKeyPath(name), "utf8"),
    "host_key.pub": fs.readFileSync(`${hostKeyPath(name)}.pub`, "utf8"),
  };
}

/** The emulated KVM host; not on any network yet. */
export async function startHost(root: string, cgroup: string, record: Recorder): Promise<RunningMachine> {
  const machine = {
    name: HOST,
    dir: path.join(siteDir(), HOST),
    lower: root,
    init: "host-init.sh",
    keep: { storage: STORAGE, libvirt: "/var/lib/libvirt" },
    devices: ["net/tun"],
    cgroup,
    files: { hostname: "kvm-host\n", ...(await loginFiles(HOST)) },
  };
  return startMachine(machine, record);
}

/**
 * The host's bridge, with an interface of this computer on it.
 * @returns false when another site took the interface's name, and with it the subnet, a moment before
 */
export async function connectHost(host: RunningMachine, subnet: Subnet): Promise<boolean> {
  const inside = host.init.pid;
  const cable = ["link", "add", subnet.device, "type", "veth", "peer", "name", "uplink", "netns", String(inside)];
  const made = await run("ip", cable, { allowFailure: true });
  if (made.stderr.includes("File exists")) return false;
  if (made.code !== 0) throw new SiteError(`no interface ${subnet.device} can be made: ${made.stderr.trim()}`);
  await markLink(subnet.device);
  await ip(["addr", "add", `${ownAddress(subnet)}/24`, "dev", subnet.device]);
  await ip(["link", "set", subnet.device, "up"]);
  await ip(["link", "set", "lo", "up"], inside);
  await ip(["link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"], inside);
  await ip(["addr", "add", `${hostAddress(subnet)}/24`, "dev", BRIDGE], inside);
  await ip(["link", "set", BRIDGE, "up"], inside);
  await ip(["link", "set", "uplink", "master", BRIDGE, "up"], inside);
  return true;
}

/** A machine that exists already (row A11), on a node root. */
export interface ExistingMachine {
  /** In messages, in ssh_config, its host name and its cable at the bridge: at most 15 characters. */
  readonly name: string;
  readonly address: string;
  /** The read-only node root in the cache. */
  readonly root: string;
  readonly cgroup: string;
  /** False: the disk of /var/lib/etcd is not mounted at this start, and an empty folder stands there. Default true. */
  readonly etcdDisk?: boolean;
}

/** Starts a node root at native speed, with a cable to the bridge of `host`. */
export async function startExisting(
  existing: ExistingMachine,
  host: RunningMachine,
  subnet: Subnet,
  record: Recorder,
): Promise<RunningMachine> {
  const { name, address, root } = existing;
  const dir = path.join(siteDir(), name);
  await copyOnce(path.join(root, "var/lib/containerd"), path.join(dir, "keep/containerd"));
  const keep = { containerd: "/var/lib/containerd", kubelet: "/var/lib/kubelet", log: "/var/log" };
  const description = {
    name,
    dir,
    lower: root,
    init: "node-init.sh",
    keep: existing.etcdDisk === false ? keep : { ...keep, etcd: "/var/lib/etcd" },
    devices: ["kmsg", "net/tun"],
    cgroup: existing.cgroup,
    files: {
      hostname: `${name}\n`,
      address: `${address}\n`,
      nameservers: siteNetwork(subnet, BRIDGE)
        .nameservers.map((server) => `${server}\n`)
        .join(""),
      "kubelet.yaml": machineKubelet(),
      ...(await loginFiles(name)),
    },
  };
  const machine = await startMachine(description, record);
  await plugIn(machine, { name, address }, host, subnet);
  return machine;
}

/** Gives a machine its eth0, with the other end at the bridge of `host`. */
export async function plugIn(
  machine: RunningMachine,
  { name, address }: Pick<ExistingMachine, "name" | "address">,
  host: RunningMachine,
  subnet: Subnet,
): Promise<void> {
  const [inside, outside] = [machine.init.pid, host.init.pid];
  const here = ["link", "add", "eth0", "netns", String(inside), "type", "veth"];
  await ip([...here, "peer", "name", name, "netns", String(outside)]);
  await ip(["link", "set", name, "master", BRIDGE, "up"], outside);
  await ip(["link", "set", "lo", "up"], inside);
  await ip(["addr", "add", `${address}/24`, "dev", "eth0"], inside);
  await ip(["link", "set", "eth0", "up"], inside);
  await ip(["route", "add", "default", "via", hostAddress(subnet)], inside);
}

/**
 * The images that stand in the root, in a folder of the machine's own: overlayfs can't hold containerd's overlays. Layers and
 * blobs are only ever read or removed, so that hard links do where both are on one file system; the databases are written.
 */
async function copyOnce(from: string, to: string): Promise<void> {
  if (fs.existsSync(to)) return;
  const partial = `${to}.partial`;
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.rmSync(partial, { recursive: true, force: true });
  const linked = await run("cp", ["--archive", "--link", from, partial], { allowFailure: true });
  if (linked.code === 0) {
    const databases = await run("find", [partial, "-name", "*.db", "-type", "f"]);
    for (const file of databases.stdout.split("\n").filter((line) => line !== "")) {
      await run("cp", ["--archive", file, `${file}.own`]);
      fs.renameSync(`${file}.own`, file);
    }
  } else {
    fs.rmSync(partial, { recursive: true, force: true });
    await run("cp", ["--archive", "--reflink=auto", from, partial]);
  }
  fs.renameSync(partial, to);
}
