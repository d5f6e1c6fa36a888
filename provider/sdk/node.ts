import * as pulumi from "@pulumi/pulumi";
import type { EndpointArgs, OwnerArgs } from "./common";

export interface MachineArgs {
  readonly endpoint: EndpointArgs;
  readonly owner: OwnerArgs;
  /** Node name, for messages. */
  readonly name: string;
  /** `carved` from a host of ours, or `existing`. */
  readonly source: "carved" | "existing";
  /** What the operator sells (existing), or `dedicated` / `shared` pinning (carved). */
  readonly plan: "dedicated" | "metal" | "shared";
  /** Fewer seen from inside is an error. */
  readonly vcpus: number;
  /** Hypervisors accepted, in systemd-detect-virt's words; e.g. ["kvm", "none"]. Containers never are, except by naming them. */
  readonly hypervisors: readonly string[];
  readonly maxStealPercent: number;
  readonly country: string;
  /** From start to first login; seconds, default 300. */
  readonly bootTimeoutSeconds?: number;
  /** Changes when the machine behind the endpoint is another one (domain UUID); replaces. */
  readonly identity?: pulumi.Input<string>;
}

/** An SSH endpoint that answers, checked from inside; made and destroyed by nobody here. */
export class Machine extends pulumi.CustomResource {
  /** What was seen at the last check. */
  declare readonly inventory: pulumi.Output<{
    readonly checkedAt: string;
    readonly hypervisor: string;
    readonly vcpus: number;
    readonly memoryBytes: number;
    readonly stealPercent: number | null;
    readonly kernel: string;
    readonly rootDisk: { readonly device: string; readonly transport: string; readonly rotational: boolean };
  }>;
  constructor(name: string, args: MachineArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Machine", name, { ...args, inventory: undefined }, opts);
  }
}

/** How a machine is measured, and what is demanded of it. */
export interface MeasurementArgs {
  readonly endpoint: EndpointArgs;
  readonly owner: OwnerArgs;
  /** Node name. */
  readonly name: string;
  readonly role: "control-plane" | "worker";
  readonly plan: "dedicated" | "metal" | "shared";
  readonly vcpus: number;
  readonly hypervisors: readonly string[];
  /** Of steal seen from inside, and of waiting vCPUs seen from the host. */
  readonly maxStealPercent: number;
  /** 99th percentile of fdatasync, milliseconds. Production control planes above it are refused, others warned of. */
  readonly maxFsyncMs: number;
  /** Folder whose disk is measured; it need not be there yet. */
  readonly directory: string;
  /** For steal; seconds, default 10. */
  readonly windowSeconds?: number;
  /** One run of fio each; default 1, 2 and 4. The fewest are judged, the others only told. */
  readonly fsyncWriters?: readonly number[];
  /** Written by each writer; default 22 MiB, etcd's own recipe. */
  readonly fsyncBytes?: number;
  /** A run of fio ends after so long; default 10. */
  readonly fsyncSeconds?: number;
  /** apt-get installs fio where it is missing; default false. Where it can't, the record says so. */
  readonly installFio?: boolean;
  /** Of a carved machine: the host, and what its domain declares. */
  readonly host?: EndpointArgs;
  readonly domain?: {
    readonly vcpuPins: readonly number[];
    readonly emulatorPin: readonly number[];
    readonly ioThreadPin: readonly number[];
    readonly numaNode?: number;
    /** The host is to keep its scheduler off the vCPUs' CPUs; default: it is only told whether it does. */
    readonly isolated?: boolean;
  };
  readonly identity?: pulumi.Input<string>;
}

export interface EvidenceArgs extends MeasurementArgs {
  /** Older evidence is measured again by `up`; seconds, default 30 days. */
  readonly maxAgeSeconds?: pulumi.Input<number>;
  /** The preflight's record: taken over, not measured again, while it is fresh. */
  readonly first?: pulumi.Input<EvidenceRecord>;
}

/** The record of a measurement, as docs/evidence.md describes it. */
export interface EvidenceRecord {
  readonly schema: 1;
  readonly machine: string;
  readonly takenAt: string;
  readonly verdict: "pass" | "warn" | "fail";
  readonly values: readonly {
    readonly id: string;
    readonly what: string;
    readonly measured: string | number | null;
    readonly unit?: string;
    readonly limit: string | number | null;
    readonly verdict: string;
    readonly note?: string;
  }[];
}

/** What a machine must pass, from its host and from inside, before anything is installed on it; measured once. */
export class Preflight extends pulumi.CustomResource {
  declare readonly record: pulumi.Output<EvidenceRecord>;
  constructor(name: string, args: MeasurementArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Preflight", name, { ...args, record: undefined }, opts);
  }
}

