import type { Bytes, Milliseconds } from "../units";
import type { HostSpec, ImageSpec, NetworkSpec, PoolSpec } from "./machines";
import type { KubernetesSpec } from "./kubernetes";
import type { MeshSpec, NamespaceSpec, ServiceSpec, GatewaySpec, CanarySpec } from "./mesh";

export type * from "./kubernetes";
export type * from "./machines";
export type * from "./mesh";

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
