import type { Bytes, CpuSet, Milliseconds, Percent } from "./units";
import type { HostFacts } from "./facts";

/**
 * What a stack file says, validated: every default filled in, every quantity in its unit, every name unique.
 * All of it is plain data known before the first resource is declared, so that preview and policies decide on values.
 */
export interface StackSpec {
  /** Name of the cluster: DNS label; default: the stack's name. */
  readonly clusterName: string;
  /** Decides how strict the program and the policy packs are. */
  readonly environment: Environment;
  readonly ssh: SshSpec;
  readonly timeouts: TimeoutsSpec;
  readonly evidence: EvidenceSpec;
  /** KVM hosts from which machines are carved, in the order of their names. */
  readonly hosts: readonly HostSpec[];
  readonly image?: ImageSpec;
  /** The network that carved machines are on; needed when there is a carved pool. */
  readonly network?: NetworkSpec;
  /** Pools in the order of their names; each node's name is unique in the stack. */
  readonly pools: readonly PoolSpec[];
  readonly kubernetes: KubernetesSpec;
  readonly mesh: MeshSpec;
  readonly namespaces: readonly NamespaceSpec[];
  readonly services: readonly ServiceSpec[];
  readonly gateways: readonly GatewaySpec[];
  readonly canaries: readonly CanarySpec[];
}

export type Environment = "production" | "staging" | "development";

/** How this machine authenticates to hosts and machines; never part of any resource's inputs. */
export interface SshSpec {
  /** Path of a private key file, `~` allowed; default: the SSH agent. */
  readonly identityFile?: string;
  /** Public keys that may log in to carved machines: lines of authorized_keys; at least the identity's own. */
  readonly authorizedKeys: readonly string[];
}

export interface TimeoutsSpec {
  /** One TCP connect and SSH handshake; default 15s. */
  readonly connect: Milliseconds;
  /** From a machine's start to its first SSH login; default 5m. */
  readonly boot: Milliseconds;
  /** kubeadm init or join of one machine; default 10m. */
  readonly kubeadm: Milliseconds;
  /** A Helm release or a Deployment until it is ready; default 10m. */
  readonly rollout: Milliseconds;
}

/** How machines are measured before anything is installed on them. */
export interface EvidenceSpec {
  /** Older evidence is measured again by `up`; default 30 days. */
  readonly maxAge: Milliseconds;
  /** Over which steal is measured; whole seconds, default 10s. */
  readonly window: Milliseconds;
  readonly fsync: {
    /** Writers at once, one run of fio each; default 1, 2 and 4. The fewest are judged. */
    readonly writers: readonly number[];
    /** Written by each; default 22 MiB. */
    readonly size: Bytes;
    /** Limit of one run; whole seconds, default 10s. */
    readonly time: Milliseconds;
    /** apt-get installs fio on carved machines without it; default true. */
    readonly install: boolean;
  };
}

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
  readonly disk: Bytes;
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

export interface KubernetesSpec {
  /** Exact version, "1.34.2". */
  readonly version: string;
  /** Host and port that every node and kubeconfig use; default: the only control plane's address, port 6443. */
  readonly endpoint: { readonly host: string; readonly port: number };
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly cni: CniSpec;
  /** Where containerd, kubelet and kubeadm come from: the image (`preinstalled`) or an apt repository. */
  readonly packages: { readonly source: "preinstalled" } | { readonly source: "apt"; readonly repository: string };
  /** Where images come from, e.g. registry.k8s.io (default) or a mirror. */
  readonly imageRepository: string;
  readonly imagePullPolicy: "IfNotPresent" | "Never" | "Always";
  /** Control planes also run workloads; default false. */
  readonly scheduleOnControlPlanes: boolean;
  /** Names of kubeadm preflight checks that are known to fail on these machines; default none. */
  readonly ignorePreflightErrors: readonly string[];
  /** Added to the kubelet's configuration (KubeletConfiguration fields). */
  readonly kubelet: Readonly<Record<string, unknown>>;
  /** Added to kube-proxy's configuration (KubeProxyConfiguration fields). */
  readonly kubeProxy: Readonly<Record<string, unknown>>;
}

