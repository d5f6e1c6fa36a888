export interface KubernetesSpec {
  /** Exact version, "1.34.2". */
  readonly version: string;
  /** Host and port that every node and kubeconfig use; default: the only control plane's address, port 6443. */
  readonly endpoint: { readonly host: string; readonly port: number };
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly cni: CniSpec;
  /** Where containerd, kubelet and kubeadm come from: the image (`preinstalled`) or an apt repository. */
  readonly packages: { readonly source: "preinstalled" } | AptSpec;
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

export interface AptSpec {
  readonly source: "apt";
  /** Of one minor version, with its key in Release.key. */
  readonly repository: string;
  /** Of the keys that it may be signed with, 40 hexadecimal digits; default: Kubernetes' own, for mirrors too. */
  readonly keyFingerprints: readonly string[];
}

export interface CniSpec {
  readonly plugin: "flannel";
  readonly version: string;
  /** `host-gw` needs all nodes on one L2 network; default `vxlan`. */
  readonly backend: "vxlan" | "host-gw";
  /** Repository prefix of the images; default ghcr.io/flannel-io. */
  readonly imageRepository: string;
}
