import { versions, type ToolName } from "../toolchain";
import type { ImageConfig } from "./archive";

export interface ImageRecipe extends ImageConfig {
  /** Where in the image each tool goes, without a leading slash. */
  readonly tools: Readonly<Partial<Record<ToolName, string>>>;
  /** With the layer of packet filter tools below. */
  readonly network?: true;
  /** Also in the image: files of the Istio module, by their path there. */
  readonly istioFiles?: Readonly<Record<string, string>>;
}

function single(repository: string, tag: string, tool: ToolName, dir = "usr/local/bin"): ImageRecipe {
  return { ref: `${repository}:${tag}`, entrypoint: [`/${dir}/${tool}`], tools: { [tool]: `${dir}/${tool}` } };
}

const kubernetes = (tool: ToolName): ImageRecipe => single(`registry.k8s.io/${tool}`, `v${versions.kubernetes}`, tool);

/**
 * The images of a cluster with its mesh, under the names that kubeadm, flannel's manifest and Istio's charts ask for.
 * Which of them are home-made, and how they differ from upstream's, is in docs/toolchain.md.
 */
export const imageRecipes: readonly ImageRecipe[] = [
  kubernetes("kube-apiserver"),
  kubernetes("kube-controller-manager"),
  kubernetes("kube-scheduler"),
  { ...kubernetes("kube-proxy"), network: true },
  single("registry.k8s.io/etcd", versions.etcdImage, "etcd"),
  {
    ref: `registry.k8s.io/coredns/coredns:v${versions.coredns}`,
    entrypoint: ["/coredns"],
    tools: { coredns: "coredns" },
  },
  {
    ref: `registry.k8s.io/pause:${versions.pause}`,
    entrypoint: ["/pause"],
    user: "65535:65535",
    tools: { pause: "pause" },
  },
  {
    ref: `ghcr.io/flannel-io/flannel:v${versions.flannel}`,
    entrypoint: ["/opt/bin/flanneld"],
    tools: { flanneld: "opt/bin/flanneld", cp: "usr/bin/cp" },
    network: true,
  },
  {
    ref: `ghcr.io/flannel-io/flannel-cni-plugin:v${versions.flannelCniImage}`,
    entrypoint: ["/flannel"],
    tools: { flannel: "flannel", cp: "usr/bin/cp" },
  },
  { ...single("docker.io/istio/pilot", versions.istio, "pilot-discovery"), user: "1337:1337" },
  {
    ref: `docker.io/istio/proxyv2:${versions.istio}`,
    entrypoint: ["/usr/local/bin/pilot-agent"],
    env: { ISTIO_META_ISTIO_VERSION: versions.istio },
    tools: { "pilot-agent": "usr/local/bin/pilot-agent", envoy: "usr/local/bin/envoy" },
    istioFiles: {
      "tools/packaging/common/envoy_bootstrap.json": "var/lib/istio/envoy/envoy_bootstrap_tmpl.json",
    },
    network: true,
  },
  single("localhost/kvmesh/echo", "1", "echo"),
];

/** Of a cluster without a mesh. */
export const clusterImages: readonly ImageRecipe[] = imageRecipes.filter(({ ref }) => !/istio|kvmesh/.test(ref));
