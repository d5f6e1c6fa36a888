import { z } from "zod";
import * as field from "./fields";

const packages = z.discriminatedUnion("source", [
  z.strictObject({ source: z.literal("preinstalled").meta({ description: "In the image already; only checked" }) }),
  z.strictObject({
    source: z.literal("apt"),
    repository: field.text("apt repository; default: Kubernetes' own for the minor version").optional(),
    keyFingerprints: z
      .array(
        field.parsed(
          parseFingerprint,
          "OpenPGP fingerprint of a key that the repository is signed with; default: Kubernetes' own",
          ["DE15 B144 86CD 377B 9E87  6E1A 2346 54DA 9A29 6436"],
        ),
      )
      .min(1)
      .optional(),
  }),
]);

const cni = z.strictObject({
  plugin: z.literal("flannel").default("flannel"),
  version: field.exactVersion("Exact flannel version").default("0.28.4"),
  backend: z
    .enum(["vxlan", "host-gw"])
    .meta({ description: "host-gw needs all nodes on one L2 network" })
    .default("vxlan"),
  imageRepository: field.text("Repository prefix of the images").default("ghcr.io/flannel-io"),
});

export const kubernetes = z.strictObject({
  version: field.exactVersion("Exact Kubernetes version"),
  endpoint: field
    .parsed(parseEndpoint, "host[:port] that every node and kubeconfig use; default: the only control plane", [
      "10.0.10.10:6443",
    ])
    .optional(),
  podCidr: field.cidr("Pods' network").prefault("10.244.0.0/16"),
  serviceCidr: field.cidr("Services' network").prefault("10.96.0.0/16"),
  cni: cni.prefault({}),
  packages: packages.prefault({ source: "apt" }),
  imageRepository: field.text("Where Kubernetes' images come from").default("registry.k8s.io"),
  imagePullPolicy: field.pullPolicy.default("IfNotPresent"),
  scheduleOnControlPlanes: field.flag("Control planes also run workloads").default(false),
  ignorePreflightErrors: z
    .array(z.string().min(1))
    .meta({ description: "kubeadm preflight checks that are known to fail on these machines" })
    .default([]),
  kubelet: field.passthrough("Added to KubeletConfiguration").default({}),
  kubeProxy: field.passthrough("Added to KubeProxyConfiguration").default({}),
});

/** As `gpg --show-keys` prints it, with blanks or without. */
function parseFingerprint(text: string): string {
  const digits = text.replace(/\s+/g, "").toUpperCase();
  if (/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(digits)) return digits;
  throw new Error("give the whole fingerprint, 40 hexadecimal digits, as `gpg --show-keys Release.key` prints it");
}

function parseEndpoint(text: string): { host: string; port: number } {
  const match = /^([A-Za-z0-9.-]+)(?::(\d{1,5}))?$/.exec(text.trim());
  const port = Number(match?.[2] ?? 6443);
  if (!match || port < 1 || port > 65_535) throw new Error("give host or host:port, such as 10.0.10.10:6443");
  return { host: match[1]!, port };
}
