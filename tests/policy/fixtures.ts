import type { Subject } from "./harness";

export const HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3";
export const OTHER_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4";

const host = { address: "192.0.2.10", hostKey: HOST_KEY };

/** Each gives a resource that every rule accepts, changed by what the test is about. */
export function domain(changes: object = {}, name = "web-0"): Subject {
  const props = {
    host,
    name,
    type: "kvm",
    vcpus: 4,
    vcpuPins: [4, 5, 6, 7],
    emulatorPin: [0, 1],
    ioThreadPin: [0, 1],
    numaNode: 0,
    ...changes,
  };
  return { type: "kvmesh:index:Domain", name, props };
}

export function machine(changes: object = {}, name = "rented-0"): Subject {
  const props = {
    endpoint: host,
    name,
    source: "existing",
    plan: "dedicated",
    vcpus: 8,
    hypervisors: ["kvm"],
    country: "NO",
    ...changes,
  };
  return { type: "kvmesh:index:Machine", name, props };
}

/** Measured yesterday. */
export function evidence(name: string, values: readonly object[] = [], changes: object = {}): Subject {
  const takenAt = new Date(Date.now() - 86_400_000).toISOString();
  const props = {
    name,
    takenAt,
    maxAgeSeconds: 30 * 86_400,
    contradictions: [],
    record: { takenAt, values },
    ...changes,
  };
  return { type: "kvmesh:index:Evidence", name, props };
}

export function lease(machineName: string, cpus: readonly number[]): Subject {
  return { type: "kvmesh:index:CoreLease", name: `${machineName}-cores`, props: { host, machine: machineName, cpus } };
}

export function cluster(changes: object = {}, options: Partial<Subject> = {}): Subject {
  const config = "kind: ClusterConfiguration\napiServer: {}\n---\nkind: KubeletConfiguration\nreadOnlyPort: 0\n";
  return {
    type: "kvmesh:index:Cluster",
    name: "main",
    props: { controlPlanes: [{ name: "cp-0", endpoint: host }], kubernetesVersion: "1.36.6", config, ...changes },
    protect: true,
    additionalSecretOutputs: ["kubeconfig"],
    ...options,
  };
}

export function clusterNode(name: string, changes: object = {}, options: Partial<Subject> = {}): Subject {
  const props = {
    endpoint: host,
    controlPlanes: [{ name: "cp-0", endpoint: host }],
    name,
    role: "control-plane",
    kubernetesVersion: "1.36.6",
    ...changes,
  };
  return { type: "kvmesh:index:ClusterNode", name, props, protect: true, ...options };
}

export function release(name: string, changes: object = {}): Subject {
  const values = {
    autoscaleEnabled: false,
    replicaCount: 2,
    resources: { requests: { cpu: "500m", memory: "2Gi" }, limits: { memory: "4Gi" } },
    traceSampling: 1,
    global: {
      tag: "1.31.4",
      proxy: {
        resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "2000m", memory: "1024Mi" } },
      },
    },
    ...changes,
  };
  return {
    type: "kubernetes:helm.sh/v3:Release",
    name: `mesh-${name}`,
    props: { name, namespace: "istio-system", chart: `charts/${name}`, values },
  };
}

export function peerAuthentication(namespace: string, spec: object, annotations: object = {}): Subject {
  return {
    type: "kubernetes:security.istio.io/v1:PeerAuthentication",
    name: `${namespace}-peers`,
    props: { metadata: { name: "default", namespace, annotations }, spec },
  };
}

export function namespace(name: string, labels: object = { "istio-injection": "enabled" }): Subject {
  return { type: "kubernetes:core/v1:Namespace", name, props: { metadata: { name, labels } } };
}

export function virtualService(route: readonly object[], namespaceName = "shop"): Subject {
  return {
    type: "kubernetes:networking.istio.io/v1:VirtualService",
    name: "cart",
    props: { metadata: { name: "cart", namespace: namespaceName }, spec: { hosts: ["cart"], http: [{ route }] } },
  };
}

export function destinationRule(spec: object, namespaceName = "shop"): Subject {
  return {
    type: "kubernetes:networking.istio.io/v1:DestinationRule",
    name: "cart",
    props: { metadata: { name: "cart", namespace: namespaceName }, spec: { host: "cart", ...spec } },
  };
}

export function gateway(servers: readonly object[]): Subject {
  return {
    type: "kubernetes:networking.istio.io/v1:Gateway",
    name: "app-gateway",
    props: { metadata: { name: "app-gateway", namespace: "default" }, spec: { servers } },
  };
}

export function deployment(image: string): Subject {
  return {
    type: "kubernetes:apps/v1:Deployment",
    name: "cart",
    props: { metadata: { name: "cart" }, spec: { template: { spec: { containers: [{ name: "cart", image }] } } } },
  };
}
