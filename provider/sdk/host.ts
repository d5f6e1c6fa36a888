import * as pulumi from "@pulumi/pulumi";
import type { EndpointArgs, OwnerArgs } from "./common";

/** A new ed25519 SSH host key, made in the plugin, so that a machine's key is pinned before its first boot. */
export class HostKey extends pulumi.CustomResource {
  /** OpenSSH private key, PEM. Secret. */
  declare readonly privateKey: pulumi.Output<string>;
  /** "ssh-ed25519 AAAA…", without a comment. */
  declare readonly publicKey: pulumi.Output<string>;
  constructor(
    name: string,
    args: { readonly keepers?: pulumi.Input<Record<string, string>> } = {},
    opts?: pulumi.CustomResourceOptions,
  ) {
    super(
      "kvmesh:index:HostKey",
      name,
      { ...args, privateKey: undefined, publicKey: undefined },
      {
        ...opts,
        additionalSecretOutputs: ["privateKey"],
      },
    );
  }
}

export interface TenancyArgs {
  readonly host: EndpointArgs;
  readonly owner: OwnerArgs;
  /** Folder of images and disks. */
  readonly storage: string;
  /** Names of the machines that the stack declares on this host: refresh warns of others with its mark. */
  readonly machines: readonly string[];
}

/**
 * That a stack is on a host. Whatever it makes there depends on this, so that it is deleted last: the delete fails, with a list, while anything
 * with the stack's mark is left on the host. Disks that were told to stay are named and do not count.
 */
export class Tenancy extends pulumi.CustomResource {
  constructor(name: string, args: TenancyArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Tenancy", name, { ...args }, opts);
  }
}

export interface ImageArgs {
  readonly host: EndpointArgs;
  readonly owner: OwnerArgs;
  /** File name in the storage folder: letters, digits, `.`, `_`, `-`. */
  readonly name: string;
  /** Folder on the host; it is made a libvirt directory pool when it is none. */
  readonly storage: string;
  /** One of url (the host downloads it) and file (uploaded from here), needed when the image is made: an imported one is there. */
  readonly url?: string;
  readonly file?: string;
  /** "sha256:<64 hex>". */
  readonly digest: string;
  readonly format: "qcow2" | "raw";
}

/** A base image on one host, verified by digest; shared by every disk that overlays it. */
export class Image extends pulumi.CustomResource {
  /** Absolute path on the host. */
  declare readonly path: pulumi.Output<string>;
  declare readonly virtualSizeBytes: pulumi.Output<number>;
  constructor(name: string, args: ImageArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Image", name, { ...args, path: undefined, virtualSizeBytes: undefined }, opts);
  }
}

export interface VolumeArgs {
  readonly host: EndpointArgs;
  readonly owner: OwnerArgs;
  /** File name in the folder, with its ending (`web-0.qcow2`), or name of the logical volume. */
  readonly name: string;
  /** Folder on the host; this, or thinPool. */
  readonly storage?: string;
  /** A thin pool of LVM that the host has. Made in it only as long as all its volumes together are no larger than `overcommit` (default 1) times the pool. */
  readonly thinPool?: { readonly volumeGroup: string; readonly name: string; readonly overcommit?: number };
  /** A logical volume is made of whole extents: up to 4 MiB more, by LVM's default. */
  readonly capacityBytes: number;
  /** `raw` in a thin pool. */
  readonly format: "qcow2" | "raw";
  /** Path of the image it overlays (qcow2) or is copied from (raw); none: empty. */
  readonly base?: pulumi.Input<string>;
  readonly baseFormat?: "qcow2" | "raw";
  /** `keep`: a delete leaves the disk on the host, and the next create of the same resource has it again; default `remove`. */
  readonly onDestroy?: "keep" | "remove";
}

/**
 * A disk: a file in a directory pool, or a logical volume in a thin pool. Grows in place and never shrinks; a new base replaces it. Another
 * disk in place of one that is kept is refused.
 */
