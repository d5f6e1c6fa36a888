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
      /** "sha256:<hex>" of Release.key; default: the key of the first run, kept in state. */
      keyDigest: z
        .string()
        .regex(/^sha256:[0-9a-f]{64}$/, 'must be "sha256:" and 64 hexadecimal digits')
        .optional(),
    }),
  ]),
  identity,
});

export type NodeRuntimeInputs = z.output<typeof nodeRuntimeArgs>;
export type AptPackages = Extract<NodeRuntimeInputs["packages"], { source: "apt" }>;

export interface NodeRuntimeOutputs {
  /** What is on the node: kubelet, kubeadm, containerd → version. */
  readonly versions: Readonly<Record<string, string>>;
  /** "sha256:<hex>" of the repository's key, with apt. */
  readonly keyDigest?: string;
}