export interface CniSpec {
  readonly plugin: "flannel";
  readonly version: string;
  /** `host-gw` needs all nodes on one L2 network; default `vxlan`. */
  readonly backend: "vxlan" | "host-gw";
  /** Repository prefix of the images; default ghcr.io/flannel-io. */
  readonly imageRepository: string;
}

export interface ChartSource {
  /** Exactly one. */
  readonly repository?: string;
  readonly oci?: string;
  /** A folder on this machine that holds one folder a chart. */
  readonly folder?: string;
}

export interface MeshSpec {
  /** `none`: no mesh ("pay the mesh tax only if needed"). */
  readonly provider: "istio" | "none";
  /** Exact version, "1.28.3". */
  readonly version: string;
  /** Istio's installation profile; `demo` is refused in production. */
  readonly profile: "default" | "demo";
  readonly charts: ChartSource;
  /** Image hub and pull policy; default docker.io/istio, IfNotPresent. */
  readonly hub: string;
  readonly imagePullPolicy: "IfNotPresent" | "Never" | "Always";
  /** istiod replicas; default 2 in production, else 1. */
  readonly replicas: number;
  readonly istiodResources: ResourcesSpec;
  /** Resources of each sidecar; default requests 100m / 128Mi, limits 2000m / 1024Mi. */
  readonly sidecarResources: ResourcesSpec;
  /** Mesh-wide mutual TLS; default STRICT in production. `unset` leaves it to the namespaces. */
  readonly mtls: "STRICT" | "PERMISSIVE" | "unset";
  /** Traces sampled, in percent; default 1. */
  readonly traceSampling: number;
  /** Ingress gateway's Service type; default LoadBalancer. */
  readonly gatewayServiceType: "LoadBalancer" | "NodePort" | "ClusterIP";
  readonly gatewayReplicas: number;
  /** Added to the istiod chart's values, and so to the gateway chart's below. */
  readonly istiodValues: Readonly<Record<string, unknown>>;
  readonly gatewayValues: Readonly<Record<string, unknown>>;
}

/** Kubernetes quantities, as in a container's resources. */
export interface ResourcesSpec {
  readonly requests: { readonly cpu: string; readonly memory: string };
  readonly limits: { readonly cpu?: string; readonly memory: string };
}

export interface NamespaceSpec {
  readonly name: string;
  /** Sidecar injection by label; default true when there is a mesh and no revision. */
  readonly injection: boolean;
  /** Istio revision instead of the injection label. */
  readonly revision?: string;
  /** Default STRICT in production, else unset. */
  readonly mtls: "STRICT" | "PERMISSIVE" | "unset";
  /** Pod Security level enforced; default: `privileged` with sidecars, because istio-init needs NET_ADMIN; else baseline. */
  readonly podSecurity: "privileged" | "baseline" | "restricted";
  /** Default false: the namespace exists already (such as `default`) and is only labelled. */
  readonly existing: boolean;
}

/** A Service with one Deployment a version: what a canary shifts traffic between. */
export interface ServiceSpec {
  readonly name: string;
  readonly namespace: string;
  /** Port of the Service; the container listens on targetPort. */
  readonly port: number;
  readonly targetPort: number;
  readonly versions: readonly ServiceVersionSpec[];
}

export interface ServiceVersionSpec {
  /** Value of the label `version`. */
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly replicas: number;
  readonly imagePullPolicy: "IfNotPresent" | "Never" | "Always";
}

export interface GatewaySpec {
  readonly name: string;
  readonly namespace: string;
  readonly hosts: readonly string[];
  readonly port: number;
  readonly protocol: "HTTP" | "HTTPS";
  /** Name of the TLS secret, for HTTPS. */
  readonly tlsSecret?: string;
  /** Default { istio: "ingressgateway" }. */
  readonly selector: Readonly<Record<string, string>>;
}

export interface CanarySpec {
  /** Name of the DestinationRule and VirtualService; default: the service's name. */
  readonly name: string;
  readonly namespace: string;
  /** The Kubernetes service whose traffic is split. */
  readonly service: string;
  /** VirtualService hosts; default: [service]. */
  readonly hosts: readonly string[];
  /** Names of Gateways; empty: in-mesh only. */
  readonly gateways: readonly string[];
  /** subset → weight; sums to 100. Subset name = value of the label `version`. */
  readonly weights: readonly { readonly subset: string; readonly weight: Percent }[];
}