export class Volume extends pulumi.CustomResource {
  /** The file, or "/dev/<group>/<name>". */
  declare readonly path: pulumi.Output<string>;
  constructor(name: string, args: VolumeArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Volume", name, { ...args, path: undefined }, oldFirst(opts));
  }
}

export interface BlockDeviceArgs {
  readonly host: EndpointArgs;
  readonly owner: OwnerArgs;
  /** Name of the domain that the device is for, and what the disk is called there: together they are the claimant. */
  readonly machine: string;
  readonly disk: string;
  /** "/dev/disk/by-id/…": a whole disk or a partition. */
  readonly device: string;
  /** As `lsblk -o SERIAL` shows it for the disk: a device that has another one is refused. */
  readonly serial: string;
  /** A smaller device is refused. */
  readonly minBytes?: number;
  /** Path of the image that is written over the device when it is claimed anew; none: the device stays as it is. */
  readonly base?: pulumi.Input<string>;
  readonly baseFormat?: "qcow2" | "raw";
}

/**
 * A block device of a host as one machine's disk. Refused when it is mounted, swap, part of LVM or RAID, another machine's, open in a
 * process, or holds anything. Given back by a delete, never wiped; the same disk of the same machine then has it again.
 */
export class BlockDevice extends pulumi.CustomResource {
  /** The declared name of the device. */
  declare readonly path: pulumi.Output<string>;
  declare readonly sizeBytes: pulumi.Output<number>;
  /** `claimed`, or what a refresh found instead: the device gone, with another serial number, or without the claim. */
  declare readonly condition: pulumi.Output<string>;
  constructor(name: string, args: BlockDeviceArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { path: undefined, sizeBytes: undefined, condition: undefined };
    super("kvmesh:index:BlockDevice", name, { ...args, ...outputs }, oldFirst(opts));
  }
}

export interface CoreLeaseArgs {
  readonly host: EndpointArgs;
  readonly owner: OwnerArgs;
  /** Name of the domain that the cores are for. */
  readonly machine: string;
  /** Logical CPUs, all siblings of each core. */
  readonly cpus: readonly number[];
  /** The facts that they were chosen by, and how many CPUs these say are online: a host that is another by now is refused. */
  readonly facts?: { readonly file: string; readonly cpus: number };
}

/** The host's own record that these CPUs belong to one machine, taken atomically: another stack or run is refused and told who holds them. */
export class CoreLease extends pulumi.CustomResource {
  constructor(name: string, args: CoreLeaseArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:CoreLease", name, { ...args }, opts);
  }
}

export interface NetworkArgs {
  readonly host: EndpointArgs;
  readonly owner: OwnerArgs;
  /** Name of the libvirt network. */
  readonly name: string;
  /** Name of the bridge that libvirt makes for it: at most 15 characters. */
  readonly bridge: string;
  /** "10.20.0.0/24"; must overlap nothing that the host has an address in or a route to. */
  readonly cidr: string;
  /** The host's own address in it: the machines' gateway. */
  readonly address: string;
  /** The host answers DNS at `address`; default false. */
  readonly dns?: boolean;
}

/** A NAT network of libvirt's on one host, without DHCP: machines on it reach outside, and only their host reaches them. */
export class Network extends pulumi.CustomResource {
  declare readonly uuid: pulumi.Output<string>;
  declare readonly active: pulumi.Output<boolean>;
  constructor(name: string, args: NetworkArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Network", name, { ...args, uuid: undefined, active: undefined, changed: undefined }, opts);
  }
}

/** A virtio disk. */
export interface DiskArgs {
  /** `file`: an image in the host's file system; `block`: a device of the host, "/dev/disk/by-id/…" or "/dev/<vg>/<lv>". */
  readonly type: "file" | "block";
  readonly path: pulumi.Input<string>;
  /** `raw` for a block device. */
  readonly format: "qcow2" | "raw";
  /** vda, vdb, … vdy. */
  readonly target: string;
  /** At most 20 of letters, digits, `.`, `_`, `-`; the guest sees /dev/disk/by-id/virtio-<serial>. */
  readonly serial?: string;
  /** The host's page cache. Default `none`: what the guest flushes is on the device. */
  readonly cache?: "none" | "directsync" | "writethrough" | "writeback";
  /** How QEMU does I/O. Default `native`, which needs cache none or directsync. */
  readonly io?: "native" | "io_uring" | "threads";
  /** What becomes of blocks that the guest gives back. Default `unmap`. */
  readonly discard?: "unmap" | "ignore";
}

