import { sshHostKey, sshKeyOnly } from "./access";
import type { Environment } from "./catalogue";
import { etcdFsync, etcdLocalNvme, nodeLiveDedication } from "./evidence";
import { withLevel, type KvmeshPolicy } from "./frame";
import { gatewayTlsPolicy } from "./gateways";
import { istiodResources, istioProfile, istioSupportedPolicy, sidecarResources, tracingSampled } from "./istio";
import {
  apiAnonymousOff,
  auditLog,
  authzNodeRbac,
  controlPlaneHa,
  etcdTls,
  kubeconfigSecret,
  kubeletHardened,
  kubernetesSupported,
  secretsEncrypted,
  statefulProtected,
} from "./kubernetes";
import { Memory } from "./memory";
import { meshStrictPolicy, mtlsConflictPolicy, mtlsExceptionPolicy } from "./mtls";
import { nsDefaultDenyPolicy, nsInjectedPolicy, nsPodSecurity } from "./namespaces";
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
import { canaryWeights, retryBudgetPolicy, routeSubsetPolicy } from "./routes";
import { certWindowPolicy, prometheusNvmePolicy } from "./storage";
import { artifactPinned } from "./supply";
import { unseenPolicy } from "./unseen";

export const PACK_NAME = "kvmesh";

/** Fresh ones for every run: some remember what they have seen of it. */
export function makePolicies(): readonly KvmeshPolicy[] {
  const memory = new Memory();
  const rules: readonly KvmeshPolicy[] = [
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
    apiAnonymousOff,
    authzNodeRbac,
    secretsEncrypted,
    auditLog,
    etcdTls,
    kubeletHardened,
    kubernetesSupported,
    kubeconfigSecret,
    certWindowPolicy(memory),
    nsPodSecurity,
    nsDefaultDenyPolicy(memory),
    artifactPinned,
    prometheusNvmePolicy(memory),
    istioSupportedPolicy(memory),
    istioProfile,
    istiodResources,
    sidecarResources,
    tracingSampled,
    nsInjectedPolicy(memory),
    meshStrictPolicy(memory),
    mtlsExceptionPolicy(memory),
    mtlsConflictPolicy(memory),
    gatewayTlsPolicy(memory),
    routeSubsetPolicy(memory),
    canaryWeights,
    retryBudgetPolicy(memory),
  ];
  // First of all: it remembers what the others then judge.
  return [unseenPolicy(rules, memory), ...rules];
}

export const policies: readonly KvmeshPolicy[] = makePolicies();

/** The policies with the levels of an environment. */
export function policiesFor(environment: Environment): KvmeshPolicy[] {
  return policies.map((policy) => withLevel(policy, environment));
}
