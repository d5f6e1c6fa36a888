import { sshHostKey, sshKeyOnly } from "./access";
import type { Environment } from "./catalogue";
import { etcdFsync, etcdLocalNvme, nodeLiveDedication } from "./evidence";
import { withLevel, type KvmeshPolicy } from "./frame";
import { istiodResources, istioProfile, istioSupported, nsInjected, sidecarResources, tracingSampled } from "./istio";
import {
  authzNodeRbac,
  controlPlaneHa,
  kubeconfigSecret,
  kubeletHardened,
  kubernetesSupported,
  statefulProtected,
} from "./kubernetes";
import { meshStrict, mtlsConflict, mtlsException } from "./mtls";
import {
  diskOvercommit,
  locationAllowed,
  nodeDedicatedCpu,
  nodeEmulatorIsolated,
  nodeKvmOnly,
  nodeMinVcpus,
  nodeNumaLocal,
} from "./nodes";
import { coreOverlapPolicy } from "./overlap";
import { canaryWeights, gatewayTls, routeSubset } from "./routes";
import { artifactPinned } from "./supply";

export const PACK_NAME = "kvmesh";

/** Fresh ones for every run: some remember what they have seen of it. */
export const makePolicies = (): readonly KvmeshPolicy[] => [
  nodeDedicatedCpu,
  nodeKvmOnly,
  nodeMinVcpus,
  coreOverlapPolicy(),
  nodeEmulatorIsolated,
  nodeNumaLocal,
  nodeLiveDedication,
  etcdLocalNvme,
  etcdFsync,
  diskOvercommit,
  locationAllowed,
  sshHostKey,
  sshKeyOnly,
  controlPlaneHa,
  statefulProtected,
  authzNodeRbac,
  kubeletHardened,
  kubernetesSupported,
  kubeconfigSecret,
  artifactPinned,
  istioSupported,
  istioProfile,
  istiodResources,
  sidecarResources,
  tracingSampled,
  nsInjected,
  meshStrict,
  mtlsException,
  mtlsConflict,
  gatewayTls,
  routeSubset,
  canaryWeights,
];

export const policies: readonly KvmeshPolicy[] = makePolicies();

/** The policies with the levels of an environment. */
export function policiesFor(environment: Environment): KvmeshPolicy[] {
  return policies.map((policy) => withLevel(policy, environment));
}
