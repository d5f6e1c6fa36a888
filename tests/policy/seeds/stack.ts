import type { StateResource } from "../../../policies/evaluate";
import { LASTING } from "./certificates";

/** What the proof is judged for. */
export const NOW = new Date("2026-11-28T12:00:00Z");
export const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3";

type Props = Record<string, unknown>;

/** A whole stack that every rule accepts; a seed changes one thing of it. */
export class Stack {
  readonly resources = new Map<string, StateResource>();

  /** `name` is the logical one: what stands under it is replaced. */
  set(type: string, name: string, inputs: Props, more: Partial<StateResource> = {}): this {
    const urn = `urn:pulumi:prod::shop::${type}::${name}`;
    this.resources.set(name, { type, urn, custom: true, inputs, outputs: inputs, ...more });
    return this;
  }

  /** A Kubernetes object; the logical name is KIND-NAMESPACE-NAME. */
  object(apiVersion: string, kind: string, metadata: Props, rest: Props = {}): this {
    const group = apiVersion === "v1" ? "core/v1" : apiVersion;
    const name = [kind, metadata.namespace, metadata.name].filter((part) => typeof part === "string").join("-");
    return this.set(`kubernetes:${group}:${kind}`, name, { apiVersion, kind, metadata, ...rest });
  }

  /** Sets values at paths, "values.global.proxy"; undefined takes one away. Leaves the other stacks alone. */
  edit(name: string, changes: Props): this {
    const before = this.resources.get(name);
    if (!before) throw new Error(`the stack has no ${name}`);
    const inputs = structuredClone(before.inputs) as Props;
    for (const [path, value] of Object.entries(changes)) assign(inputs, path.split("."), value);
    this.resources.set(name, { ...before, inputs, outputs: inputs });
    return this;
  }

  options(name: string, options: Partial<StateResource>): this {
    this.resources.set(name, { ...this.resources.get(name)!, ...options });
    return this;
  }

  remove(name: string): this {
    if (!this.resources.delete(name)) throw new Error(`the stack has no ${name}`);
    return this;
  }
}

function assign(into: Props, [key = "", ...rest]: readonly string[], value: unknown): void {
  // A key with dots is written with slashes for them.
  const name = key.replaceAll("|", ".");
  if (rest.length === 0) {
    if (value === undefined) Reflect.deleteProperty(into, name);
    else into[name] = value;
    return;
  }
  into[name] ??= {};
  assign(into[name] as Props, rest, value);
}

const VERSION = "1.36.6";
const owner = { project: "shop", stack: "prod", cluster: "prod", environment: "production" };
const endpoint = (address: string): Props => ({ address, hostKey: KEY });

const PLANES = ["cp-0", "cp-1", "cp-2"].map((name, index) => ({
  name,
  endpoint: endpoint(`10.0.0.${index}`),
  config: "kind: InitConfiguration\n",
}));

function evidence(name: string): Props {
  const values = [
    { id: "vcpu-affinity", what: "vCPU affinity", measured: "4-7", limit: "4-7", verdict: "pass" },
    { id: "fsync-p99-1", what: "fdatasync", measured: 4.2, unit: "ms", limit: 10, verdict: "pass" },
    { id: "host-disk", what: "disk", measured: "nvme", limit: null, verdict: "info" },
    { id: "host-cache", what: "cache", measured: "none", limit: null, verdict: "info" },
  ];
  const takenAt = "2026-11-20T08:00:00Z";
  return {
    name,
    endpoint: endpoint(`10.0.0.${name.length}`),
    host: endpoint("192.0.2.1"),
    plan: "dedicated",
    takenAt,
    maxAgeSeconds: 30 * 86_400,
    contradictions: [],
    digest: `sha256:${"ab".repeat(32)}`,
    record: { takenAt, values },
  };
}

const CONFIG = `kind: ClusterConfiguration
apiServer:
  extraArgs:
    - { name: anonymous-auth, value: "false" }
    - { name: encryption-provider-config, value: /etc/kubernetes/encryption.yaml }
    - { name: audit-policy-file, value: /etc/kubernetes/audit.yaml }
    - { name: audit-log-path, value: /var/log/audit.log }
    - { name: audit-log-maxage, value: "30" }
    - { name: audit-log-maxbackup, value: "10" }
    - { name: audit-log-maxsize, value: "100" }
---
kind: KubeletConfiguration
readOnlyPort: 0
`;

