import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import { ensureBaseImage } from "./base-image";
import { charts } from "./ingredients";
import {
  BRIDGE,
  clientKey,
  connectHost,
  endpointOf,
  EXISTING,
  HOST,
  startExisting,
  startHost,
  STORAGE,
} from "./machines";
import { removeCgroups, type Recorder, type RunningMachine } from "./namespaces";
import { chooseSubnet, hostAddress, linkIsOurs, machineAddress, removeLink, siteNetwork, type Subnet } from "./network";
import { ensureNodeRoot } from "./node-root";
import { siteDir } from "./paths";
import { end, isAlive } from "./processes";
import { ensureRoot, hostRecipe } from "./roots";
import { run, sleep } from "./run";
import { emulatedKernelArguments, emulatedSettings } from "./settings";
import { ssh, waitForSsh, writeSshFiles } from "./ssh";
import { readState, writeState, type SiteState } from "./state";
import { type HostOnly, type Report, type Site, SiteError, type SiteOptions } from "./types";

const SSH_MS = 60_000;

/**
 * The emulated site: a KVM host and, beside it, a machine that exists already, both Debian 13 roots in namespaces, on one
 * bridge. This computer has an interface on that bridge, so that whatever runs here reaches host, machines and the Kubernetes API.
 */
export async function emulatedUp(report: Report, options: SiteOptions): Promise<Site> {
  const state = await wantedState(report, (say) => ensureNodeRoot(say));
  if (state.site && isRunning(state)) {
    report(`the emulated site is up (since ${state.createdAt})`);
    return state.site;
  }
  const { host, node } = state.roots!;
  if (node === undefined) throw new SiteError("only an emulated host is up; take it down first");
  const baseImage = await ensureBaseImage(report, { tools: host, node, kernelArguments: emulatedKernelArguments });

  report("starting the emulated KVM host and the machine beside it");
  const started = Date.now();
  const { machine: kvmHost, subnet } = await startFirst(state, options);
  const existing = { name: EXISTING, address: machineAddress(subnet), root: node, cgroup: state.cgroups[1]! };
  await startExisting(existing, kvmHost, subnet, recordIn(state));
  const endpoints = {
    [HOST]: await endpointOf(HOST, hostAddress(subnet)),
    [EXISTING]: await endpointOf(EXISTING, machineAddress(subnet)),
  };
  const identityFile = (await clientKey()).file;
  writeSshFiles(siteDir(), identityFile, endpoints);
  await waitForSsh(siteDir(), HOST, endpoints[HOST], SSH_MS, report);
  await waitForSsh(siteDir(), EXISTING, endpoints[EXISTING], SSH_MS, report);
  await waitForLibvirt(report);
  report(`  both answer over SSH: ${((Date.now() - started) / 1000).toFixed(1)} s`);

  state.site = {
    kind: "emulated",
    host: { ...endpoints[HOST], bridge: BRIDGE, storage: STORAGE },
    existing: { ...endpoints[EXISTING], name: EXISTING, vcpus: os.cpus().length },
    network: siteNetwork(subnet, BRIDGE),
    identityFile,
    baseImage,
    packages: { source: "preinstalled" },
    charts: await charts(report),
    settings: emulatedSettings(),
  };
  writeState(state);
  return state.site;
}

/** The emulated KVM host alone, for tests against a real libvirt; in a data folder that has no site. */
export async function emulatedHostUp(report: Report): Promise<HostOnly> {
  const state = await wantedState(report, () => Promise.resolve(undefined));
  const running = isRunning(state);
  const { subnet } = running ? { subnet: state.subnet! } : await startFirst(state, {});
  const endpoint = await endpointOf(HOST, hostAddress(subnet));
  const identityFile = (await clientKey()).file;
  if (!running) {
    writeSshFiles(siteDir(), identityFile, { [HOST]: endpoint });
    await waitForSsh(siteDir(), HOST, endpoint, SSH_MS, report);
    await waitForLibvirt(report);
  }
  return {
    host: { ...endpoint, bridge: BRIDGE, storage: STORAGE },
    network: siteNetwork(subnet, BRIDGE),
    identityFile,
  };
}

