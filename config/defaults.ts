import type { z } from "zod";
import type { HostFacts } from "./facts";
import { problem, type Problem } from "./problems";
import type { CarvedPoolEntry, ExistingPoolEntry, HostEntry } from "./schema";
import type { sections, maps } from "./schema";
import type {
  CanarySpec,
  Environment,
  GatewaySpec,
  HostSpec,
  KubernetesSpec,
  MeshSpec,
  NamespaceSpec,
  NetworkSpec,
  PoolSpec,
  ServiceSpec,
} from "./spec";
import type { AptSpec } from "./spec/kubernetes";
import { formatIpv4, parseCidr } from "./ipv4";
import { cpuSet, type CpuSet, type Percent } from "./units";
import { minorOf } from "./versions";

/** Defaults that depend on another value: on the facts, the environment, the mesh or the entry's own name. */

const ISTIO_REPOSITORY = "https://istio-release.storage.googleapis.com/charts";
/** "isv:kubernetes OBS Project", which signs the repository of every minor version at pkgs.k8s.io (docs/decisions/0140). */
const KUBERNETES_APT_KEY = "DE15B14486CD377B9E876E1A234654DA9A296436";
const KUBERNETES_APT = (version: string) => `https://pkgs.k8s.io/core:/stable:/v${minorOf(version)}/deb/`;

/** How what is reserved is called among the machines of others. */
export const RESERVED = "(reserved)";

/** What the stack leaves to others counts as a machine of theirs: the ledger, its errors and the capacity report need to know no more. */
function reservedOf({ reserved, hugepages }: HostEntry): HostFacts["foreign"] {
  if (reserved === undefined) return [];
  const { cpus, memory = 0 } = reserved;
  const pages = hugepages === undefined ? {} : { hugepageBytes: hugepages };
  return [
    { name: RESERVED, uuid: "", vcpus: cpus.length, cpus, floating: 0, memoryBytes: memory, nodes: [], ...pages },
  ];
}

export function completeHost(name: string, entry: HostEntry, facts: HostFacts): HostSpec {
  const housekeeping = entry.housekeeping ?? defaultHousekeeping(facts);
  return {
    ...entry,
    name,
    facts: { ...facts, foreign: [...facts.foreign, ...reservedOf(entry)] },
    factsFile: entry.facts ?? factsFileOf(name),
    housekeeping,
  };
}

/** Where a host's facts are unless the stack file says otherwise. */
export function factsFileOf(host: string): string {
  return `facts/${host}.json`;
}

/** The first core of each NUMA node, with all its siblings. */
export function defaultHousekeeping(facts: HostFacts): CpuSet {
  const first = new Map<number, { readonly socket: number; readonly core: number }>();
  for (const cpu of [...facts.cpus].sort((a, b) => a.cpu - b.cpu)) {
    if (!first.has(cpu.node)) first.set(cpu.node, cpu);
  }
  const kept = facts.cpus.filter((cpu) => {
    const core = first.get(cpu.node)!;
    return cpu.socket === core.socket && cpu.core === core.core;
  });
  return cpuSet(kept.map((cpu) => cpu.cpu));
}

/** Keys of the stack file's network that belong to each type; the first ones must be given. */
const NETWORK_KEYS = {
  bridge: { needs: ["bridge"], may: [] },
  network: { needs: ["name"], may: [] },
  nat: { needs: [], may: ["name", "bridge"] },
  macvtap: { needs: ["device"], may: ["mode"] },
} as const;

export function completeNetwork(
  { type, bridge, name, device, mode, viaHost, ...rest }: z.output<NonNullable<typeof sections.network>> & object,
  cluster: string,
  problems: Problem[],
): NetworkSpec | undefined {
  const given = { bridge, name, device, mode };
  const keys: { readonly needs: readonly string[]; readonly may: readonly string[] } = NETWORK_KEYS[type];
  const before = problems.length;
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined && keys.needs.includes(key))
      problems.push(problem(["network", key], undefined, `missing: a network of type ${type} needs it`));
    if (value !== undefined && !keys.needs.includes(key) && !keys.may.includes(key))
      problems.push(problem(["network", key], value, `a network of type ${type} has no such key: remove it`));
  }
  if (type === "macvtap" && viaHost === true) {
    const why =
      "a host does not see its own machines over macvtap: leave it out, and give this machine a route to them";
    problems.push(problem(["network", "viaHost"], viaHost, why));
  }
  if (problems.length > before) return undefined;
  const network = name ?? cluster;
  const common = { ...rest, viaHost: viaHost ?? type !== "macvtap" };
  switch (type) {
    case "bridge":
      return { ...common, attach: { type, bridge: bridge ?? "" } };
    case "network":
      return { ...common, attach: { type, network } };
    case "nat": {
      const { first } = parseCidr(rest.cidr);
      return {
        ...common,
        gateway: rest.gateway ?? formatIpv4(first + 1),
        attach: { type, network, bridge: bridge ?? network.slice(0, 15) },
      };
    }
    case "macvtap":
      return { ...common, attach: { type, device: device ?? "", mode: mode ?? "bridge" } };
  }
}