export const API_SERVER = [
  "kube-apiserver",
  "--anonymous-auth=false",
  "--authorization-mode=Node,RBAC",
  "--encryption-provider-config=/etc/kubernetes/encryption.yaml",
  "--audit-policy-file=/etc/kubernetes/audit.yaml",
  "--audit-log-path=/var/log/audit.log",
  "--audit-log-maxage=30",
  "--audit-log-maxbackup=10",
  "--audit-log-maxsize=100",
  "--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt",
  "--etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt",
  "--etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key",
];
export const ETCD = [
  "etcd",
  "--cert-file=/pki/server.crt",
  "--key-file=/pki/server.key",
  "--trusted-ca-file=/pki/ca.crt",
  "--client-cert-auth=true",
  "--peer-cert-file=/pki/peer.crt",
  "--peer-key-file=/pki/peer.key",
  "--peer-trusted-ca-file=/pki/ca.crt",
  "--peer-client-cert-auth=true",
];
export const KUBELET = [
  "kubelet",
  "--anonymous-auth=false",
  "--authorization-mode=Webhook",
  "--read-only-port=0",
  "--rotate-certificates=true",
];

/** A static pod of somebody's own control plane, as a program may declare it. */
export function component(stack: Stack, command: readonly string[], kind = "Pod"): Stack {
  const name = command[0]!;
  const spec = { hostNetwork: true, containers: [{ name, image: `registry.example/${name}:v1.36.6`, command }] };
  const workload = kind === "Pod" ? { spec } : { spec: { template: { metadata: { labels: { app: name } }, spec } } };
  return stack.object(kind === "Pod" ? "v1" : "apps/v1", kind, { name, namespace: "kube-system" }, workload);
}

export function workload(stack: Stack, name: string, pod: Props, namespace = "shop", metadata: Props = {}): Stack {
  const { labels = {}, annotations, ...spec } = pod as { labels?: Props; annotations?: Props } & Props;
  const containers = [{ name, image: `registry.example/${name}:1.4.2` }];
  const template = { metadata: { labels: { app: name, ...labels }, annotations }, spec: { containers, ...spec } };
  return stack.object("apps/v1", "Deployment", { name, namespace, ...metadata }, { spec: { template } });
}

export const destination = (subset: string, weight?: number): Props => ({
  destination: { host: "cart", subset },
  ...(weight !== undefined && { weight }),
});

/** Three carved control planes and two rented workers, a mesh with a canary, its gateways, and a look at all of it. */
export function baseStack(): Stack {
  const stack = new Stack();
  nodes(stack);
  const namespaces: readonly (readonly [string, Props])[] = [
    ["istio-system", {}],
    ["istio-ingress", { "istio-injection": "enabled" }],
    ["shop", { "istio-injection": "enabled" }],
    ["pay", { "istio.io/rev": "stable" }],
    ["monitoring", {}],
  ];
  for (const [name, labels] of namespaces) {
    stack.object("v1", "Namespace", {
      name,
      labels: { "pod-security.kubernetes.io/enforce": "baseline", ...labels },
    });
    const spec = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };
    stack.object("networking.k8s.io/v1", "NetworkPolicy", { name: "default-deny", namespace: name }, { spec });
  }
  mesh(stack);
  for (const command of [API_SERVER, ETCD, KUBELET]) component(stack, command);
  const prometheus = {
    containers: [{ name: "prometheus", image: "quay.io/prometheus/prometheus:v3.1.0" }],
    nodeSelector: { "kvmesh.io/disk": "nvme" },
  };
  const spec = { template: { metadata: { labels: { app: "prometheus" } }, spec: prometheus } };
  stack.object("apps/v1", "StatefulSet", { name: "prometheus", namespace: "monitoring" }, { spec });
  stack.object(
    "v1",
    "Secret",
    { name: "shop-tls", namespace: "istio-ingress" },
    { type: "kubernetes.io/tls", data: { "tls.crt": Buffer.from(LASTING).toString("base64") } },
  );
  return stack;
}

