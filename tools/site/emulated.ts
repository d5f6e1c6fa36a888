import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { ensureBaseImage } from "./base-image";
import { charts } from "./ingredients";
import { ensureKey } from "./keys";
import { removeCgroups, startMachine } from "./namespaces";
import { chooseSubnet, hostAddress, ip, machineAddress, ownAddress, siteNetwork, type Subnet } from "./network";
import { ensureNodeRoot } from "./node-root";
import { siteDir } from "./paths";
import { end, isAlive } from "./processes";
import { ensureRoot, hostRecipe, once } from "./roots";
import { run } from "./run";
import { emulatedSettings, machineKubelet } from "./settings";
import { ssh, waitForSsh, writeSshFiles } from "./ssh";
import { readState, writeState, type SiteState } from "./state";
import { type Report, type Site, type SiteEndpoint, SiteError, type SiteOptions } from "./types";

const BRIDGE = "br0";
const HOST = "host";
const MACHINE = "cp1";
const KVM_HOST_STORAGE = "/var/lib/kvmesh";

/**
 * The emulated site: a KVM host and, beside it, a machine that exists already, both Debian 13 roots in namespaces, on one bridge.
 * This computer has an interface on that bridge, so that whatever runs here reaches host, machines and the Kubernetes API.
 */
export async function emulatedUp(report: Report, options: SiteOptions): Promise<Site> {
  const state = await wantedState(report);
  if (state.site && state.processes.length > 0 && state.processes.every(isAlive)) {
    report(`the emulated site is up (since ${state.createdAt})`);
    return state.site;
  }
  const [host, node] = [state.roots!.host, state.roots!.node];
  const baseImage = await ensureBaseImage(report, { tools: host, node: node, kernelArguments: "mitigations=off" });

  await stopProcesses(state);
  await modprobe();
  if (options.hugepages !== undefined) setHugepages(state, options.hugepages);

  const { subnet } = state;
  const network = siteNetwork(subnet, BRIDGE);
  const dir = siteDir();
  const identityFile = path.join(dir, "id_ed25519");
  const authorizedKeys = `${await ensureKey(identityFile)} kvmesh\n`;
  const endpoints = {
    [HOST]: await endpoint(HOST, hostAddress(subnet)),
    [MACHINE]: await endpoint(MACHINE, machineAddress(subnet)),
  };
  writeSshFiles(dir, identityFile, endpoints);

  const started = Date.now();
  report("starting the emulated KVM host and the machine beside it");
  const kvmHost = await startMachine({
    name: HOST,
    dir: path.join(dir, HOST),
    lower: host,
    init: "host-init.sh",
    keep: { storage: KVM_HOST_STORAGE, libvirt: "/var/lib/libvirt" },
    devices: ["net/tun"],
    files: { hostname: "kvm-host\n", authorized_keys: authorizedKeys, ...hostKeyFiles(HOST) },
  });
  record(state, kvmHost);
  const cgroup = state.cgroups[0]!;
  await copyOnce(path.join(node, "var/lib/containerd"), path.join(dir, MACHINE, "keep/containerd"));
  const machine = await startMachine({
    name: MACHINE,
    dir: path.join(dir, MACHINE),
    lower: node,
    init: "node-init.sh",
    keep: {
      containerd: "/var/lib/containerd",
      kubelet: "/var/lib/kubelet",
      etcd: "/var/lib/etcd",
      log: "/var/log",
    },
    devices: ["kmsg", "net/tun"],
    cgroup,
    files: {
      hostname: `${MACHINE}\n`,
      address: `${machineAddress(subnet)}\n`,
      nameservers: network.nameservers.map((server) => `${server}\n`).join(""),
      authorized_keys: authorizedKeys,
      "kubelet.yaml": machineKubelet(),
      ...hostKeyFiles(MACHINE),
    },
  });
  record(state, machine);
  await connect(state, subnet, kvmHost.init.pid, machine.init.pid);

  await waitForSsh(dir, HOST, endpoints[HOST]!, 60_000, report);
  await waitForSsh(dir, MACHINE, endpoints[MACHINE]!, 60_000, report);
  await waitForLibvirt(report);
  report(`  both answer over SSH: ${((Date.now() - started) / 1000).toFixed(1)} s`);

  const site: Site = {
    kind: "emulated",
    host: { ...endpoints[HOST]!, bridge: BRIDGE, storage: KVM_HOST_STORAGE },
    existing: { ...endpoints[MACHINE]!, name: MACHINE, vcpus: os.cpus().length },
    network,
    identityFile,
    baseImage,
    packages: { source: "preinstalled" },
    charts: await charts(report),
    settings: emulatedSettings(),
  };
  state.site = site;
  writeState(state);
  return site;
}