/** The newest record of a machine. Let nothing depend on it: it is measured again when it is old, and that may take a minute. */
export class Evidence extends pulumi.CustomResource {
  declare readonly record: pulumi.Output<EvidenceRecord>;
  /** "sha256:<hex>" of the record's canonical JSON. */
  declare readonly digest: pulumi.Output<string>;
  declare readonly takenAt: pulumi.Output<string>;
  constructor(name: string, args: EvidenceArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      "kvmesh:index:Evidence",
      name,
      { ...args, record: undefined, digest: undefined, takenAt: undefined, contradictions: undefined },
      opts,
    );
  }
}

export interface NodeRuntimeArgs {
  readonly endpoint: EndpointArgs;
  readonly owner: OwnerArgs;
  readonly name: string;
  /** Exact Kubernetes version of kubelet and kubeadm, "1.34.2". */
  readonly kubernetesVersion: string;
  /** `preinstalled`: only checked. `apt`: installed from the repository, removed again on delete. */
  readonly packages:
    | { readonly source: "preinstalled" }
    | {
        readonly source: "apt";
        readonly repository: string;
        /** Of the keys that may be in the repository's Release.key: 40 hexadecimal digits in upper case. */
        readonly keyFingerprints: readonly string[];
      };
  readonly identity?: pulumi.Input<string>;
}

/** containerd, kubelet, kubeadm, kernel modules and sysctls of one node. */
export class NodeRuntime extends pulumi.CustomResource {
  /** kubelet, kubeadm and containerd as they are on the node. */
  declare readonly versions: pulumi.Output<Readonly<Record<string, string>>>;
  constructor(name: string, args: NodeRuntimeArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:NodeRuntime", name, { ...args, versions: undefined }, opts);
  }
}

export interface ControlPlaneArgs {
  readonly endpoint: EndpointArgs;
  readonly owner: OwnerArgs;
  /** Kubernetes node name. */
  readonly name: string;
  readonly kubernetesVersion: string;
  /** kubeadm configuration: InitConfiguration, ClusterConfiguration, KubeletConfiguration, KubeProxyConfiguration; holds no secret. */
  readonly config: string;
  readonly ignorePreflightErrors: readonly string[];
  readonly timeoutSeconds: number;
  readonly identity?: pulumi.Input<string>;
}

/** The first control plane: `kubeadm init`, resumed after an interruption, never run over a populated etcd. */
export class ControlPlane extends pulumi.CustomResource {
  /** admin.conf with its context named after the cluster. Secret. */
  declare readonly kubeconfig: pulumi.Output<string>;
  /** "sha256:<hex>" of the cluster CA's public key. */
  declare readonly caCertHash: pulumi.Output<string>;
  constructor(name: string, args: ControlPlaneArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      "kvmesh:index:ControlPlane",
      name,
      { ...args, kubeconfig: undefined, caCertHash: undefined },
      {
        ...opts,
        additionalSecretOutputs: ["kubeconfig"],
      },
    );
  }
}

export interface MemberArgs {
  readonly endpoint: EndpointArgs;
  readonly owner: OwnerArgs;
  readonly name: string;
  readonly role: "control-plane" | "worker";
  readonly kubernetesVersion: string;
  /** SSH endpoint of the first control plane: a fresh token comes from it, and goes there again for drain and removal. */
  readonly controlPlane: EndpointArgs;
  readonly caCertHash: pulumi.Input<string>;
  /** host:port of the API. */
  readonly apiEndpoint: string;
  /** JoinConfiguration without its discovery section, which is filled in at run time; holds no secret. */
  readonly config: string;
  readonly ignorePreflightErrors: readonly string[];
  readonly timeoutSeconds: number;
  readonly identity?: pulumi.Input<string>;
}

/** A node that joined: `kubeadm join`; delete drains, removes the etcd member (control plane), the node, and resets. */
export class Member extends pulumi.CustomResource {
  constructor(name: string, args: MemberArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Member", name, { ...args }, opts);
  }
}

export interface RosterArgs {
  /** SSH endpoint of the first control plane. */
  readonly controlPlane: EndpointArgs;
  readonly owner: OwnerArgs;
  /** Node name of the first control plane. */
  readonly first: string;
  /** Names of all nodes of the cluster. */
  readonly nodes: readonly string[];
  readonly caCertHash: pulumi.Input<string>;
  /** For all of them to become Ready; default 600. */
  readonly timeoutSeconds?: number;
}

/**
 * All nodes of a cluster, there once every one is Ready. Let it depend on every node: deleted first when the whole cluster
 * goes, it tells the nodes that they need not be drained.
 */
export class Roster extends pulumi.CustomResource {
  constructor(name: string, args: RosterArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Roster", name, { ...args }, opts);
  }
}
