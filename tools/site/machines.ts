import * as fs from "node:fs";
import * as path from "node:path";
import { ensureKey } from "./keys";
import { startMachine, type Recorder, type RunningMachine } from "./namespaces";
import { hostAddress, ip, machineAddress, markLink, ownAddress, siteNetwork, type Subnet } from "./network";
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
export async function endpointOf(name: string, subnet: Subnet): Promise<SiteEndpoint> {
  const address = name === HOST ? hostAddress(subnet) : machineAddress(subnet);
  return { address, port: 22, user: "root", hostKey: await ensureKey(hostKeyPath(name)) };
}

const hostKeyPath = (name: string): string => path.join(siteDir(), "hostkeys", name);

async function loginFiles(name: string): Promise<Record<string, string>> {
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

/** The machine that exists already: a node root at native speed, with a cable to the host's bridge. */
export async function startExisting(
  root: string,
  cgroup: string,
  host: RunningMachine,
  subnet: Subnet,
  record: Recorder,
): Promise<void> {
  const dir = path.join(siteDir(), EXISTING);
  await copyOnce(path.join(root, "var/lib/containerd"), path.join(dir, "keep/containerd"));
  const description = {
    name: EXISTING,
    dir,
    lower: root,
    init: "node-init.sh",
    keep: { containerd: "/var/lib/containerd", kubelet: "/var/lib/kubelet", etcd: "/var/lib/etcd", log: "/var/log" },
    devices: ["kmsg", "net/tun"],
    cgroup,
    files: {
      hostname: `${EXISTING}\n`,
      address: `${machineAddress(subnet)}\n`,
      nameservers: siteNetwork(subnet, BRIDGE)
        .nameservers.map((server) => `${server}\n`)
        .join(""),
      "kubelet.yaml": machineKubelet(),
      ...(await loginFiles(EXISTING)),
    },
  };
  const machine = await startMachine(description, record);
  const [inside, outside] = [machine.init.pid, host.init.pid];
  await ip([
    "link",
    "add",
    "eth0",
    "netns",
    String(inside),
    "type",
    "veth",
    "peer",
    "name",
    EXISTING,
    "netns",
    String(outside),
  ]);
  await ip(["link", "set", EXISTING, "master", BRIDGE, "up"], outside);
  await ip(["link", "set", "lo", "up"], inside);
  await ip(["addr", "add", `${machineAddress(subnet)}/24`, "dev", "eth0"], inside);
  await ip(["link", "set", "eth0", "up"], inside);
  await ip(["route", "add", "default", "via", hostAddress(subnet)], inside);
}

/** The images that stand in the root, in a folder of the machine's own: overlayfs can't hold containerd's overlays. */
async function copyOnce(from: string, to: string): Promise<void> {
  if (fs.existsSync(to)) return;
  const partial = `${to}.partial`;
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.rmSync(partial, { recursive: true, force: true });
  await run("cp", ["--archive", "--reflink=auto", from, partial]);
  fs.renameSync(partial, to);
}
