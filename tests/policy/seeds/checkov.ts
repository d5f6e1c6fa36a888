import type { Seed } from "./seed";
import { API_SERVER, component, ETCD, KUBELET, workload, type Stack } from "./stack";

const CHECKS = "bridgecrewio/checkov tests/kubernetes/checks/example_";

/** The command of a component with one flag of another value, or without it. */
function flag(command: readonly string[], name: string, value?: string) {
  return (stack: Stack): Stack =>
    component(stack, [
      ...command.filter((word) => !word.startsWith(`--${name}=`)),
      ...(value === undefined ? [] : [`--${name}=${value}`]),
    ]);
}

function of(command: readonly string[], rule: string, origin: string, name: string, value?: string): Seed {
  const what = `${command[0] ?? ""} ${value === undefined ? `without ${name}` : `with ${name} ${value}`}`;
  return { what, origin: `${CHECKS}${origin}.yaml`, change: flag(command, name, value), fails: [rule] };
}

/** Faults of Checkov's own tests of its Kubernetes checks. */
export const checkovSeeds: readonly Seed[] = [
  of(
    API_SERVER,
    "api-anonymous-off",
    "ApiServerAnonymousAuth/ApiServer-AnonymousAuth-True-FAILED",
    "anonymous-auth",
    "true",
  ),
  of(API_SERVER, "audit-log", "ApiServerAuditLog/ApiServer-FAILED", "audit-log-path"),
  of(API_SERVER, "audit-log", "ApiServerAuditLogMaxAge/ApiServer-FAILED", "audit-log-maxage", "10"),
  of(API_SERVER, "audit-log", "ApiServerAuditLogMaxBackup/ApiServer-FAILED", "audit-log-maxbackup", "5"),
  of(API_SERVER, "audit-log", "ApiServerAuditLogMaxBackup/ApiServer-FAILED-2", "audit-log-maxbackup"),
  of(API_SERVER, "audit-log", "ApiServerAuditLogMaxSize/ApiServer-FAILED", "audit-log-maxsize", "50"),
  of(API_SERVER, "audit-log", "ApiServerAuditLogMaxSize/ApiServer-FAILED-2", "audit-log-maxsize"),
  of(API_SERVER, "authz-node-rbac", "ApiServerAuthorizationModeNode/ApiServer-FAILED", "authorization-mode", "RBAC"),
  of(
    API_SERVER,
    "authz-node-rbac",
    "ApiServerAuthorizationModeNotAlwaysAllow/ApiServer-FAILED",
    "authorization-mode",
    "AlwaysAllow",
  ),
  of(
    API_SERVER,
    "authz-node-rbac",
    "ApiServerAuthorizationModeNotAlwaysAllow/ApiServer-FAILED-2",
    "authorization-mode",
    "Node,RBAC,AlwaysAllow",
  ),
  of(API_SERVER, "authz-node-rbac", "ApiServerAuthorizationModeRBAC/ApiServer-FAILED", "authorization-mode", "Node"),
  of(API_SERVER, "authz-node-rbac", "ApiServerAuthorizationModeRBAC/ApiServer-FAILED-2", "authorization-mode"),
  of(
    API_SERVER,
    "secrets-encrypted-at-rest",
    "ApiServerEncryptionProviders/ApiServerEncryptionProviders-PASSED",
    "encryption-provider-config",
  ),
  of(API_SERVER, "etcd-tls", "ApiServerEtcdCaFile/example_ApiServerEtcdCaFile-FAILED", "etcd-cafile"),
  of(API_SERVER, "etcd-tls", "ApiServerEtcdCertAndKey/ApiServer-FAILED", "etcd-certfile"),
  of(API_SERVER, "etcd-tls", "ApiServerEtcdCertAndKey/ApiServer-FAILED-2", "etcd-keyfile"),
  of(ETCD, "etcd-tls", "EtcdClientCertAuth/Etcd-FAILED", "client-cert-auth", "false"),
  of(ETCD, "etcd-tls", "EtcdClientCertAuth/Etcd-FAILED-2", "client-cert-auth"),
  of(ETCD, "etcd-tls", "EtcdCertAndKey/Etcd-FAILED", "cert-file"),
  of(ETCD, "etcd-tls", "EtcdCertAndKey/Etcd-FAILED-2", "key-file"),
  of(ETCD, "etcd-tls", "EtcdPeerFiles/EtcdPeerFiles-FAILED", "peer-cert-file"),
  of(ETCD, "etcd-tls", "EtcdAutoTls/Etcd-FAILED", "auto-tls", "true"),
  of(KUBELET, "kubelet-hardened", "KubeletReadOnlyPort/KubeletReadOnlyPort-FAILED", "read-only-port", "10255"),
  of(
    KUBELET,
    "kubelet-hardened",
    "KubletRotateCertificates/KubletRotateCertificates-FAILED",
    "rotate-certificates",
    "false",
  ),
  of(KUBELET, "api-anonymous-off", "KubeletAnonymousAuth/KubeletAnonymousAuth-FAILED", "anonymous-auth", "true"),
  of(
    KUBELET,
    "authz-node-rbac",
    "KubeletAuthorizationModeNotAlwaysAllow/KubeletAuthorizationModeNotAlwaysAllow-FAILED",
    "authorization-mode",
    "AlwaysAllow",
  ),
  {
    what: "an ephemeral container with the tag latest",
    origin: `${CHECKS}ImageTagFixed/ephemeralContainer-ImageTagLatest-FAILED.yaml`,
    change: (stack) =>
      workload(stack, "tool", { ephemeralContainers: [{ name: "d", image: "registry.example/debug:latest" }] }),
    fails: ["artifact-pinned"],
  },
  {
    what: "a Job with the tag latest",
    origin: `${CHECKS}ImageDigest/job-ImageTagLatest-FAILED.yaml`,
    change: (stack) =>
      stack.object(
        "batch/v1",
        "Job",
        { name: "sweep", namespace: "shop" },
        {
          spec: { template: { spec: { containers: [{ name: "sweep", image: "registry.example/sweep:latest" }] } } },
        },
      ),
    fails: ["artifact-pinned"],
  },
];