/** The recorded state, or a new one; of a recorded site whose roots are gone from the cache nothing can be saved. */
async function wantedState(
  report: Report,
  nodeRoot: (report: Report) => Promise<string | undefined>,
): Promise<SiteState> {
  const known = readState();
  if (known) {
    if (known.kind !== "emulated") throw new SiteError(`a site of the kind ${known.kind} is up; take it down first`);
    const gone = Object.values(known.roots!).filter((root) => root !== undefined && !fs.existsSync(root));
    if (gone.length === 0) {
      const dead = known.processes.filter((process) => !isAlive(process)).map((process) => process.name);
      if (known.subnet && dead.length === 0 && !linkIsOurs(known.subnet.device)) dead.push(known.subnet.device);
      if (dead.length > 0) report(`parts of the site have ended (${dead.join(", ")}): starting it again on its disks`);
      return known;
    }
    report(`the site stands on ${gone.join(" and ")}, gone from the cache: taking the rest down and making a new one`);
    await emulatedDown(known);
  }
  const roots = { host: await ensureRoot(hostRecipe, report), node: await nodeRoot(report) };
  const state: SiteState = {
    schema: 1,
    kind: "emulated",
    createdAt: new Date().toISOString(),
    roots,
    processes: [],
    cgroups: [HOST, EXISTING].map((name) => `kvmesh-${name}-${randomBytes(3).toString("hex")}`),
  };
  writeState(state);
  return state;
}

function isRunning(state: SiteState): boolean {
  const connected = state.subnet !== undefined && linkIsOurs(state.subnet.device);
  return connected && state.processes.length > 0 && state.processes.every(isAlive);
}

interface FirstMachine {
  readonly machine: RunningMachine;
  readonly subnet: Subnet;
}

/** Clears what is left of an earlier start, then starts the host and puts it on its network: the one it had, or a free one. */
async function startFirst(state: SiteState, options: SiteOptions): Promise<FirstMachine> {
  await stopProcesses(state);
  await modprobe();
  if (options.hugepages !== undefined) setHugepages(state, options.hugepages);
  const machine = await startHost(state.roots!.host, state.cgroups[0]!, recordIn(state));
  for (let tries = 0; tries < 20; tries += 1) {
    const subnet = state.subnet ?? (await chooseSubnet());
    if (await connectHost(machine, subnet)) {
      state.subnet = subnet;
      writeState(state);
      return { machine, subnet };
    }
    // What runs on the machines knows their addresses: a site that had a network can't move to another.
    if (state.subnet) {
      throw new SiteError(
        `the site's network ${subnet.prefix}.0/24 (${subnet.device}) was taken by another one meanwhile; take this site down and up again`,
      );
    }
  }
  throw new SiteError("no network could be had: other sites took each free one first");
}

function recordIn(state: SiteState): Recorder {
  return ({ init, holder }) => {
    state.processes.push(init, holder);
    writeState(state);
  };
}

async function waitForLibvirt(report: Report): Promise<void> {
  const started = Date.now();
  let said = started;
  for (;;) {
    const answer = await ssh(siteDir(), HOST, "virsh -q -c qemu:///system version --daemon");
    if (answer.code === 0) return;
    const seconds = Math.round((Date.now() - started) / 1000);
    if (seconds > 90) {
      throw new SiteError(`libvirt on the emulated host does not answer after ${seconds} s: ${answer.stderr.trim()}`);
    }
    if (Date.now() - said >= 5_000) {
      said = Date.now();
      report(`  waiting for libvirt on the emulated host: ${seconds} s`);
    }
    await sleep(200);
  }
}

/** Modules that a kernel with modules may not have loaded yet; one without has them or says so at the first use. */
async function modprobe(): Promise<void> {
  const modules = ["overlay", "bridge", "br_netfilter", "veth", "tun"];
  await run("modprobe", ["--all", "--quiet", ...modules], { allowFailure: true }).catch(() => undefined);
}

const HUGEPAGES = "/proc/sys/vm/nr_hugepages";

/** The kernel's number is the whole computer's: what it was is kept for `down`. */
function setHugepages(state: SiteState, pages: number): void {
  state.hugepagesBefore ??= Number(fs.readFileSync(HUGEPAGES, "utf8"));
  writeState(state);
  fs.writeFileSync(HUGEPAGES, String(pages));
}

/** Ends the machines (all that runs inside ends with pid 1) and removes what they had of this computer. */
async function stopProcesses(state: SiteState): Promise<void> {
  for (const process of state.processes) await end(process);
  state.processes = [];
  if (state.subnet) await removeLink(state.subnet.device);
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
  let ok = isRunning(state);
  const questions = { [HOST]: "virsh -q list --name", ...(state.roots?.node ? { [EXISTING]: "true" } : {}) };
  for (const [name, command] of ok ? Object.entries(questions) : []) {
    const answer = await ssh(siteDir(), name, command);
    if (answer.code !== 0) ok = false;
    const machines = answer.stdout.trim().replace(/\s*\n\s*/g, ", ") || "none";
    const good = `answers over SSH${name === HOST ? `; machines: ${machines}` : ""}`;
    lines.push(`${name}: ${answer.code === 0 ? good : answer.stderr.trim()}`);
  }
  return { ok, lines };
}
