import * as pulumi from "@pulumi/pulumi";
import type {
  CarvedPoolSpec,
  DeviceSpec,
  EvidenceSpec,
  HostSpec,
  NetworkAttachment,
  NetworkSpec,
  TimeoutsSpec,
} from "../../config/spec";
import { parseCidr } from "../../config/ipv4";
import {
  BlockDevice,
  CoreLease,
  Domain,
  HostKey,
  Machine,
  Volume,
  type BlockDeviceArgs,
  type DiskArgs,
  type EndpointArgs,
  type Evidence,
  type Image,
  type InterfaceArgs,
  type Network,
  type OwnerArgs,
  type VolumeArgs,
} from "../../provider/sdk";
import type { ReadyNode } from "../ready-node";
import { macOf, metaData, networkConfig, userData } from "./cloud-init";
import { dataDisks, mountScript, type DataDisk } from "./data-disk";
import { measurements, measurementSettings } from "./evidence";
import type { Placement } from "./placement";
import { afterTurn } from "./pool-rollout";

export interface CarvedMachineArgs {
  readonly owner: OwnerArgs;
  readonly pool: CarvedPoolSpec;
  readonly host: HostSpec;
  /** Must be there before anything on the host is made, and goes after it: the stack's tenancy there, and what makes the host ready. */
  readonly ground: readonly pulumi.Resource[];
  readonly image: Image;
  readonly imageFormat: "qcow2" | "raw";
  readonly network: NetworkSpec;
  /** The network's own resource on this host, where it is one of ours. */
  readonly nat?: Network;
  readonly placement: Placement;
  /** Of the machine in its pool. */
  readonly index: number;
  readonly address: string;
  readonly authorizedKeys: readonly string[];
  readonly timeouts: TimeoutsSpec;
  readonly evidence: EvidenceSpec;
  /** Resolves when it is this machine's turn to be touched. */
  readonly turn: Promise<unknown>;
  readonly rollout?: ReadyNode["rollout"];
  /** What must not wait for measurements that are due. */
  readonly afterwards: Promise<unknown>;
  /** Through it the machine is drained before a restart; none: it is the first control plane itself. */
  readonly firstControlPlane?: EndpointArgs;
}

/** One virtual machine on one host: its cores leased, its host key pinned before it exists, checked from inside. */
export class CarvedMachine extends pulumi.ComponentResource {
  readonly node: ReadyNode;
  readonly evidence: Evidence;

  constructor(name: string, args: CarvedMachineArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kvmesh:nodes:CarvedMachine", name, {}, opts);
    const { owner, pool, host, placement, network } = args;
    // etcd's data is on it: no plan may drop or replace it in passing.
    const protect = owner.environment === "production" && pool.role === "control-plane";

    const key = new HostKey(name, {}, { parent: this });
    const lease =
      placement.cpus.length === 0
        ? undefined
        : new CoreLease(
            name,
            {
              host: host.endpoint,
              owner,
              machine: name,
              cpus: placement.cpus,
              facts: { file: host.factsFile, cpus: host.facts.cpus.length },
            },
            { parent: this, dependsOn: afterTurn(args.turn, ...args.ground) },
          );
    const system = this.systemDisk(name, args, protect);
    const data = dataDisks(name, pool, args.index);
    const dataSources = data.map((spec): DiskArgs => {
      const { target, name: serial } = spec;
      if (spec.device) {
        const wanted = { machine: name, disk: serial, minBytes: spec.size };
        const { path } = this.deviceOf(spec.fullName, wanted, spec.device, args, protect);
        return { type: "block", path, format: "raw", target, serial };
      }
      const { path, format } = this.volumeOf(spec, args, protect);
      return diskOf(pool, path, format, { target, serial });
    });
    const threads = hostThreads(host, placement.numaNode);
    const mac = macOf(owner.cluster, name);
    const endpoint = endpointOf(args.address, key.publicKey, host, network);
    const domain = new Domain(
      name,
      {
        host: host.endpoint,
        owner,
        name,
        type: host.accelerator,
        vcpus: pool.vcpus,
        vcpuPins: placement.vcpuPins,
        emulatorPin: threads,
        ioThreadPin: threads,
        memoryBytes: pool.memory,
        numaNode: placement.numaNode,
        hugepageBytes: host.hugepages,
        disks: [system, ...dataSources],
        interfaces: [interfaceOf(network.attach, mac)],
        cloudInit: {
          userData: pulumi.all([key.privateKey, key.publicKey]).apply(([privateKey, publicKey]) =>
            userData({
              hostname: name,
              hostKey: { privateKey, publicKey },
              authorizedKeys: args.authorizedKeys,
              everyBoot: data.flatMap((spec) => (spec.mount ? [mountScript(spec.name, spec.mount)] : [])),
            }),
          ),
          metaData: metaData(name),
          networkConfig: networkConfig({
            mac,
            address: args.address,
            prefix: parseCidr(network.cidr).prefix,
            gateway: network.gateway,
            nameservers: network.nameservers,
          }),
        },
        storage: host.storage,
        restart:
          pool.restart === "needed"
            ? { when: "needed", endpoint, drain: { controlPlane: args.firstControlPlane ?? endpoint, node: name } }
            : undefined,
      },
      {
        parent: this,
        protect,
        dependsOn: afterTurn(args.turn, lease, args.nat, ...args.ground),
      },
    );
    const machine = new Machine(
      name,
      {
        endpoint,
        owner,
        name,
        source: "carved",
        plan: pool.cpu,
        vcpus: pool.vcpus,
        hypervisors: [host.accelerator],
        maxStealPercent: pool.maxSteal,
        country: host.location.country,
        bootTimeoutSeconds: args.timeouts.boot / 1000,
        identity: domain.uuid,
      },
      { parent: this, dependsOn: [domain] },
    );
    const { preflight, evidence } = measurements(
      name,
      {
        endpoint,
        owner,
        name,
        plan: pool.cpu,
        vcpus: pool.vcpus,
        hypervisors: [host.accelerator],
        maxStealPercent: pool.maxSteal,
        ...measurementSettings(pool, args.evidence),
        host: host.endpoint,
        domain: {
          vcpuPins: placement.vcpuPins,
          emulatorPin: threads,
          ioThreadPin: threads,
          numaNode: placement.numaNode,
          isolated: host.prepare?.isolateCpus === true && placement.cpus.length > 0 ? true : undefined,
        },
        identity: domain.uuid,
      },
      { maxAge: args.evidence.maxAge, afterwards: args.afterwards },
      { parent: this, dependsOn: [machine] },
    );
    this.evidence = evidence;

    this.node = {
      name,
      pool: pool.name,
      role: pool.role,
      labels: pool.labels,
      taints: pool.taints,
      endpoint,
      nodeAddress: args.address,
      host: host.name,
      identity: domain.uuid,
      rollout: args.rollout,
      ready: [machine, preflight],
    };
    this.registerOutputs({ host: host.name, address: args.address, cpus: placement.cpus, uuid: domain.uuid });
  }

