import type { Environment } from "./sections/environment";
import type { EvidenceSpec } from "./sections/evidence";
import type { CanarySpec } from "./sections/canaries";
import type { GatewaySpec } from "./sections/gateways";
import type { HostSpec } from "./sections/hosts";
import type { ImageSpec } from "./sections/image";
import type { KubernetesSpec } from "./sections/kubernetes";
import type { MeshSpec } from "./sections/mesh";
import type { NamespaceSpec } from "./sections/namespaces";
import type { NetworkSpec } from "./sections/network";
import type { PoolSpec } from "./sections/pools";
import type { ServiceSpec } from "./sections/services";
import type { SshSpec } from "./sections/ssh";
import type { TimeoutsSpec } from "./sections/timeouts";

export type { EndpointSpec, LocationSpec } from "./endpoint";
export type { CanarySpec } from "./sections/canaries";
export type { Environment } from "./sections/environment";
export type { EvidenceSpec } from "./sections/evidence";
export type { GatewaySpec } from "./sections/gateways";
export type { PreparationSpec } from "./sections/host-preparation";
export type { HostSpec } from "./sections/hosts";
export type { ImageSpec } from "./sections/image";
export type { CniSpec, KubernetesSpec } from "./sections/kubernetes";
export type { ChartSource, MeshSpec, ResourcesSpec } from "./sections/mesh";
export type { NamespaceSpec } from "./sections/namespaces";
export type { NetworkAttachment, NetworkSpec } from "./sections/network";
export type {
  CarvedPoolSpec,
  DataDiskSpec,
  DeviceSpec,
  ExistingMachineSpec,
  ExistingPoolSpec,
  PoolSpec,
  Role,
  TaintSpec,
} from "./sections/pools";
export type { ServiceSpec, ServiceVersionSpec } from "./sections/services";
export type { SshSpec } from "./sections/ssh";
export type { TimeoutsSpec } from "./sections/timeouts";

/**
 * What a stack file says, validated: every default filled in, every quantity in its unit, every name unique.
 * All of it is plain data known before the first resource is declared, so that preview and policies decide on values.
 */
export interface StackSpec {
  readonly clusterName: string;
  readonly environment: Environment;
  readonly ssh: SshSpec;
  readonly timeouts: TimeoutsSpec;
  readonly evidence: EvidenceSpec;
  /** In the order of their names, as every list here. */
  readonly hosts: readonly HostSpec[];
  readonly image?: ImageSpec;
  /** Needed when there is a carved pool. */
  readonly network?: NetworkSpec;
  /** Each node's name is unique in the stack. */
  readonly pools: readonly PoolSpec[];
  readonly kubernetes: KubernetesSpec;
  readonly mesh: MeshSpec;
  readonly namespaces: readonly NamespaceSpec[];
  readonly services: readonly ServiceSpec[];
  readonly gateways: readonly GatewaySpec[];
  readonly canaries: readonly CanarySpec[];
}
