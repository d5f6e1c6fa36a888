import { ENDING } from "./certificates";
import type { Seed } from "./seed";
import { destination, KEY, workload, type Stack } from "./stack";

const NETWORKING = "networking.istio.io/v1";
const SECURITY = "security.istio.io/v1";
const GATEWAY_API = "gateway.networking.k8s.io/v1";
type Props = Record<string, unknown>;

const edit = (name: string, changes: Props) => (stack: Stack) => stack.edit(name, changes);
const rule = (namespace: string, spec: Props) => (stack: Stack) =>
  stack.object(NETWORKING, "DestinationRule", { name: "second", namespace }, { spec });
const off = { trafficPolicy: { tls: { mode: "DISABLE" } } };
const route = (http: readonly Props[]) => edit("VirtualService-shop-cart", { "spec.http": http });
const both = [destination("v1", 90), destination("v2", 10)];
const configText = (text: string) => edit("cluster", { config: text });

const nodes: readonly Seed[] = [
  { what: "a machine without pins", change: edit("cp-1-domain", { vcpuPins: [] }), fails: ["node-dedicated-cpu"] },
  {
    what: "fewer pins than vCPUs",
    change: edit("cp-1-domain", { vcpuPins: [4, 5, 6] }),
    fails: ["node-dedicated-cpu"],
  },
  {
    what: "a rented machine of a shared plan",
    change: edit("worker-0-machine", { plan: "shared" }),
    fails: ["node-dedicated-cpu"],
  },
  { what: "an emulated machine", change: edit("cp-2-domain", { type: "qemu" }), fails: ["node-kvm-only"] },
  {
    what: "a container accepted for a node",
    change: edit("worker-1-machine", { hypervisors: ["kvm", "openvz"] }),
    fails: ["node-kvm-only"],
  },
  { what: "a node of two vCPUs", change: edit("worker-0-machine", { vcpus: 2 }), fails: ["node-min-vcpus"] },
  {
    what: "two machines on one core",
    change: (stack) => {
      const { inputs } = stack.resources.get("cp-0-domain")!;
      stack.set("kvmesh:index:Domain", "batch-domain", { ...inputs, name: "batch-0", vcpuPins: [7, 8, 9, 10] });
    },
    fails: ["node-core-overlap"],
  },
  {
    what: "one core for two vCPUs",
    change: edit("cp-0-domain", { vcpuPins: [4, 5, 6, 6] }),
    fails: ["node-core-overlap"],
  },
  {
    what: "emulator threads on a vCPU's core",
    change: edit("cp-0-domain", { emulatorPin: [4] }),
    fails: ["node-emulator-isolated"],
  },
  {
    what: "I/O threads that float",
    change: edit("cp-0-domain", { ioThreadPin: [] }),
    fails: ["node-emulator-isolated"],
  },
  { what: "memory of any NUMA node", change: edit("cp-0-domain", { numaNode: undefined }), fails: ["node-numa-local"] },
  {
    what: "evidence that is too old for dedication",
    change: edit("worker-0-evidence", { takenAt: "2026-10-01T00:00:00Z" }),
    fails: ["node-live-dedication"],
  },
  {
    what: "evidence of a control plane that is too old",
    change: edit("cp-1-evidence", { takenAt: "2026-10-01T00:00:00Z" }),
    fails: ["node-live-dedication"],
    unseen: ["etcd-fsync"],
  },
  {
    what: "a machine without evidence",
    change: (stack) => stack.remove("worker-1-evidence"),
    fails: ["node-live-dedication"],
  },
  {
    what: "pins that a refresh saw elsewhere",
    change: edit("worker-0-evidence", { contradictions: ["vCPU 2 on CPU 9"] }),
    fails: ["node-live-dedication"],
  },
  {
    what: "etcd on a slow disk",
    change: edit("cp-0-evidence", {
      "record.values": [
        { id: "fsync-p99-1", what: "fdatasync", measured: 23, unit: "ms", limit: 10, verdict: "info" },
        { id: "host-disk", measured: "nvme" },
        { id: "host-cache", measured: "none" },
      ],
    }),
    fails: ["etcd-fsync"],
  },
  {
    what: "etcd on a rotating disk",
    change: edit("cp-0-evidence", {
      "record.values": [
        { id: "fsync-p99-1", measured: 6 },
        { id: "host-disk", measured: "sata, rotating" },
        { id: "host-cache", measured: "none" },
      ],
    }),
    fails: ["etcd-local-nvme"],
  },
  {
    what: "an overcommitted pool",
    change: edit("cp-0-volume", { "thinPool.overcommit": 2 }),
    fails: ["disk-overcommit"],
  },
  {
    what: "a machine outside the allowed countries",
    change: edit("worker-0-machine", { country: "US" }),
    fails: ["location-allowed"],
  },
  {
    what: "a network's host without a key",
    change: edit("network", { "host.hostKey": undefined }),
    fails: ["ssh-host-key"],
  },
  {
    what: "one of the control planes that are waited for without a key",
    change: edit("ready", { "controlPlanes.1.endpoint.hostKey": undefined }),
    fails: ["ssh-host-key"],
  },
  {
    what: "the endpoint that a restart waits for without a key",
    change: edit("cp-0-domain", { restart: { when: "needed", endpoint: { address: "10.0.0.1" } } }),
    fails: ["ssh-host-key"],
  },
  {
    what: "the control plane that a restart drains by without a key",
    change: edit("cp-0-domain", {
      restart: { when: "needed", drain: { node: "cp-0", controlPlane: { address: "10.0.0.1", hostKey: "any" } } },
    }),
    fails: ["ssh-host-key"],
  },
  {
    what: "an evidence's host without a key",
    change: edit("worker-0-evidence", { "host.hostKey": "" }),
    fails: ["ssh-host-key"],
  },
  {
    what: "a bastion without a key",
    change: edit("worker-0", { "endpoint.bastion": { address: "bastion.example" } }),
    fails: ["ssh-host-key"],
  },
  {
    what: "a remote command with a password",
    change: (stack) =>
      stack.set("command:remote:Command", "hello", {
        connection: { host: "10.0.0.1", hostKey: KEY, password: "hunter2hunter2" },
        create: "true",
      }),
    fails: ["ssh-key-only"],
  },
];