function nodes(stack: Stack): void {
  for (const [index, name] of ["cp-0", "cp-1", "cp-2"].entries()) {
    const host = endpoint(`192.0.2.${index + 1}`);
    // Hosts are told apart by their keys.
    host.hostKey = `ssh-ed25519 ${"AAAAC3NzaC1lZDI1NTE5AAAAI".padEnd(67, String(index))}`;
    stack.set("kvmesh:index:Domain", `${name}-domain`, {
      host,
      owner,
      name,
      type: "kvm",
      vcpus: 4,
      vcpuPins: [4, 5, 6, 7],
      emulatorPin: [0, 1],
      ioThreadPin: [0, 1],
      numaNode: 0,
    });
    stack.set("kvmesh:index:CoreLease", `${name}-lease`, { host, owner, machine: name, cpus: [4, 5, 6, 7] });
    stack.set("kvmesh:index:Volume", `${name}-volume`, { host, owner, name, thinPool: { overcommit: 1 } });
    const config = "kind: JoinConfiguration\n";
    const plane = { endpoint: endpoint(`10.0.0.${index}`), owner, name, kubernetesVersion: VERSION, config };
    const node = { ...plane, controlPlanes: PLANES, role: "control-plane" };
    stack.set("kvmesh:index:ClusterNode", name, node, { protect: true });
  }
  stack.set(
    "kvmesh:index:Cluster",
    "cluster",
    { owner, kubernetesVersion: VERSION, config: CONFIG, controlPlanes: PLANES },
    { protect: true, additionalSecretOutputs: ["kubeconfig"] },
  );
  for (const name of ["worker-0", "worker-1"])
    stack.set("kvmesh:index:ClusterNode", name, {
      endpoint: endpoint("10.0.1.1"),
      owner,
      controlPlanes: PLANES,
      name,
      role: "worker",
      kubernetesVersion: VERSION,
      config: "kind: JoinConfiguration\n",
    });
  for (const name of ["cp-0", "cp-1", "cp-2", "worker-0", "worker-1"]) {
    stack.set("kvmesh:index:Machine", `${name}-machine`, {
      endpoint: endpoint("10.0.1.2"),
      owner,
      name,
      source: name.startsWith("cp") ? "carved" : "existing",
      plan: "dedicated",
      vcpus: 4,
      hypervisors: ["kvm"],
      country: "NO",
    });
    stack.set("kvmesh:index:Evidence", `${name}-evidence`, evidence(name));
    stack.set("kvmesh:index:NodeRuntime", `${name}-runtime`, {
      endpoint: endpoint("10.0.1.3"),
      owner,
      name,
      kubernetesVersion: VERSION,
    });
  }
  const host = endpoint("192.0.2.1");
  stack.set("kvmesh:index:Network", "network", { host, owner, name: "shop" });
  stack.set("kvmesh:index:Image", "image", { host, owner, name: "debian", digest: `sha256:${"c".repeat(64)}` });
  stack.set("kvmesh:index:ClusterReady", "ready", { controlPlanes: PLANES, owner, nodes: ["cp-0"] });
}

function mesh(stack: Stack): void {
  const istio = "1.31.4";
  stack.set("kvmesh:index:Chart", "istiod-chart", { name: "istiod", version: istio });
  const release = (name: string, namespace: string, values: Props): Stack =>
    stack.set("kubernetes:helm.sh/v3:Release", name, { name, namespace, chart: `.kvmesh/charts/${name}`, values });
  release("istio-base", "istio-system", {});
  release("istiod", "istio-system", {
    autoscaleEnabled: false,
    replicaCount: 2,
    resources: { requests: { cpu: "500m", memory: "2Gi" }, limits: { memory: "4Gi" } },
    traceSampling: 1,
    global: {
      tag: istio,
      proxy: {
        resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "2000m", memory: "1024Mi" } },
      },
    },
  });
  release("istio-ingressgateway", "istio-ingress", {});
  const strict = { spec: { mtls: { mode: "STRICT" } } };
  stack.object("security.istio.io/v1", "PeerAuthentication", { name: "default", namespace: "istio-system" }, strict);
  const port = { ports: [{ port: 80 }] };
  stack.object("v1", "Service", { name: "cart", namespace: "shop" }, { spec: { selector: { app: "cart" }, ...port } });
  for (const version of ["v1", "v2"]) workload(stack, `cart-${version}`, { labels: { app: "cart", version } });
  workload(stack, "ledger", {}, "pay");
  const subsets = ["v1", "v2"].map((version) => ({ name: version, labels: { version } }));
  const outlierDetection = { consecutive5xxErrors: 5 };
  const cart = { name: "cart", namespace: "shop" };
  stack.object("networking.istio.io/v1", "DestinationRule", cart, {
    spec: { host: "cart", subsets, trafficPolicy: { outlierDetection } },
  });
  const retries = { attempts: 2, perTryTimeout: "2s" };
  stack.object("networking.istio.io/v1", "VirtualService", cart, {
    spec: { hosts: ["cart"], http: [{ route: [destination("v1", 90), destination("v2", 10)], retries }] },
  });
  const tls = { mode: "SIMPLE", credentialName: "shop-tls" };
  const servers = [
    { port: { number: 443, name: "https", protocol: "HTTPS" }, hosts: ["shop.example"], tls },
    { port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["shop.example"], tls: { httpsRedirect: true } },
  ];
  stack.object("networking.istio.io/v1", "Gateway", { name: "app", namespace: "istio-ingress" }, { spec: { servers } });
}