  /** From the image: a volume over a copy of it on the host, or a device that it is written to. */
  private systemDisk(name: string, args: CarvedMachineArgs, protect: boolean): DiskArgs {
    const { owner, pool, host } = args;
    const image = { base: args.image.path, baseFormat: args.imageFormat };
    const target = "vda";
    const device = pool.diskDevices?.[args.index];
    if (device) {
      // No data disk has a dot in its name.
      const wanted = { machine: name, disk: "system.disk", minBytes: pool.disk, ...image };
      return { type: "block", path: this.deviceOf(name, wanted, device, args, protect).path, format: "raw", target };
    }
    const place = placeOf(pool, host, name, "qcow2");
    const { path } = new Volume(
      name,
      { host: host.endpoint, owner, ...place, capacityBytes: pool.disk, ...image },
      { parent: this, protect, dependsOn: afterTurn(args.turn, ...args.ground) },
    );
    return diskOf(pool, path, place.format, { target });
  }

  private volumeOf(spec: DataDisk, args: CarvedMachineArgs, protect: boolean): Pick<DiskArgs, "path" | "format"> {
    const { host, owner, pool } = args;
    // The parser refuses a disk without size or devices.
    const { fullName, onDestroy, size = 0 } = spec;
    const place = placeOf(pool, host, fullName, spec.format);
    const { path } = new Volume(
      fullName,
      { host: host.endpoint, owner, ...place, capacityBytes: size, onDestroy },
      { parent: this, protect, dependsOn: afterTurn(args.turn, ...args.ground) },
    );
    return { path, format: place.format };
  }

  private deviceOf(
    resource: string,
    wanted: Pick<BlockDeviceArgs, "machine" | "disk" | "minBytes" | "base" | "baseFormat">,
    { id, serial }: DeviceSpec,
    args: CarvedMachineArgs,
    protect: boolean,
  ): BlockDevice {
    const { host, owner } = args;
    return new BlockDevice(
      resource,
      { host: host.endpoint, owner, ...wanted, device: id, serial },
      { parent: this, protect, dependsOn: afterTurn(args.turn, ...args.ground) },
    );
  }
}

/** Where a disk of the pool is on its host, and as what: a file of this format, or a logical volume. */
function placeOf(
  pool: CarvedPoolSpec,
  { name: host, storage, lvm }: HostSpec,
  disk: string,
  format: "qcow2" | "raw",
): Pick<VolumeArgs, "name" | "storage" | "thinPool" | "format"> {
  if (pool.storage === "directory") return { name: `${disk}.${format}`, storage, format };
  // The parser refuses it; this guards programs that make a spec themselves.
  if (!lvm) throw new Error(`pools.${pool.name}.storage: lvm-thin, and host ${host} has no lvm`);
  const { volumeGroup, thinPool, overcommit } = lvm;
  return { name: disk, thinPool: { volumeGroup, name: thinPool, overcommit }, format: "raw" };
}

function diskOf(
  pool: CarvedPoolSpec,
  path: DiskArgs["path"],
  format: DiskArgs["format"],
  as: Pick<DiskArgs, "target" | "serial">,
): DiskArgs {
  return { type: pool.storage === "directory" ? "file" : "block", path, format, ...as };
}

function interfaceOf(attach: NetworkAttachment, mac: string): InterfaceArgs {
  switch (attach.type) {
    case "bridge":
      return { type: "bridge", bridge: attach.bridge, mac };
    case "network":
    case "nat":
      return { type: "network", network: attach.network, mac };
    case "macvtap":
      return { type: "direct", device: attach.device, mode: attach.mode, mac };
  }
}

/** Where emulator and I/O threads run: housekeeping CPUs of the machine's own NUMA node, or all of them. */
function hostThreads({ housekeeping, facts }: HostSpec, numaNode: number | undefined): readonly number[] {
  const onNode = new Set(facts.cpus.filter((cpu) => cpu.node === numaNode).map((cpu) => cpu.cpu));
  const local = housekeeping.filter((cpu) => onNode.has(cpu));
  return local.length > 0 ? local : housekeeping;
}

/** Through the host, or the way that the host itself is reached. */
function endpointOf(
  address: string,
  hostKey: pulumi.Output<string>,
  host: HostSpec,
  network: NetworkSpec,
): EndpointArgs {
  const { bastion, ...direct } = host.endpoint;
  return { address, port: 22, user: "root", hostKey, bastion: network.viaHost ? direct : bastion };
}