const cluster: readonly Seed[] = [
  {
    what: "two control planes",
    change: (stack) => stack.remove("cp-2").remove("cp-2-evidence").remove("cp-2-machine"),
    fails: ["control-plane-ha"],
  },
  {
    what: "two of three control planes on one host",
    change: (stack) => {
      const { host } = stack.resources.get("cp-0-domain")!.inputs as { host: Props };
      stack.edit("cp-1-domain", { host, vcpuPins: [8, 9, 10, 11] }).edit("cp-1-lease", { host, cpus: [8, 9, 10, 11] });
    },
    fails: ["control-plane-ha"],
  },
  {
    what: "a control plane that isn't protected",
    change: (stack) => stack.options("cp-1", { protect: false }),
    fails: ["stateful-protected"],
  },
  {
    what: "an ended Kubernetes on a node",
    change: edit("worker-0-runtime", { kubernetesVersion: "1.33.13" }),
    fails: ["kubernetes-supported"],
  },
  {
    what: "a kubeconfig that isn't secret",
    change: (stack) => stack.options("cluster", { additionalSecretOutputs: [] }),
    fails: ["kubeconfig-secret"],
  },
  {
    what: "kubeadm with anonymous requests",
    change: (stack) => {
      const { config } = stack.resources.get("cluster")!.inputs as { config: string };
      stack.edit("cluster", { config: config.replace('value: "false"', 'value: "true"') });
    },
    fails: ["api-anonymous-off"],
  },
  {
    what: "a kubelet's command line that opens the read-only port",
    change: edit("worker-0", {
      config:
        'kind: JoinConfiguration\nnodeRegistration:\n  kubeletExtraArgs:\n    - { name: read-only-port, value: "10255" }\n',
    }),
    fails: ["kubelet-hardened"],
  },
  {
    what: "kubelets that answer anybody",
    change: edit("worker-0", {
      config: "kind: JoinConfiguration\nnodeRegistration:\n  kubeletExtraArgs: { authorization-mode: AlwaysAllow }\n",
    }),
    fails: ["authz-node-rbac"],
  },
  {
    what: "a kubeadm configuration that says nothing of hardening: no verdict, and no pass",
    change: configText("kind: ClusterConfiguration\napiServer: {}\n"),
    unseen: ["api-anonymous-off", "secrets-encrypted-at-rest", "audit-log"],
  },
  {
    what: "an etcd outside the cluster by plain http",
    change: (stack) => {
      const { config } = stack.resources.get("cluster")!.inputs as { config: string };
      const external =
        "etcd:\n  external: { endpoints: ['http://10.9.0.1:2379'], caFile: /a, certFile: /b, keyFile: /c }\n";
      stack.edit("cluster", { config: config.replace("apiServer:", `${external}apiServer:`) });
    },
    fails: ["etcd-tls"],
  },
  {
    what: "a certificate that ends in two weeks",
    change: (stack) =>
      stack.object(
        "v1",
        "Secret",
        { name: "old", namespace: "shop" },
        { type: "kubernetes.io/tls", stringData: { "tls.crt": ENDING } },
      ),
    fails: ["cert-window"],
  },
  {
    what: "a certificate of the tls provider that has ended",
    change: (stack) =>
      stack.set("tls:index/selfSignedCert:SelfSignedCert", "ca", { validityEndTime: "2026-11-01T00:00:00Z" }),
    fails: ["cert-window"],
  },
  {
    what: "a chart by a range",
    change: edit("istiod-chart", { version: "1.31.x" }),
    fails: ["artifact-pinned"],
  },
  { what: "a base image without a digest", change: edit("image", { digest: "latest" }), fails: ["artifact-pinned"] },
  {
    what: "a remote kustomization of a branch",
    change: (stack) =>
      stack
        .set("kubernetes:kustomize:Directory", "remote", { directory: "https://git.example/a/b//c?ref=main" })
        .object("v1", "ConfigMap", { name: "of-remote", namespace: "shop" })
        .options("ConfigMap-shop-of-remote", {
          parent: "urn:pulumi:prod::shop::kubernetes:kustomize:Directory::remote",
        }),
    fails: ["artifact-pinned"],
  },
  {
    what: "Prometheus on any node",
    change: edit("StatefulSet-monitoring-prometheus", { "spec.template.spec.nodeSelector": undefined }),
    fails: ["prometheus-nvme"],
  },
  {
    what: "a default-deny that lets everything in",
    change: edit("NetworkPolicy-pay-default-deny", { "spec.ingress": [{}] }),
    fails: ["ns-default-deny"],
  },
];

