/** Hosts, the network and pools of machines, as a stack file says them. */
import type { HostFacts } from "../facts";
import type { Bytes, CpuSet, Milliseconds, Percent } from "../units";

/** Where one SSH server is and what proves that it is the right one. */
export interface EndpointSpec {
  /** Host name or IP address. */
  readonly address: string;
  /** Default 22. */
  readonly port: number;
  /** Default root. */
  readonly user: string;
  /** The server's public key, "ssh-ed25519 AAAA…": type and base64, as in known_hosts; comment removed. */
  readonly hostKey: string;
  readonly bastion?: Omit<EndpointSpec, "bastion">;
}

export interface LocationSpec {
  /** ISO 3166-1 alpha-2, upper case. */
  readonly country: string;
  /** City or the operator's name of the data centre. */
  readonly site?: string;
  readonly operator?: string;
}

export interface HostSpec {
  readonly name: string;
  readonly endpoint: EndpointSpec;
  readonly location: LocationSpec;
  /** Read from the facts file that the stack file names; preview reads no host. */
  readonly facts: HostFacts;
  /** Where these facts are, relative to the checkout. */
  readonly factsFile: string;
  /** Names of machines of others that may float over all CPUs of the host; production refuses any other such one. */
  readonly tolerate: readonly string[];
  /** CPUs kept for the host itself, emulator and I/O threads; default: the first core of each NUMA node, with its siblings. */
  readonly housekeeping: CpuSet;
  /** Left to others, such as another stack on the host: in `facts.foreign` it is a machine of theirs, named RESERVED. */
  readonly reserved?: { readonly cpus: CpuSet; readonly memory?: Bytes };
  /** Folder on the host for images and disks; default /var/lib/kvmesh. It becomes the libvirt pool `kvmesh`. */
  readonly storage: string;
  /** Where the disks of pools with the storage `lvm-thin` are. */
  readonly lvm?: LvmSpec;
  /** libvirt domain type; default `kvm`. `qemu` is emulation: refused in production. */
  readonly accelerator: "kvm" | "qemu";
  /** Memory from hugepages of this size; default none. */
  readonly hugepages?: Bytes;
  /** What `up` makes the host into before anything else is done there; default: it is prepared already. */
  readonly prepare?: PreparationSpec;
}

/** A thin pool of LVM that the host has. */
export interface LvmSpec {
  readonly volumeGroup: string;
  readonly thinPool: string;
  /** Sizes of all its volumes, also of others', may together be so many times the pool's; default 1. */
  readonly overcommit: number;
}

/** Of one host, once and again whenever it changes; taken back when it is no longer there (packages stay). */
export interface PreparationSpec {
  /** Install libvirt, QEMU and what else is needed there; Debian and Ubuntu. */
  readonly packages: boolean;
  /** Pages of one size to set aside on each NUMA node; 2 MiB or 1 GiB. */
  readonly hugepages?: { readonly size: Bytes; readonly count: number };
  /** Take all CPUs but the housekeeping ones from the kernel's scheduler. */
  readonly isolateCpus: boolean;
  readonly sysctl: Readonly<Record<string, string>>;
  /** What waits for a boot is only said (never), or the host is booted when no machine runs on it. */
  readonly reboot: "never" | "when-needed";
}

export interface ImageSpec {
  readonly name: string;
  /** Exactly one of url and file. */
  readonly url?: string;
  /** Path on the machine that runs Pulumi, relative to the checkout. */
  readonly file?: string;
  /** "sha256:<64 hex>" of the file as it is downloaded. */
  readonly digest: string;
  readonly format: "qcow2" | "raw";
}

export interface NetworkSpec {
  readonly attach: NetworkAttachment;
  /** IPv4 CIDR of the machines' network. */
  readonly cidr: string;
  /** Default route of the machines; none means no default route. */
  readonly gateway?: string;
  readonly nameservers: readonly string[];
  /** Machines are reached through their host's SSH server, or directly; default true, with macvtap false. */
  readonly viaHost: boolean;
}

/** What a machine's interface is attached to on its host. */
export type NetworkAttachment =
  | { readonly type: "bridge"; readonly bridge: string }
  /** A libvirt network that exists. */
  | { readonly type: "network"; readonly network: string }
  /** A libvirt network that we make, with its own bridge; the gateway is the host. */
  | { readonly type: "nat"; readonly network: string; readonly bridge: string }
  | {
      readonly type: "macvtap";
      readonly device: string;
      readonly mode: "bridge" | "vepa" | "private" | "passthrough";
    };