export function completePool(
  name: string,
  entry: CarvedPoolEntry | ExistingPoolEntry,
  hostNames: readonly string[],
): PoolSpec {
  const dataFolder = entry.dataFolder ?? (entry.role === "control-plane" ? "/var/lib/etcd" : "/var/lib");
  if (!("machines" in entry)) {
    const maxSteal = entry.maxSteal ?? ((entry.cpu === "shared" ? 100 : 1) as Percent);
    return { ...entry, name, source: "hosts", hosts: [...(entry.hosts ?? hostNames)].sort(), maxSteal, dataFolder };
  }
  const machines = Object.entries(entry.machines)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([machine, { endpoint, nodeAddress, hypervisors, ...rest }]) => ({
      ...rest,
      name: machine,
      endpoint,
      nodeAddress: nodeAddress ?? endpoint.address,
      hypervisors: hypervisors ?? (rest.plan === "metal" ? ["none"] : ["kvm"]),
    }));
  const { role, labels, taints, maxFsync } = entry;
  return { name, source: "machines", role, labels, taints, maxFsync, dataFolder, machines };
}

/** Addresses of the control planes, in the order of their nodes. */
export function controlPlaneAddresses(pools: readonly PoolSpec[]): readonly string[] {
  return pools
    .filter((pool) => pool.role === "control-plane")
    .flatMap((pool) =>
      pool.source === "hosts"
        ? pool.addresses.slice(0, pool.count)
        : pool.machines.map((machine) => machine.nodeAddress),
    );
}

export function completeKubernetes(
  entry: z.output<typeof sections.kubernetes>,
  pools: readonly PoolSpec[],
): KubernetesSpec {
  const packages = entry.packages.source === "apt" ? completeApt(entry.packages, entry.version) : entry.packages;
  // The checks ask for an explicit endpoint where there is more than one control plane, or none.
  const endpoint = entry.endpoint ?? { host: controlPlaneAddresses(pools)[0] ?? "", port: 6443 };
  return { ...entry, packages, endpoint };
}

function completeApt(
  { repository, keyFingerprints }: { readonly repository?: string; readonly keyFingerprints?: readonly string[] },
  version: string,
): AptSpec {
  return {
    source: "apt",
    repository: repository ?? KUBERNETES_APT(version),
    // A mirror of Kubernetes' packages is signed by the same key.
    keyFingerprints: keyFingerprints ?? [KUBERNETES_APT_KEY],
  };
}

export function completeMesh(
  entry: z.output<typeof sections.mesh>,
  isGiven: boolean,
  environment: Environment,
  problems: Problem[],
): MeshSpec {
  const production = environment === "production";
  // A mesh that did not parse is still one: what needs it is no second problem.
  const given = entry ?? (isGiven ? { ...NO_MESH, provider: "istio" as const } : NO_MESH);
  if (entry?.provider === "istio" && entry.version === undefined) {
    problems.push(problem(["mesh", "version"], undefined, "missing: give an exact version, such as 1.28.3"));
  }
  return {
    ...given,
    version: given.version ?? "",
    charts: given.charts ?? { repository: ISTIO_REPOSITORY },
    replicas: given.replicas ?? (production ? 2 : 1),
    gatewayReplicas: given.gatewayReplicas ?? (production ? 2 : 1),
    mtls: given.mtls ?? (production ? "STRICT" : "unset"),
  };
}

const NO_MESH: NonNullable<z.output<typeof sections.mesh>> = {
  provider: "none",
  profile: "default",
  hub: "",
  imagePullPolicy: "IfNotPresent",
  istiodResources: { requests: { cpu: "0", memory: "0" }, limits: { memory: "0" } },
  sidecarResources: { requests: { cpu: "0", memory: "0" }, limits: { memory: "0" } },
  traceSampling: 0,
  gatewayServiceType: "ClusterIP",
  istiodValues: {},
  gatewayValues: {},
};

export function completeNamespace(
  name: string,
  entry: z.output<typeof maps.namespaces>,
  environment: Environment,
  mesh: MeshSpec,
): NamespaceSpec {
  const meshed = mesh.provider !== "none";
  const injection = entry.injection ?? (meshed && entry.revision === undefined);
  const injected = injection || entry.revision !== undefined;
  return {
    ...entry,
    name,
    // A revision replaces the injection label; both on one namespace is refused by the checks.
    injection,
    mtls: entry.mtls ?? (meshed && environment === "production" ? "STRICT" : "unset"),
    // istio-init needs NET_ADMIN, which baseline refuses (docs/decisions/0060): the components refuse the pair.
    podSecurity: entry.podSecurity ?? (injected ? "privileged" : "baseline"),
    existing: entry.existing ?? name === "default",
  };
}

export function completeService(key: string, entry: z.output<typeof maps.services>): ServiceSpec {
  const versions = Object.entries(entry.versions)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, version]) => ({ ...version, name }));
  return { ...entry, name: entry.name ?? key, targetPort: entry.targetPort ?? entry.port, versions };
}

export function completeGateway(key: string, entry: z.output<typeof maps.gateways>): GatewaySpec {
  return { ...entry, name: entry.name ?? key, port: entry.port ?? (entry.protocol === "HTTPS" ? 443 : 80) };
}

export function completeCanary(key: string, entry: z.output<typeof maps.canaries>): CanarySpec {
  const name = entry.name ?? key;
  const service = entry.service ?? name;
  const weights = Object.entries(entry.weights)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([subset, weight]) => ({ subset, weight }));
  return { ...entry, name, service, hosts: entry.hosts ?? [service], weights };
}