const installation: readonly Seed[] = [
  { what: "an ended Istio", change: edit("istiod-chart", { version: "1.28.3" }), fails: ["istio-supported"] },
  { what: "the demo profile", change: edit("istiod", { "values.global.profile": "demo" }), fails: ["istio-profile"] },
  {
    what: "the demo profile of an operator's object",
    change: (stack) =>
      stack.object(
        "sailoperator.io/v1",
        "Istio",
        { name: "default" },
        {
          spec: {
            profile: "demo",
            version: "v1.31.4",
            values: (stack.resources.get("istiod")!.inputs as Props).values,
          },
        },
      ),
    fails: ["istio-profile"],
  },
  { what: "one istiod", change: edit("istiod", { "values.replicaCount": 1 }), fails: ["istiod-resources"] },
  {
    what: "an istiod of another name without a memory limit",
    change: edit("istiod", {
      name: "mesh-brain",
      chart: "charts/mesh-brain",
      "values.pilot.autoscaleMin": 2,
      "values.resources.limits": {},
    }),
    fails: ["istiod-resources"],
  },
  {
    what: "proxies without a memory limit",
    change: edit("istiod", { "values.global.proxy.resources.limits.memory": undefined }),
    fails: ["sidecar-resources"],
  },
  { what: "every request traced", change: edit("istiod", { "values.traceSampling": 100 }), fails: ["tracing-sampled"] },
  {
    what: "every request traced, by the mesh's default",
    change: edit("istiod", { "values.meshConfig.defaultConfig.tracing.sampling": 50 }),
    fails: ["tracing-sampled"],
  },
  {
    what: "every request traced, by a Telemetry",
    change: (stack) =>
      stack.object(
        "telemetry.istio.io/v1",
        "Telemetry",
        { name: "default", namespace: "istio-system" },
        {
          spec: { tracing: [{ randomSamplingPercentage: 100 }] },
        },
      ),
    fails: ["tracing-sampled"],
  },
  {
    what: "ports past every sidecar",
    change: edit("istiod", { "values.global.proxy.excludeInboundPorts": "8080" }),
    fails: ["mesh-strict"],
  },
  {
    what: "ports past every sidecar, by injected annotations",
    change: edit("istiod", {
      "values.sidecarInjectorWebhook.injectedAnnotations": { "traffic.sidecar.istio.io/excludeOutboundPorts": "443" },
    }),
    fails: ["mesh-strict"],
  },
  {
    what: "sidecars that intercept nothing",
    change: edit("istiod", { "values.meshConfig.defaultConfig.interceptionMode": "NONE" }),
    fails: ["mesh-strict"],
  },
];

