import { contains, ipv4, overlap, parseCidr } from "../ipv4";
import { missingSoftware } from "../facts";
import { hugepagesOf } from "../preparation";
import { didYouMean } from "../problems";
import type { CarvedPoolSpec, HostSpec, PoolSpec } from "../spec";
import { formatBytes, formatCpuSet, type Bytes } from "../units";
import { checkDisks, checkThinPool } from "./disks";
import { declared, fail, warn, type Draft, type Findings } from "./draft";

/** Hosts, image, network and pools. */
export function checkMachines(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  checkHosts(draft.hosts, findings);
  const carved = draft.pools.filter((pool) => pool.source === "hosts");
  if (carved.length > 0) {
    for (const section of ["hosts", "image", "network"] as const) {
      if (raw[section] === undefined)
        fail(findings, [section], undefined, `missing: pool ${carved[0]!.name} is carved from hosts and needs it`);
    }
    if (draft.ssh && draft.ssh.authorizedKeys.length === 0) {
      const message = "missing: carved machines would let nobody in; give the public key of ssh.identityFile";
      fail(findings, ["ssh", "authorizedKeys"], undefined, message);
    }
  }
  for (const pool of carved) checkCarvedPool(pool, draft, raw, findings);
  checkDisks(draft, raw, findings);
  checkImage(draft, findings);
  checkNames(draft, findings);
  checkNetworks(draft, findings);
  checkAddresses(draft, findings);
}

function checkHosts(hosts: readonly HostSpec[], findings: Findings): void {
  const servers = new Map<string, string>();
  for (const host of hosts) {
    const { name, endpoint, facts, housekeeping, accelerator, hugepages } = host;
    const at = ["hosts", name];
    const server = `${endpoint.address}:${endpoint.port} ${endpoint.bastion?.address ?? ""}`;
    const other = servers.get(server);
    if (other)
      fail(
        findings,
        [...at, "endpoint", "address"],
        endpoint.address,
        `host ${other} is the same server: its cores would be counted twice`,
      );
    servers.set(server, name);

    const cpus = new Set(facts.cpus.map((cpu) => cpu.cpu));
    const unknown = housekeeping.filter((cpu) => !cpus.has(cpu));
    const all = formatCpuSet([...cpus]);
    if (unknown.length > 0) {
      fail(
        findings,
        [...at, "housekeeping"],
        formatCpuSet(housekeeping),
        `the host has no CPU ${formatCpuSet(unknown)}; it has ${all}`,
      );
    } else if (housekeeping.length === cpus.size) {
      fail(
        findings,
        [...at, "housekeeping"],
        formatCpuSet(housekeeping),
        `these are all CPUs of the host (${all}): none is left for machines`,
      );
    }
    const noneSuch = (host.reserved?.cpus ?? []).filter((cpu) => !cpus.has(cpu));
    if (noneSuch.length > 0)
      fail(
        findings,
        [...at, "reserved", "cpus"],
        formatCpuSet(host.reserved!.cpus),
        `the host has no CPU ${formatCpuSet(noneSuch)}; it has ${all}`,
      );
    checkForeign(host, findings);
    checkSoftware(host, findings);
    checkThinPool(host, findings);
    if (accelerator === "kvm" && facts.accelerator === "qemu") {
      const message =
        "the facts say that no KVM guest starts on this host: enable virtualization there and probe again, or write qemu (emulation)";
      fail(findings, [...at, "accelerator"], accelerator, message);
    }
    const pages = hugepagesOf(host).filter(({ count }) => count > 0);
    if (hugepages !== undefined && !pages.some(({ sizeBytes }) => sizeBytes === hugepages)) {
      const sizes = [...new Set(pages.map(({ sizeBytes }) => formatBytes(sizeBytes as Bytes)))];
      const there = sizes.length > 0 ? `it has pages of ${sizes.join(", ")}` : "it has none configured";
      const message = `the host has no such hugepages; ${there}: give prepare.hugepages, or set them aside and probe again`;
      fail(findings, [...at, "hugepages"], formatBytes(hugepages), message);
    }
  }
}

/** A host may be declared before anything is installed on it: preparation does that, and `up` finds out whether it works. */
function checkSoftware({ name, facts, prepare }: HostSpec, findings: Findings): void {
  const missing = missingSoftware(facts);
  if (missing === undefined) return;
  const at = ["hosts", name, "facts"];
  const again = `then probe it again with \`npm run facts -- ${name}\``;
  if (prepare?.packages === true) {
    warn(
      findings,
      at,
      `no ${missing}`,
      `\`pulumi up\` installs it before anything else there (prepare.packages); ${again}`,
    );
  } else {
    const message = `machines need it: write prepare.packages: true, and \`pulumi up\` installs it; or install it by hand (docs/hosts.md), ${again}`;
    fail(findings, at, `no ${missing}`, message);
  }
}