export type Role = "control-plane" | "worker";

export type PoolSpec = CarvedPoolSpec | ExistingPoolSpec;

interface PoolCommon {
  readonly name: string;
  readonly role: Role;
  /** Kubernetes node labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** Taints that the nodes register with. */
  readonly taints: readonly TaintSpec[];
  /** 99th percentile of fdatasync in the data folder; above it a control plane is refused in production. Default 10 ms. */
  readonly maxFsync: Milliseconds;
  /** Folder whose disk is measured; default /var/lib/etcd on control planes, else /var/lib. */
  readonly dataFolder: string;
}

/** As in a Kubernetes node's spec. */
export interface TaintSpec {
  readonly key: string;
  readonly value?: string;
  readonly effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}

/** Machines carved from hosts: node i is `<cluster>-<pool>-<i>`, i from 0. */
export interface CarvedPoolSpec extends PoolCommon {
  readonly source: "hosts";
  readonly count: number;
  /** vCPUs of each machine, each pinned to a CPU of its own. */
  readonly vcpus: number;
  readonly memory: Bytes;
  /** Of the system disk; with diskDevices: the least that each must have. */
  readonly disk: Bytes;
  /** Node i has diskDevices[i] as its system disk and is placed on its host; at least count of them. */
  readonly diskDevices?: readonly DeviceSpec[];
  /** Where the disks are: files in the host's storage folder (default), or volumes in its thin pool. Block devices are where they are. */
  readonly storage: "directory" | "lvm-thin";
  /** Disks of their own that outlive a replacement of the machine, in the order of their targets vdb, vdc, …; default none. */
  readonly disks: readonly DataDiskSpec[];
  /** Address of node i is addresses[i]; at least count of them. */
  readonly addresses: readonly string[];
  /** Names of the hosts to use; default all. */
  readonly hosts: readonly string[];
  /** `dedicated` pins 1:1 (default); `shared` lets vCPUs float: the policy packs and production refuse it. */
  readonly cpu: "dedicated" | "shared";
  /** Steal above this, seen from inside, fails the machine's check; default 1 %. */
  readonly maxSteal: Percent;
  /** `needed`: a change that a running machine can't take restarts it, drained, one machine at a time; default never. */
  readonly restart: "never" | "needed";
}

export interface DataDiskSpec {
  /** Unique in the pool; the disk's serial in the machine. */
  readonly name: string;
  /** Always there without devices; with them: the least that each must have. */
  readonly size?: Bytes;
  /** Node i has devices[i] and is placed on its host; at least count of them. Such a disk is raw and kept. */
  readonly devices?: readonly DeviceSpec[];
  /** Default raw. */
  readonly format: "raw" | "qcow2";
  /** What a destroy does with it; default keep. */
  readonly onDestroy: "keep" | "remove";
  readonly mount?: { readonly path: string; readonly filesystem: "ext4" | "xfs" };
}

/** A block device of a host; each is one node's in the stack. */
export interface DeviceSpec {
  /** Name of the host. */
  readonly host: string;
  /** "/dev/disk/by-id/…": a whole disk or a partition. */
  readonly id: string;
  /** The disk's own serial number. */
  readonly serial: string;
}

/** Machines that exist: rented KVM instances or bare metal; never created or destroyed. */
export interface ExistingPoolSpec extends PoolCommon {
  readonly source: "machines";
  readonly machines: readonly ExistingMachineSpec[];
}

export interface ExistingMachineSpec {
  /** Becomes the Kubernetes node name. */
  readonly name: string;
  readonly endpoint: EndpointSpec;
  readonly location: LocationSpec;
  /** What the operator sells: `dedicated` cores, bare `metal`, or `shared` (refused in production). */
  readonly plan: "dedicated" | "metal" | "shared";
  /** vCPUs that the plan promises; checked from inside. */
  readonly vcpus: number;
  /** Address of the node's Kubernetes traffic; default: endpoint.address. */
  readonly nodeAddress: string;
  /** Steal above this fails the check from inside; default 1 %. */
  readonly maxSteal: Percent;
  /** What systemd-detect-virt may say inside; default: none for `metal`, kvm for the others. */
  readonly hypervisors: readonly string[];
}
