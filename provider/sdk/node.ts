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

export interface ClusterArgs {
  readonly owner: OwnerArgs;
  /** host:port of the API. */
  readonly apiEndpoint: string;
  readonly kubernetesVersion: string;
  /** kubeadm's ClusterConfiguration, KubeletConfiguration and KubeProxyConfiguration; holds no secret. */
  readonly config: string;
  /** All of them, each with its InitConfiguration. The cluster is founded on the first, once, when none of them holds anything of it. */
  readonly controlPlanes: readonly {
    readonly name: string;
    readonly endpoint: EndpointArgs;
    readonly config: string;
  }[];
  /** Of the control plane that the cluster is founded on; its node keeps them afterwards. */
  readonly staticPods?: readonly StaticPodArgs[];
  /** The address that the control planes keep among themselves; refused when somebody has it before the cluster is founded. */
  readonly virtualIp?: VirtualIpArgs;
  readonly ignorePreflightErrors: readonly string[];
  readonly timeoutSeconds: number;
}

/** A pod that a control plane's kubelet runs without any API. */
export interface StaticPodArgs {
  /** File name without ".yaml". */
  readonly name: string;
  readonly manifest: string;
  /** In place of `manifest` while the cluster is founded on the node. */
  readonly founding?: string;
}

export interface VirtualIpArgs {
  /** IPv4 address. */
  readonly address: string;
  readonly port: number;
}

/** The cluster itself, beside its nodes: there as long as one of its control planes is. No input replaces it. */
export class Cluster extends pulumi.CustomResource {
  /** Random; the mark of every node carries it. */
  declare readonly clusterId: pulumi.Output<string>;
  /** admin.conf of a control plane, naming the API's endpoint, with its context named after the cluster. Secret. */
  declare readonly kubeconfig: pulumi.Output<string>;
  /** "sha256:<hex>" of the cluster CA's public key. */
  declare readonly caCertHash: pulumi.Output<string>;
  constructor(name: string, args: ClusterArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      "kvmesh:index:Cluster",
      name,
      { ...args, clusterId: undefined, kubeconfig: undefined, caCertHash: undefined },
      { ...opts, additionalSecretOutputs: ["kubeconfig"] },
    );
  }
}

/** A control plane by its node's name: any healthy one is the way into the cluster. */
export interface ControlPlaneArgs {
  readonly name: string;
  readonly endpoint: EndpointArgs;
}

export interface ClusterNodeArgs {
  readonly endpoint: EndpointArgs;
  readonly owner: OwnerArgs;
  readonly name: string;
  readonly role: "control-plane" | "worker";
  readonly kubernetesVersion: string;
  readonly clusterId: pulumi.Input<string>;
  readonly caCertHash: pulumi.Input<string>;
  /** host:port of the API. */
  readonly apiEndpoint: string;
  /** All control planes of the cluster: a fresh token comes from one of them, and drain and removal go through one. */
  readonly controlPlanes: readonly ControlPlaneArgs[];
  /** JoinConfiguration without its discovery section, which is filled in at run time; holds no secret. */
  readonly config: string;
  /** Of a control plane, beside kubeadm's own. */
  readonly staticPods?: readonly StaticPodArgs[];
  /** Taken from the machine when it leaves. */
  readonly virtualIp?: VirtualIpArgs;
  readonly ignorePreflightErrors: readonly string[];
  readonly timeoutSeconds: number;
  readonly identity?: pulumi.Input<string>;
}

/** A node of a cluster, the one that it was founded on too; delete drains, removes the etcd member (control plane), the node, and resets. */
export class ClusterNode extends pulumi.CustomResource {
  constructor(name: string, args: ClusterNodeArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:ClusterNode", name, { ...args }, opts);
  }
}

export interface ClusterReadyArgs {
  readonly owner: OwnerArgs;
  readonly clusterId: pulumi.Input<string>;
  readonly controlPlanes: readonly ControlPlaneArgs[];
  /** Names of all nodes of the cluster. */
  readonly nodes: pulumi.Input<readonly string[]>;
  /** For all of them to become Ready; default 600. */
  readonly timeoutSeconds?: number;
}

/**
 * There once every node of a cluster is Ready. Let it depend on the pod network and not on nodes: deleted before them when the whole cluster
 * goes, it tells that run that they need not be drained.
 */
export class ClusterReady extends pulumi.CustomResource {
  constructor(name: string, args: ClusterReadyArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:ClusterReady", name, { ...args }, opts);
  }
}

interface RolloutArgs {
  readonly owner: OwnerArgs;
  /** Node name. */
  readonly name: string;
  /** Any of them that answers is asked. */
  readonly controlPlanes: pulumi.Input<readonly ControlPlaneArgs[]>;
  /** What of the declaration a node is drained for, by part: a short digest each. */
  readonly revision: Readonly<Record<string, string>>;
}

export interface NodeTurnArgs extends RolloutArgs {
  /** Names of all nodes of the pool. */
  readonly pool: readonly string[];
  /** Nodes of the pool that may be out at once, this one among them. */
  readonly maxUnavailable: number;
}

/** The beginning of a node's change; refused where the pool has no node to spare. */
export class NodeTurn extends pulumi.CustomResource {
  constructor(name: string, args: NodeTurnArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:NodeTurn", name, { ...args }, opts);
  }
}

export interface NodeReadyArgs extends RolloutArgs {
  /** For the node to become Ready; default 600. */
  readonly timeoutSeconds?: number;
  readonly identity?: pulumi.Input<string>;
}

/** The end of a node's change: there once the node is Ready and takes workloads. */
export class NodeReady extends pulumi.CustomResource {
  constructor(name: string, args: NodeReadyArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:NodeReady", name, { ...args }, opts);
  }
}
