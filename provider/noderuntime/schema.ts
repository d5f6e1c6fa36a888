import { z } from "zod";
import { endpoint, owner } from "../core/check";
import { exactVersion, identity, nodeName } from "../node/inputs";

export const nodeRuntimeArgs = z.strictObject({
  endpoint,
  owner,
  name: nodeName,
  kubernetesVersion: exactVersion,
  packages: z.discriminatedUnion("source", [
    z.strictObject({ source: z.literal("preinstalled") }),
    z.strictObject({
      source: z.literal("apt"),
      /** Flat repository of one minor version, with its key in Release.key, as pkgs.k8s.io and its mirrors have it. */
      repository: z
        .string()
        .regex(
          /^(https?|file):\/\/?[A-Za-z0-9][A-Za-z0-9._~:/%+-]*$|^file:\/[A-Za-z0-9._/+-]+$/,
          "must be an http(s) or file URL",
        ),
      /** Of the primary keys that may be in Release.key; never learned from the repository itself. */
      keyFingerprints: z
        .array(z.string().regex(/^([0-9A-F]{40}|[0-9A-F]{64})$/, "must be 40 or 64 hexadecimal digits in upper case"))
        .min(1),
    }),
  ]),
  identity,
});

export type NodeRuntimeInputs = z.output<typeof nodeRuntimeArgs>;
export type AptPackages = Extract<NodeRuntimeInputs["packages"], { source: "apt" }>;

export interface NodeRuntimeOutputs {
  /** What is on the node: kubelet, kubeadm, containerd → version. */
  readonly versions: Readonly<Record<string, string>>;
}