/** A virtio network interface, named as in libvirt. */
export type InterfaceArgs =
  | { readonly type: "bridge"; /** Linux bridge of the host. */ readonly bridge: string; readonly mac: string }
  | { readonly type: "network"; /** Name of a libvirt network. */ readonly network: string; readonly mac: string }
  | {
      readonly type: "direct";
      /** Interface of the host that gets a macvtap. Host and guest don't see each other over it, unless the switch reflects. */
      readonly device: string;
      /** Default `bridge`. */
      readonly mode?: "bridge" | "vepa" | "private" | "passthrough";
      readonly mac: string;
    };

export interface DomainArgs {
  readonly host: EndpointArgs;
  readonly owner: OwnerArgs;
  readonly name: string;
  /** libvirt domain type: `kvm`, or `qemu` for emulation. */
  readonly type: "kvm" | "qemu";
  readonly vcpus: number;
  /** vcpuPins[i] is the host CPU of vCPU i. Empty: vCPUs float (shared). */
  readonly vcpuPins: readonly number[];
  readonly emulatorPin: readonly number[];
  readonly ioThreadPin: readonly number[];
  readonly memoryBytes: number;
  /** The balloon's limit: `memoryBytes` may change live up to it. Default: no balloon, and memory changes at the next start. */
  readonly maxMemoryBytes?: number;
  /** Strict memory placement; none: libvirt's default. */
  readonly numaNode?: number;
  readonly hugepageBytes?: number;
  /** Threads for disk I/O, 1 to 8, all on `ioThreadPin`; disks take turns in the order of their targets. Default 1. */
  readonly ioThreads?: number;
  /** `efi`: the host's own firmware without Secure Boot, chosen by libvirt; its variables live and die with the machine. Default `bios`. */
  readonly firmware?: "bios" | "efi";
  /** The first one is booted from. */
  readonly disks: readonly DiskArgs[];
  readonly interfaces: readonly InterfaceArgs[];
  /** Default: no seed; what is on the disk is left as it is. */
  readonly cloudInit?: {
    /** Full #cloud-config; secret where it holds a host key. */
    readonly userData: pulumi.Input<string>;
    readonly metaData: pulumi.Input<string>;
    /** network-config, version 2. */
    readonly networkConfig: pulumi.Input<string>;
  };
  /** Folder for the seed image and serial log. */
  readonly storage: string;
  /** Default true. */
  readonly autostart?: boolean;
  /** What a change does that a running machine can't take. Default: it waits for the next start, and a warning says so. */
  readonly restart?: {
    /** `needed`: the machine is restarted for it, one machine at a time in a run; the first failure ends all restarts. */
    readonly when: "never" | "needed";
    /** SSH of the machine: waited for after its start. */
    readonly endpoint?: EndpointArgs;
    /** Where it is a Kubernetes node: drained first through the first control plane, Ready and uncordoned afterwards. */
    readonly drain?: { readonly controlPlane: EndpointArgs; readonly node: string };
  };
}

/** A running libvirt domain. */
export class Domain extends pulumi.CustomResource {
  declare readonly uuid: pulumi.Output<string>;
  declare readonly running: pulumi.Output<boolean>;
  constructor(name: string, args: DomainArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Domain", name, { ...args, uuid: undefined, running: undefined }, oldFirst(opts));
  }
}

/**
 * The new one has the old one's name on its host. The plugin says so when it plans a replacement; of one that a person asks for (`--replace`) the
 * engine does not ask it, and the new one would be the old one, taken over, and then deleted.
 */
function oldFirst(opts: pulumi.CustomResourceOptions | undefined): pulumi.CustomResourceOptions {
  return { deleteBeforeReplace: true, ...opts };
}