/** The recorded state, or a new one; of a recorded site whose roots are gone from the cache nothing can be saved. */
async function wantedState(report: Report): Promise<SiteState> {
  const known = readState();
  if (known) {
    if (known.kind !== "emulated") throw new SiteError(`a site of the kind ${known.kind} is up; take it down first`);
    const gone = Object.values(known.roots!).filter((root) => !fs.existsSync(root));
    if (gone.length === 0) {
      const dead = known.processes.filter((process) => !isAlive(process)).map((process) => process.name);
      if (known.site && dead.length > 0)
        report(`parts of the site have ended (${dead.join(", ")}): starting it again on its disks`);
      return known;
    }
    report(
      `the site stands on ${gone.join(" and ")}, which is gone from the cache: taking the rest down and making a new one`,
    );
    await emulatedDown(known);
  }
  const roots = { host: await ensureRoot(hostRecipe, report), node: await ensureNodeRoot(report) };
  const state: SiteState = {
    schema: 1,
    kind: "emulated",
    createdAt: new Date().toISOString(),
    subnet: await chooseSubnet(),
    roots,
    processes: [],
    links: [],
    cgroups: [`kvmesh-${MACHINE}-${randomBytes(3).toString("hex")}`],
  };
  writeState(state);
  return state;
}

async function endpoint(name: string, address: string): Promise<SiteEndpoint> {
  return { address, port: 22, user: "root", hostKey: await ensureKey(hostKeyPath(name)) };
}

const hostKeyPath = (name: string): string => path.join(siteDir(), "hostkeys", name);

function hostKeyFiles(name: string): Record<string, string> {
  return {
    host_key: fs.readFileSync(hostKeyPath(name), "utf8"),
    "host_key.pub": fs.readFileSync(`${hostKeyPath(name)}.pub`, "utf8"),
  };
}

function record(state: SiteState, machine: Awaited<ReturnType<typeof startMachine>>): void {
  state.processes.push(machine.init, machine.holder);
  writeState(state);
}

/** One bridge in the host's network namespace; on it a cable to this computer and one to the machine. */
async function connect(state: SiteState, subnet: Subnet, host: number, machine: number): Promise<void> {
  state.links = [subnet.device];
  writeState(state);
  await ip(["link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"], host);
  await ip(["addr", "add", `${hostAddress(subnet)}/24`, "dev", BRIDGE], host);
  await ip(["link", "set", "lo", "up"], host);
  await ip(["link", "set", BRIDGE, "up"], host);

  await ip(["link", "add", subnet.device, "type", "veth", "peer", "name", "uplink", "netns", String(host)]);
  await ip(["link", "set", "uplink", "master", BRIDGE, "up"], host);
  await ip(["addr", "add", `${ownAddress(subnet)}/24`, "dev", subnet.device]);
  await ip(["link", "set", subnet.device, "up"]);

  await ip([
    "link",
    "add",
    "eth0",
    "netns",
    String(machine),
    "type",
    "veth",
    "peer",
    "name",
    MACHINE,
    "netns",
    String(host),
  ]);
  await ip(["link", "set", MACHINE, "master", BRIDGE, "up"], host);
  await ip(["link", "set", "lo", "up"], machine);
  await ip(["addr", "add", `${machineAddress(subnet)}/24`, "dev", "eth0"], machine);
  await ip(["link", "set", "eth0", "up"], machine);
  await ip(["route", "add", "default", "via", hostAddress(subnet)], machine);
}

