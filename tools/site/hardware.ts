import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { kubernetesApt, versionData } from "../../rules/versions";
import { ensureBaseImage } from "./base-image";
import { charts } from "./ingredients";
import { ensureKey } from "./keys";
import { chooseSubnet, hostAddress, siteNetwork, type Subnet } from "./network";
import { ensureNodeRoot } from "./node-root";
import { officialImage } from "./official-image";
import { emulatedNeeds, ensurePackages, hardwareNeeds, installOpensshServer } from "./packages";
import { siteDir } from "./paths";
import { end, identify, isAlive } from "./processes";
import { ensureRoot, hostRecipe } from "./roots";
import { run } from "./run";
import { hardwareSettings } from "./settings";
import { ssh, waitForSsh, writeSshFiles } from "./ssh";
import { readState, writeState, type SiteState } from "./state";
import { type Report, type Site, type SiteEndpoint, SiteError, type SiteOptions } from "./types";

const HOST = "host";
const STORAGE = "/var/lib/kvmesh";
const virsh = (args: readonly string[], allowFailure = false): ReturnType<typeof run> =>
  run("virsh", ["--quiet", "--connect", "qemu:///system", ...args], { allowFailure });

/**
 * This computer as a KVM host: its libvirt with a NAT network of the site's own, and an sshd on loopback with its own host key
 * and configuration, beside the system's, which stays as it is.
 */
export async function hardwareUp(report: Report, options: SiteOptions): Promise<Site> {
  let state = readState();
  if (state && state.kind !== "kvm") throw new SiteError(`a site of the kind ${state.kind} is up; take it down first`);
  await ensurePackages(hardwareNeeds, report, options);
  await installOpensshServer(report, options);
  state ??= {
    schema: 1,
    kind: "kvm",
    createdAt: new Date().toISOString(),
    roots: undefined,
    processes: [],
    cgroups: [],
  };
  const subnet = (state.subnet ??= await chooseSubnet());
  writeState(state);
  await startLibvirt(report);
  await startNetwork(subnet, report);

  const dir = siteDir();
  const identityFile = path.join(dir, "id_ed25519");
  const endpoint = await startSshd(state, dir, await ensureKey(identityFile));
  writeSshFiles(dir, identityFile, { [HOST]: endpoint });
  await waitForSsh(dir, HOST, endpoint, 20_000, report);

  const official = await officialImage(report);
  if (!official) report("no official cloud image within reach: making one from Debian packages, with Kubernetes in it");
  if (!official) await ensurePackages(emulatedNeeds, report, options);
  const site: Site = {
    kind: "kvm",
    host: { ...endpoint, bridge: subnet.device, storage: STORAGE },
    network: siteNetwork(subnet, subnet.device),
    identityFile,
    baseImage: official ?? (await ownImage(report)),
    packages: official
      ? { source: "apt", repository: kubernetesApt(versionData.run.kubernetes) }
      : { source: "preinstalled" },
    charts: official ? undefined : await charts(report),
    settings: hardwareSettings(!official),
  };
  state.site = site;
  writeState(state);
  return site;
}

async function ownImage(report: Report): Promise<Site["baseImage"]> {
  const tools = await ensureRoot(hostRecipe, report);
  return ensureBaseImage(report, { tools, node: await ensureNodeRoot(report), kernelArguments: "" });
}

/** libvirt's daemon, by the service manager where there is one. */
async function startLibvirt(report: Report): Promise<void> {
  if ((await virsh(["version", "--daemon"], true)).code === 0) return;
  report("starting libvirt");
  await run("systemctl", ["start", "libvirtd"], { allowFailure: true }).catch(() => undefined);
  const answer = await virsh(["version", "--daemon"], true);
  if (answer.code !== 0)
    throw new SiteError(`libvirt does not answer: ${answer.stderr.trim()}; see journalctl -u libvirtd`);
}

const networkName = (subnet: Subnet): string => `kvmesh-${subnet.device}`;

/** libvirt's definition of the site's network: NAT, and the host's own resolver for the machines; addresses are fixed. */
export function networkXml(subnet: Subnet): string {
  return `<network>
  <name>${networkName(subnet)}</name>
  <forward mode="nat"/>
  <bridge name="${subnet.device}" stp="off" delay="0"/>
  <ip address="${hostAddress(subnet)}" netmask="255.255.255.0"/>
</network>
`;
}

