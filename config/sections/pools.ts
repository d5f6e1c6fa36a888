import { z } from "zod";
import { declared, fail, type Draft, type Findings } from "../draft";
import { endpoint, location } from "../endpoint";
import { nodesForMachines } from "../facts";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { didYouMean } from "../problems";
import { formatBytes, formatCpuSet, type Bytes, type Percent } from "../units";
import type { HostSpec } from "./hosts";
import { checkDisks, dataDisk, device } from "./pool-disks";

export type { DataDiskSpec, DeviceSpec } from "./pool-disks";

type Effect = "NoSchedule" | "PreferNoSchedule" | "NoExecute";

function parseTaint(text: string) {
  const match = /^([A-Za-z0-9][\w./-]{0,252})(?:=([\w.-]{1,63}))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text);
  if (!match)
    throw new Error("give key:effect or key=value:effect; effects are NoSchedule, PreferNoSchedule, NoExecute");
  const [, key, value, effect] = match;
  return { key: key!, ...(value === undefined ? {} : { value }), effect: effect as Effect };
}

const common = {
  role: z.enum(["control-plane", "worker"]),
  maxUnavailable: field
    .count(
      "workers of the pool that may be out at once for a change; control planes always change one at a time ([rolling-changes.md](rolling-changes.md))",
      1,
      5000,
    )
    .default(1),
  labels: field.labels.meta({ description: "Kubernetes node labels" }).default({}),
  maxFsync: field
    .duration(
      "99th percentile of fdatasync; above it a control plane is refused in production, elsewhere it is warned of",
    )
    .prefault("10ms"),
  dataFolder: field
    .absolutePath("folder whose disk is measured")
    .meta({ absent: "`/var/lib/etcd` on control planes, else `/var/lib`" })
    .optional(),
  taints: z
    .array(field.parsed(parseTaint, "taints that the nodes register with", ["dedicated=batch:NoSchedule"]))
    .default([]),
};

export const carvedPool = z
  .strictObject({
    ...common,
    count: field.count("number of machines", 0, 5000),
    vcpus: field.count("vCPUs of each machine; every one gets a host CPU of its own, siblings stay together", 1, 512),
    memory: field.bytes("memory of each machine"),
    disk: field.bytes("system disk of each machine; with `diskDevices`: the least that each device must have"),
    diskDevices: z
      .array(device)
      .min(1)
      .meta({
        description: "block devices of the hosts as system disks, written from the image: machine `i` gets the `i`-th",
      })
      .optional(),
    storage: z
      .enum(["directory", "lvm-thin"])
      .meta({
        description:
          "where the disks are: files in the host's `storage`, or volumes in its thin pool (`hosts.<host>.lvm`)",
      })
      .default("directory"),
    disks: z
      .array(dataDisk)
      .max(23)
      .meta({
        description: "data disks of each machine: they outlive its replacement ([machines.md](machines.md#disks))",
      })
      .default([]),
    addresses: field.addresses,
    hosts: z.array(z.string()).min(1).meta({ description: "hosts to use", absent: "all" }).optional(),
    cpu: z
      .enum(["dedicated", "shared"])
      .meta({
        description:
          "`dedicated`: each vCPU has a host CPU of its own; `shared` lets vCPUs float: refused in production",
      })
      .default("dedicated"),
    maxSteal: field
      .percent("steal above this, seen from inside, fails the machine's check")
      .meta({ absent: "`1`; `100` for shared" })
      .optional(),
    restart: z
      .enum(["never", "needed"])
      .meta({
        description:
          "`needed`: a change that a running machine can't take restarts it, drained, one machine at a time ([machines.md](machines.md#what-a-change-does))",
      })
      .default("never"),
  })
  .meta({ description: "machines carved from hosts" });

const machine = z.strictObject({
  endpoint,
  location,
  plan: z.enum(["dedicated", "metal", "shared"]).meta({
    description: "what the operator sells; `shared` is refused in production",
  }),
  vcpus: field.count("vCPUs that the plan promises; fewer inside is an error", 1, 512),
  nodeAddress: field.address
    .meta({ description: "address of Kubernetes' own traffic", absent: "the endpoint's" })
    .optional(),
  maxSteal: field.percent("steal above this fails the check from inside").prefault(1),
  hypervisors: z
    .array(z.string().min(1))
    .min(1)
    .meta({ description: "what `systemd-detect-virt` may say inside", absent: "`[kvm]`, `[none]` for metal" })
    .optional(),
});

