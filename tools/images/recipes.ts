import { versions, type ToolName, type Versions } from "../toolchain";
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

const kubernetes = (tool: ToolName, { kubernetes: version }: Versions): ImageRecipe =>
  single(`registry.k8s.io/${tool}`, `v${version}`, tool);

/**
 * The images of a cluster with its mesh, under the names that kubeadm, flannel's manifest and Istio's charts ask for.
 * Which of them are home-made, and how they differ from upstream's, is in docs/toolchain.md.
 */
export const imageRecipes = (v: Versions = versions): readonly ImageRecipe[] => [
  kubernetes("kube-apiserver", v),
  kubernetes("kube-controller-manager", v),
  kubernetes("kube-scheduler", v),
  { ...kubernetes("kube-proxy", v), network: true },
  single("registry.k8s.io/etcd", v.etcdImage, "etcd"),
  {
    ref: `registry.k8s.io/coredns/coredns:v${v.coredns}`,
    entrypoint: ["/coredns"],
    tools: { coredns: "coredns" },
  },
  {
    ref: `registry.k8s.io/pause:${v.pause}`,
    entrypoint: ["/pause"],
    user: "65535:65535",
    tools: { pause: "pause" },
  },
  {
    ref: `ghcr.io/flannel-io/flannel:v${v.flannel}`,
    entrypoint: ["/opt/bin/flanneld"],
    tools: { flanneld: "opt/bin/flanneld", cp: "usr/bin/cp" },
    network: true,
  },
  {
    ref: `ghcr.io/flannel-io/flannel-cni-plugin:v${v.flannelCniImage}`,
    entrypoint: ["/flannel"],
    tools: { flannel: "flannel", cp: "usr/bin/cp" },
  },
  { ...single("docker.io/istio/pilot", v.istio, "pilot-discovery"), user: "1337:1337" },
  {
    ref: `docker.io/istio/proxyv2:${v.istio}`,
    entrypoint: ["/usr/local/bin/pilot-agent"],
    env: { ISTIO_META_ISTIO_VERSION: v.istio },
    tools: { "pilot-agent": "usr/local/bin/pilot-agent", envoy: "usr/local/bin/envoy" },
    istioFiles: {
      "tools/packaging/common/envoy_bootstrap.json": "var/lib/istio/envoy/envoy_bootstrap_tmpl.json",
    },
    network: true,
  },
  single("localhost/kvmesh/echo", "1", "echo"),
];

/** Of a cluster without a mesh. */
export const clusterImages: readonly ImageRecipe[] = imageRecipes().filter(({ ref }) => !/istio|kvmesh/.test(ref));
