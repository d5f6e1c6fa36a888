import { stringify } from "yaml";
import type { KubernetesSpec, Role, TaintSpec } from "../../config/spec";
import type { Milliseconds } from "../../config/units";

/** What kubeadm is told about one node; pure text, without a secret. */
export interface KubeadmNode {
  readonly name: string;
  readonly role: Role;
  /** IPv4 address of the node's Kubernetes traffic. */
  readonly address: string;
  /** Default none; a control plane's own taint is not among them. */
  readonly taints?: readonly TaintSpec[];
}

export interface KubeadmSettings {
  readonly clusterName: string;
  readonly spec: KubernetesSpec;
  /** The endpoint is no control plane's own address; default false. */
  readonly sharedEndpoint?: boolean;
  /** For init or join as a whole. */
  readonly timeout: Milliseconds;
}

/** The configuration API that this version of kubeadm takes and doesn't call deprecated. */
export type ApiVersion = "v1beta2" | "v1beta3" | "v1beta4";

/** v1beta2: 1.15 to 1.22, v1beta3: from 1.22, v1beta4: from 1.31 (kubernetes.io, kubeadm configuration). */
export function apiVersionFor(kubernetesVersion: string): ApiVersion {
  const minor = minorOf(kubernetesVersion);
  return minor >= 31 ? "v1beta4" : minor >= 22 ? "v1beta3" : "v1beta2";
}

/** InitConfiguration of one control plane, should the cluster be founded there. */
export function initConfig(settings: KubeadmSettings, node: KubeadmNode): string {
  const { spec } = settings;
  const api = apiVersionFor(spec.version);
  return documents([
    {
      apiVersion: `kubeadm.k8s.io/${api}`,
      kind: "InitConfiguration",
      // Whoever joins gets a token of its own later; this one dies as soon as it can.
      bootstrapTokens: [{ ttl: "2m0s" }],
      localAPIEndpoint: localEndpoint(spec, node),
      nodeRegistration: nodeRegistration(settings, node),
      ...(api === "v1beta4" ? { timeouts: timeouts(settings.timeout) } : {}),
    },
  ]);
}

/** ClusterConfiguration, KubeletConfiguration and KubeProxyConfiguration: what is the same wherever the cluster is founded. */
export function clusterConfig(settings: KubeadmSettings): string {
  const { spec } = settings;
  const api = apiVersionFor(spec.version);
  return documents([
    {
      apiVersion: `kubeadm.k8s.io/${api}`,
      kind: "ClusterConfiguration",
      clusterName: settings.clusterName,
      kubernetesVersion: `v${spec.version}`,
      // Never left out, even with one control plane: a cluster without it can't get a second one.
      controlPlaneEndpoint: `${spec.endpoint.host}:${spec.endpoint.port}`,
      networking: { podSubnet: spec.podCidr, serviceSubnet: spec.serviceCidr, dnsDomain: "cluster.local" },
      imageRepository: spec.imageRepository,
      ...featureGates(settings),
      apiServer: {
        // Each control plane adds its own name and address; a list of all of them would change with every new one.
        certSANs: [spec.endpoint.host, "127.0.0.1"],
        ...(api === "v1beta4"
          ? {}
          : { timeoutForControlPlane: timeouts(settings.timeout).controlPlaneComponentHealthCheck }),
      },
    },
    {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      cgroupDriver: "systemd",
      ...spec.kubelet,
    },
    {
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      ...spec.kubeProxy,
    },
  ]);
}

/** JoinConfiguration without what lets the node join: token, CA hash and certificate key come in at run time. */
export function joinConfig(settings: KubeadmSettings, node: KubeadmNode): string {
  const api = apiVersionFor(settings.spec.version);
  const limit = timeouts(settings.timeout);
  return documents([
    {
      apiVersion: `kubeadm.k8s.io/${api}`,
      kind: "JoinConfiguration",
      ...(api === "v1beta4" ? { timeouts: limit } : { discovery: { timeout: limit.discovery } }),
      nodeRegistration: nodeRegistration(settings, node),
      ...(node.role === "control-plane"
        ? { controlPlane: { localAPIEndpoint: localEndpoint(settings.spec, node) } }
        : {}),
    },
  ]);
}

function nodeRegistration({ spec }: KubeadmSettings, node: KubeadmNode): Record<string, unknown> {
  const minor = minorOf(spec.version);
  const arguments_ = { "node-ip": node.address };
  return {
    name: node.name,
    // The scheme is asked for since 1.24; before, a path alone was the form that every version took.
    criSocket: minor >= 24 ? "unix:///run/containerd/containerd.sock" : "/run/containerd/containerd.sock",
    ...(minor >= 22 ? { imagePullPolicy: spec.imagePullPolicy } : {}),
    ...taints(spec, node),
    kubeletExtraArgs:
      apiVersionFor(spec.version) === "v1beta4"
        ? Object.entries(arguments_).map(([name, value]) => ({ name, value }))
        : arguments_,
  };
}

/** An empty list is what takes the taint of a control plane away; left out, it stays. */
function taints(spec: KubernetesSpec, { role, taints: own = [] }: KubeadmNode): { taints?: readonly TaintSpec[] } {
  if (role === "control-plane" && spec.scheduleOnControlPlanes) return { taints: own };
  if (own.length === 0) return {};
  const kubeadms: TaintSpec = { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" };
  return { taints: role === "control-plane" ? [kubeadms, ...own] : own };
}

function localEndpoint(
  { endpoint }: KubernetesSpec,
  node: KubeadmNode,
): { advertiseAddress: string; bindPort: number } {
  // Behind a load balancer the endpoint's port is the balancer's; a virtual IP is an address of the node itself.
  const own = endpoint.host === node.address || endpoint.vip !== undefined;
  return { advertiseAddress: node.address, bindPort: own ? endpoint.port : 6443 };
}

/**
 * Behind a shared endpoint a kubelet could reach an API server that is older than it is, in an upgrade (kubernetes #127316): a control
 * plane's goes to its own. From 1.36 on that is so without a gate.
 */
function featureGates({ spec: { version }, sharedEndpoint = false }: KubeadmSettings): object {
  const minor = minorOf(version);
  if (!sharedEndpoint || minor < 31 || minor > 35) return {};
  return { featureGates: { ControlPlaneKubeletLocalMode: true } };
}

/** Each wait inside kubeadm ends before the run as a whole, so that its own words about what is missing are heard. */
function timeouts(
  total: Milliseconds,
): Record<
  | "controlPlaneComponentHealthCheck"
  | "kubeletHealthCheck"
  | "kubernetesAPICall"
  | "etcdAPICall"
  | "tlsBootstrap"
  | "discovery",
  string
> {
  const most = duration(0.8 * total);
  const call = duration(Math.min(0.8 * total, 300_000));
  return {
    controlPlaneComponentHealthCheck: most,
    kubeletHealthCheck: most,
    kubernetesAPICall: call,
    etcdAPICall: call,
    tlsBootstrap: most,
    discovery: most,
  };
}

/** As Go writes it: "8m0s". */
function duration(milliseconds: number): string {
  const seconds = Math.max(1, Math.floor(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

function minorOf(version: string): number {
  return Number(version.split(".")[1]);
}

function documents(parts: readonly object[]): string {
  return parts.map((part) => stringify(part)).join("---\n");
}