/** Production refuses what is only warned about here, on `up`: config/production.ts. */
function checkForeign(host: HostSpec, findings: Findings): void {
  for (const machine of untolerated(host)) {
    const message = `it is not ours, and ${machine.floating} of its vCPUs float over all CPUs of the host, dedicated ones too: ${REMEDY}`;
    warn(findings, ["hosts", host.name, "facts"], machine.name, message);
  }
  host.tolerate.forEach((name, i) => {
    if (host.facts.foreign.some((machine) => machine.name === name && machine.floating > 0)) return;
    const names = host.facts.foreign.filter(({ floating }) => floating > 0).map((machine) => machine.name);
    const message = `no machine of this name floats on the host.${didYouMean(name, names)} Remove it, or probe the host again`;
    warn(findings, ["hosts", host.name, "tolerate", i], name, message);
  });
}

const REMEDY = "pin them with `virsh vcpupin`, then probe the host again; or allow it by its name in `tolerate`";

/** Machines of others whose vCPUs may run on any CPU of the host, and that the stack file does not allow. */
export function untolerated({ facts, tolerate }: HostSpec): HostSpec["facts"]["foreign"] {
  return facts.foreign.filter(({ name, floating }) => floating > 0 && !tolerate.includes(name));
}

function checkCarvedPool(
  pool: CarvedPoolSpec,
  draft: Draft,
  raw: Readonly<Record<string, unknown>>,
  findings: Findings,
): void {
  const at = ["pools", pool.name];
  const hostNames = declared(raw, "hosts");
  pool.hosts.forEach((name, i) => {
    if (hostNames.includes(name)) return;
    fail(
      findings,
      [...at, "hosts", i],
      name,
      `no such host.${didYouMean(name, hostNames)} The hosts are ${hostNames.join(", ")}.`,
    );
  });
  if (pool.addresses.length < pool.count) {
    fail(
      findings,
      [...at, "addresses"],
      `${pool.addresses.length} addresses`,
      `give one for each of the ${pool.count} machines`,
    );
  }
  const hosts = draft.hosts.filter((host) => pool.hosts.includes(host.name));
  const hasAll = pool.hosts.every((name) => draft.hosts.some((host) => host.name === name));
  if (hosts.length === 0 || !hasAll) return;
  const cpusOf = (host: HostSpec) => host.facts.cpus.length - (pool.cpu === "dedicated" ? host.housekeeping.length : 0);
  const widest = hosts.reduce((a, b) => (cpusOf(b) > cpusOf(a) ? b : a));
  if (cpusOf(widest) > 0 && pool.vcpus > cpusOf(widest)) {
    const kept = pool.cpu === "dedicated" ? `, after housekeeping CPUs ${formatCpuSet(widest.housekeeping)}` : "";
    fail(
      findings,
      [...at, "vcpus"],
      pool.vcpus,
      `no host has so many: the largest, ${widest.name}, has ${cpusOf(widest)} of ${widest.facts.cpus.length} CPUs${kept}`,
    );
  }
  checkMemory(pool, hosts, findings);
}

const MIB = 2 ** 20;

function checkMemory(pool: CarvedPoolSpec, hosts: readonly HostSpec[], findings: Findings): void {
  const at = ["pools", pool.name, "memory"];
  const page = Math.max(MIB, ...hosts.map((host) => host.hugepages ?? 0)) as Bytes;
  if (pool.memory === 0 || pool.memory % page !== 0) {
    const why = page > MIB ? ", the hugepages of its hosts" : "";
    fail(findings, at, formatBytes(pool.memory), `give a whole number of ${formatBytes(page)}${why}`);
  }
  const memoryOf = (host: HostSpec) => host.facts.memory.reduce((sum, node) => sum + node.bytes, 0);
  const largest = hosts.reduce((a, b) => (memoryOf(b) > memoryOf(a) ? b : a));
  if (pool.memory > memoryOf(largest)) {
    const gib = `${Math.floor(memoryOf(largest) / 2 ** 30)}GiB`;
    fail(findings, at, formatBytes(pool.memory), `no host has so much: the largest, ${largest.name}, has ${gib}`);
  }
}