async function waitForLibvirt(report: Report): Promise<void> {
  const started = Date.now();
  for (;;) {
    const answer = await ssh(siteDir(), HOST, "virsh -q -c qemu:///system version --daemon");
    if (answer.code === 0) return;
    const seconds = Math.round((Date.now() - started) / 1000);
    if (seconds > 60)
      throw new SiteError(`libvirt on the emulated host does not answer after ${seconds} s: ${answer.stderr.trim()}`);
    if (seconds > 0 && seconds % 5 === 0) report(`  waiting for libvirt on the emulated host: ${seconds} s`);
  }
}

/** Modules that a kernel with modules may not have loaded yet; one without has them or says so at the first use. */
async function modprobe(): Promise<void> {
  await run("modprobe", ["--all", "--quiet", "overlay", "bridge", "br_netfilter", "veth", "tun"], {
    allowFailure: true,
  }).catch(() => undefined);
}

const HUGEPAGES = "/proc/sys/vm/nr_hugepages";

function setHugepages(state: SiteState, pages: number): void {
  state.hugepagesBefore ??= Number(fs.readFileSync(HUGEPAGES, "utf8"));
  writeState(state);
  fs.writeFileSync(HUGEPAGES, String(pages));
}

/** The images that stand in the root, in a folder of the machine's own: overlayfs can't hold containerd's overlays. */
async function copyOnce(from: string, to: string): Promise<void> {
  if (fs.existsSync(to)) return;
  fs.mkdirSync(path.dirname(to), { recursive: true });
  await once(to, async (partial) => {
    await run("cp", ["--archive", "--reflink=auto", from, partial]);
  });
}

/** Ends the machines (all that runs inside ends with pid 1) and removes what they had of this computer. */
async function stopProcesses(state: SiteState): Promise<void> {
  for (const process of state.processes) await end(process);
  state.processes = [];
  for (const link of state.links) await run("ip", ["link", "delete", link], { allowFailure: true });
  state.links = [];
  for (const cgroup of state.cgroups) await removeCgroups(cgroup);
  writeState(state);
}

/** Takes the site down: nothing of it is left but the cache. */
export async function emulatedDown(state: SiteState): Promise<void> {
  await stopProcesses(state);
  if (state.hugepagesBefore !== undefined) fs.writeFileSync(HUGEPAGES, String(state.hugepagesBefore));
  fs.rmSync(siteDir(), { recursive: true, force: true });
}

/** One line a machine. */
export async function emulatedParts(
  state: SiteState,
): Promise<{ readonly ok: boolean; readonly lines: readonly string[] }> {
  const lines = state.processes.map(
    (process) => `${process.name}: process ${process.pid} ${isAlive(process) ? "runs" : "has ended"}`,
  );
  let ok = state.site !== undefined && state.processes.length > 0 && state.processes.every(isAlive);
  if (ok) {
    for (const [name, command] of [
      [HOST, "virsh -q list --name"],
      [MACHINE, "uptime -p"],
    ] as const) {
      const answer = await ssh(siteDir(), name, command);
      if (answer.code !== 0) ok = false;
      const said = answer.stdout.trim().replace(/\s*\n\s*/g, ", ");
      lines.push(
        answer.code === 0
          ? `${name}: answers over SSH${name === HOST ? `; machines: ${said || "none"}` : ""}`
          : `${name}: ${answer.stderr.trim()}`,
      );
    }
  }
  return { ok, lines };
}