export const existingPool = z
  .strictObject({
    ...common,
    machines: z.record(field.dnsLabel, machine).meta({ description: "machines by Kubernetes node name" }),
  })
  .meta({ description: "machines that exist; never created or destroyed" });

/** `pools.<pool>`: one with `machines` is meant to be of existing ones; so its errors name what is wrong with it as such. */
export const entry = z.union([carvedPool, existingPool]);

export function entryFor(raw: unknown): z.ZodType {
  return typeof raw === "object" && raw !== null && "machines" in raw ? existingPool : carvedPool;
}

type CarvedPoolEntry = Immutable<z.output<typeof carvedPool>>;
type ExistingPoolEntry = Immutable<z.output<typeof existingPool>>;
export type PoolEntry = CarvedPoolEntry | ExistingPoolEntry;

export type Role = CarvedPoolEntry["role"];
/** As in a Kubernetes node's spec. */
export type TaintSpec = CarvedPoolEntry["taints"][number];

/** Machines carved from hosts: node i is `<cluster>-<pool>-<i>`, i from 0. */
export interface CarvedPoolSpec extends CarvedPoolEntry {
  readonly source: "hosts";
  readonly name: string;
  /** Names of the hosts to use, sorted. */
  readonly hosts: readonly string[];
  readonly maxSteal: Percent;
  readonly dataFolder: string;
}

export interface ExistingMachineSpec extends Omit<
  ExistingPoolEntry["machines"][string],
  "nodeAddress" | "hypervisors"
> {
  /** Becomes the Kubernetes node name. */
  readonly name: string;
  readonly nodeAddress: string;
  readonly hypervisors: readonly string[];
}

/** Machines that exist: rented KVM instances or bare metal; never created or destroyed. */
export interface ExistingPoolSpec extends Omit<ExistingPoolEntry, "machines"> {
  readonly source: "machines";
  readonly name: string;
  readonly dataFolder: string;
  readonly machines: readonly ExistingMachineSpec[];
}

export type PoolSpec = CarvedPoolSpec | ExistingPoolSpec;

export function complete(
  name: string,
  given: CarvedPoolEntry | ExistingPoolEntry,
  hostNames: readonly string[],
): PoolSpec {
  const dataFolder = given.dataFolder ?? (given.role === "control-plane" ? "/var/lib/etcd" : "/var/lib");
  if (!("machines" in given)) {
    const maxSteal = given.maxSteal ?? ((given.cpu === "shared" ? 100 : 1) as Percent);
    return { ...given, name, source: "hosts", hosts: [...(given.hosts ?? hostNames)].sort(), maxSteal, dataFolder };
  }
  const machines = Object.entries(given.machines)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([machine, { endpoint, nodeAddress, hypervisors, ...rest }]) => ({
      ...rest,
      name: machine,
      endpoint,
      nodeAddress: nodeAddress ?? endpoint.address,
      hypervisors: hypervisors ?? (rest.plan === "metal" ? ["none"] : ["kvm"]),
    }));
  const { role, labels, taints, maxFsync, maxUnavailable } = given;
  return { name, source: "machines", role, labels, taints, maxFsync, maxUnavailable, dataFolder, machines };
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

/** What carved pools need, and what each pool says. */
export function check(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
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
  const memoryOf = ({ facts }: HostSpec): number => {
    const nodes = nodesForMachines(facts);
    return facts.memory.reduce((sum, { node, bytes }) => sum + (nodes.has(node) ? bytes : 0), 0);
  };
  const largest = hosts.reduce((a, b) => (memoryOf(b) > memoryOf(a) ? b : a));
  if (pool.memory > memoryOf(largest)) {
    const gib = `${Math.floor(memoryOf(largest) / 2 ** 30)}GiB`;
    fail(findings, at, formatBytes(pool.memory), `no host has so much: the largest, ${largest.name}, has ${gib}`);
  }
}