function checkImage({ image }: Draft, findings: Findings): void {
  if (!image) return;
  if (image.url === undefined && image.file === undefined) fail(findings, ["image"], undefined, "give url or file");
  if (image.url !== undefined && image.file !== undefined)
    fail(findings, ["image", "file"], image.file, "give url or file, not both");
}

interface NamedNode {
  readonly name: string;
  readonly path: readonly (string | number)[];
  readonly address?: string;
  readonly addressPath: readonly (string | number)[];
}

function nodesOf(pool: PoolSpec, clusterName: string): NamedNode[] {
  const at = ["pools", pool.name];
  if (pool.source === "machines") {
    return pool.machines.map((machine) => {
      const path = [...at, "machines", machine.name];
      return { name: machine.name, path, address: machine.nodeAddress, addressPath: [...path, "nodeAddress"] };
    });
  }
  return Array.from({ length: pool.count }, (_, i) => ({
    name: `${clusterName}-${pool.name}-${i}`,
    path: at,
    address: pool.addresses[i],
    addressPath: [...at, "addresses", i],
  }));
}

function checkNames(draft: Draft, findings: Findings): void {
  const owners = new Map<string, string>();
  for (const pool of draft.pools) {
    for (const node of nodesOf(pool, draft.clusterName)) {
      const owner = owners.get(node.name);
      if (owner !== undefined) {
        fail(findings, node.path, node.name, `a node of pool ${owner} has this name too: rename one of them`);
      }
      owners.set(node.name, pool.name);
      if (node.name.length > 63) {
        fail(
          findings,
          node.path,
          node.name,
          `a node's name has at most 63 characters and this one has ${node.name.length}: shorten the pool's or the cluster's`,
        );
        return;
      }
    }
  }
}

function checkNetworks({ network, kubernetes, pools }: Draft, findings: Findings): void {
  const networks = [
    { path: ["network", "cidr"], text: network?.cidr, what: "the machines'" },
    { path: ["kubernetes", "podCidr"], text: kubernetes?.podCidr, what: "the pods'" },
    { path: ["kubernetes", "serviceCidr"], text: kubernetes?.serviceCidr, what: "the services'" },
  ].flatMap(({ text, ...rest }) => (text === undefined ? [] : [{ ...rest, cidr: parseCidr(text) }]));
  networks.forEach((a, i) => {
    for (const b of networks.slice(0, i)) {
      if (overlap(a.cidr, b.cidr)) {
        fail(
          findings,
          a.path,
          a.cidr.text,
          `overlaps ${b.what} network ${b.cidr.text} (${b.path.join(".")}): choose one outside it`,
        );
      }
    }
  });
  if (network?.attach.type === "nat") {
    const carved = pools.filter((pool) => pool.source === "hosts" && pool.count > 0) as CarvedPoolSpec[];
    const hosts = [...new Set(carved.flatMap((pool) => pool.hosts))].sort();
    if (hosts.length > 1) {
      const why = `machines on ${hosts.join(", ")} would not reach each other, each host having a network of its own: use a bridge, or name one host in each pool's hosts`;
      fail(findings, ["network", "type"], "nat", why);
    }
  }
  if (network?.gateway !== undefined && !contains(parseCidr(network.cidr), network.gateway)) {
    fail(findings, ["network", "gateway"], network.gateway, `is outside the machines' network ${network.cidr}`);
  }
}

function checkAddresses(draft: Draft, findings: Findings): void {
  const owners = new Map<string, string>();
  if (draft.network?.gateway) owners.set(draft.network.gateway, "the gateway (network.gateway)");
  const cidr = draft.network && parseCidr(draft.network.cidr);
  for (const pool of draft.pools) {
    for (const node of nodesOf(pool, draft.clusterName)) {
      if (node.address === undefined) continue;
      const owner = owners.get(node.address);
      if (owner !== undefined) fail(findings, node.addressPath, node.address, `${owner} has this address too`);
      owners.set(node.address, node.name);
      if (pool.source !== "hosts" || !cidr) continue;
      if (!contains(cidr, node.address)) {
        fail(findings, node.addressPath, node.address, `is outside the machines' network ${cidr.text} (network.cidr)`);
      } else if (cidr.prefix < 31 && [cidr.first, cidr.last].includes(ipv4(node.address)!)) {
        fail(findings, node.addressPath, node.address, `is the network's own or broadcast address in ${cidr.text}`);
      }
    }
  }
}