const mesh: readonly Seed[] = [
  {
    what: "mutual TLS off by a patch",
    change: (stack) =>
      stack.set(`kubernetes:${SECURITY}:PeerAuthenticationPatch`, "patch", {
        metadata: { name: "default", namespace: "shop" },
        spec: { mtls: { mode: "DISABLE" } },
      }),
    fails: ["mesh-strict"],
  },
  {
    what: "mutual TLS off for a port of some pods",
    change: (stack) =>
      stack.object(
        SECURITY,
        "PeerAuthentication",
        { name: "till", namespace: "shop" },
        {
          spec: {
            selector: { matchLabels: { app: "till" } },
            mtls: { mode: "STRICT" },
            portLevelMtls: { 9000: { mode: "DISABLE" } },
          },
        },
      ),
    fails: ["mesh-strict"],
  },
  {
    what: "no STRICT anywhere",
    change: (stack) => stack.remove("PeerAuthentication-istio-system-default"),
    fails: ["mesh-strict"],
  },
  {
    what: "STRICT for some pods only",
    change: edit("PeerAuthentication-istio-system-default", { "spec.selector": { matchLabels: { app: "cart" } } }),
    fails: ["mesh-strict"],
  },
  {
    what: "an exception that has ended",
    change: (stack) =>
      stack.object(
        SECURITY,
        "PeerAuthentication",
        {
          name: "till",
          namespace: "shop",
          annotations: { "kvmesh.io/exception-owner": "shop", "kvmesh.io/exception-expires": "2026-11-27" },
        },
        { spec: { mtls: { mode: "PERMISSIVE" } } },
      ),
    fails: ["mtls-exception"],
  },
  {
    what: "a port of a workload past its sidecar",
    change: (stack) =>
      workload(stack, "till", { annotations: { "traffic.sidecar.istio.io/excludeInboundPorts": "9000" } }),
    fails: ["mtls-exception"],
  },
  {
    what: "addresses of a workload past its sidecar",
    change: (stack) =>
      workload(stack, "till", { annotations: { "traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.0/8" } }),
    fails: ["mtls-exception"],
  },
  {
    what: "a client without TLS towards all services",
    change: rule("istio-system", { host: "*.local", ...off }),
    fails: ["mtls-conflict"],
  },
  {
    what: "a subset without TLS",
    change: edit("DestinationRule-shop-cart", {
      "spec.subsets": [
        { name: "v1", labels: { version: "v1" } },
        { name: "v2", labels: { version: "v2" }, ...off },
      ],
    }),
    fails: ["mtls-conflict"],
  },
  {
    what: "a client without TLS by a patch",
    change: (stack) =>
      stack.set(`kubernetes:${NETWORKING}:DestinationRulePatch`, "patch", {
        metadata: { name: "x", namespace: "pay" },
        spec: { host: "ledger", ...off },
      }),
    fails: ["mtls-conflict"],
  },
  {
    what: "a TCP server without TLS",
    change: (stack) =>
      stack.object(
        NETWORKING,
        "Gateway",
        { name: "db", namespace: "istio-ingress" },
        {
          spec: { servers: [{ port: { number: 5432, name: "db", protocol: "TCP" }, hosts: ["*"] }] },
        },
      ),
    fails: ["gateway-tls"],
  },
  {
    what: "a TCP listener of the Gateway API",
    change: (stack) =>
      stack.object(
        GATEWAY_API,
        "Gateway",
        { name: "db", namespace: "istio-ingress" },
        {
          spec: { listeners: [{ name: "db", port: 5432, protocol: "TCP" }] },
        },
      ),
    fails: ["gateway-tls"],
  },
  {
    what: "weights of 110",
    change: route([{ route: [destination("v1", 90), destination("v2", 20)] }]),
    fails: ["canary-weights"],
  },
  {
    what: "half a percent",
    change: route([{ route: [destination("v1", 99.5), destination("v2", 0.5)] }]),
    fails: ["canary-weights"],
  },
  {
    what: "ten attempts",
    change: route([{ route: both, retries: { attempts: 10, perTryTimeout: "2s" } }]),
    fails: ["retry-budget"],
  },
  {
    what: "attempts without a limit of time",
    change: route([{ route: both, retries: { attempts: 2 } }]),
    fails: ["retry-budget"],
  },
  {
    what: "attempts without outlier detection",
    change: edit("DestinationRule-shop-cart", { "spec.trafficPolicy": undefined }),
    fails: ["retry-budget"],
  },
];

/** Faults that nobody else's tests had. */
export const ownSeeds: readonly Seed[] = [...nodes, ...cluster, ...installation, ...mesh];