async function startNetwork(subnet: Subnet, report: Report): Promise<void> {
  const name = networkName(subnet);
  if ((await virsh(["net-info", name], true)).code !== 0) {
    report(`making the NAT network ${name} (${subnet.prefix}.0/24)`);
    const file = path.join(siteDir(), "network.xml");
    fs.writeFileSync(file, networkXml(subnet));
    await virsh(["net-define", file]);
  }
  if (!(await virsh(["net-info", name])).stdout.match(/^Active:\s+yes/m)) await virsh(["net-start", name]);
}

/** sshd's configuration: root by the site's key, on loopback, nothing of the system's configuration. */
export function sshdConfig(dir: string, port: number): string {
  return [
    "ListenAddress 127.0.0.1",
    `Port ${port}`,
    `HostKey "${dir}/hostkeys/${HOST}"`,
    `AuthorizedKeysFile "${dir}/authorized_keys"`,
    `PidFile none`,
    "PermitRootLogin prohibit-password",
    "AllowUsers root",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "MaxStartups 50:30:100",
    "Subsystem sftp /usr/lib/openssh/sftp-server",
    "",
  ].join("\n");
}

async function startSshd(state: SiteState, dir: string, clientKey: string): Promise<SiteEndpoint> {
  const hostKey = await ensureKey(path.join(dir, "hostkeys", HOST));
  const running = state.processes.find((process) => process.name === "sshd");
  if (running && isAlive(running) && state.site) return state.site.host;
  const port = await freePort(2222);
  fs.writeFileSync(path.join(dir, "authorized_keys"), `${clientKey} kvmesh\n`, { mode: 0o600 });
  const config = path.join(dir, "sshd_config");
  fs.writeFileSync(config, sshdConfig(dir, port), { mode: 0o600 });
  // sshd's empty folder for its unprivileged half; the system's service makes it only when it runs.
  fs.mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const log = fs.openSync(path.join(dir, "sshd.log"), "a");
  const child = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", config], {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
  });
  fs.closeSync(log);
  child.on("error", () => undefined);
  child.unref();
  const started = child.pid === undefined ? undefined : identify("sshd", child.pid);
  if (!started) throw new SiteError("sshd did not start; see /usr/sbin/sshd");
  state.processes = [started];
  writeState(state);
  return { address: "127.0.0.1", port, user: "root", hostKey };
}

/** The first port from `from` upwards that nothing listens on. */
export async function freePort(from: number, tries = 100): Promise<number> {
  for (let port = from; port < from + tries; port += 1) {
    const free = await new Promise<boolean>((resolve) => {
      const server = net.createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new SiteError(`every port from ${from} to ${from + tries - 1} is in use on loopback: end what listens there`);
}

/** Ends sshd, removes the network; machines that a stack still has here are named and left. */
export async function hardwareDown(state: SiteState, report: Report): Promise<void> {
  const left = fs.existsSync(STORAGE) ? fs.readdirSync(STORAGE) : [];
  if (left.length > 0) {
    throw new SiteError(
      `${STORAGE} still holds ${left.join(", ")}: run \`pulumi destroy\` of the stack first, then this again`,
    );
  }
  for (const process of state.processes) await end(process, "SIGTERM");
  if (state.subnet) {
    const name = networkName(state.subnet);
    await virsh(["net-destroy", name], true).catch(() => undefined);
    await virsh(["net-undefine", name], true).catch(() => undefined);
  }
  if (fs.existsSync(STORAGE)) {
    const pool = await virsh(["pool-dumpxml", "kvmesh"], true);
    if (pool.stdout.includes(`<path>${STORAGE}</path>`)) {
      await virsh(["pool-destroy", "kvmesh"], true);
      await virsh(["pool-undefine", "kvmesh"], true);
    }
    fs.rmdirSync(STORAGE);
  }
  fs.rmSync(siteDir(), { recursive: true, force: true });
  report("  packages that were installed for it stay: libvirt, QEMU and OpenSSH");
}

export async function hardwareParts(
  state: SiteState,
): Promise<{ readonly ok: boolean; readonly lines: readonly string[] }> {
  const sshd = state.processes.every(isAlive) && state.processes.length > 0;
  const answer = sshd && state.site ? await ssh(siteDir(), HOST, "virsh -q -c qemu:///system list --name") : undefined;
  const machines = answer?.stdout.trim().split("\n").join(", ");
  return {
    ok: answer?.code === 0,
    lines: [
      `sshd on loopback: ${sshd ? "runs" : "has ended"}`,
      ...(machines === undefined ? [] : [`machines: ${machines || "none"}`]),
    ],
  };
}
