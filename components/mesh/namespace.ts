import { Namespace, NamespacePatch } from "@pulumi/kubernetes/core/v1";
import * as pulumi from "@pulumi/pulumi";
import type { NamespaceSpec } from "../../config/spec";
import { MeshInputError } from "./errors";
import { childOptions } from "./options";

export type MeshNamespaceArgs = Omit<NamespaceSpec, "mtls">;

/**
 * A namespace and its labels: sidecar injection and Pod Security.
 *
 * An existing namespace (such as `default`) is only labelled, by server-side apply: on destroy the labels go, the
 * namespace stays.
 */
export class MeshNamespace extends pulumi.ComponentResource {
  /** What workloads of the namespace depend on. */
  readonly namespace: Namespace | NamespacePatch;

  constructor(name: string, args: MeshNamespaceArgs, opts?: pulumi.ComponentResourceOptions) {
    const metadata = { name: args.name, labels: namespaceLabels(args) };
    super("kvmesh:mesh:MeshNamespace", name, {}, opts);
    const child = childOptions(this, opts);
    this.namespace = args.existing
      ? new NamespacePatch(`${name}-labels`, { metadata }, child)
      : new Namespace(`${name}-namespace`, { metadata }, child);
    this.registerOutputs({ namespace: args.name });
  }
}

/**
 * One of injection label and revision, or injection said to be off; never both.
 *
 * Sidecars capture traffic by the init container `istio-init`, which needs the capabilities NET_ADMIN and NET_RAW: the
 * Pod Security levels baseline and restricted refuse every pod that has it. kvmesh does not install Istio's CNI plugin
 * yet, which would do without; so an injected namespace can only enforce `privileged`. `warn` is `restricted` all the
 * same: it is judged on Deployments, before injection, and so still tells of workloads that ask for too much.
 *
 * @throws MeshInputError when the Pod Security level would refuse every injected pod, or both label and revision are asked for.
 */
export function namespaceLabels(args: MeshNamespaceArgs): Record<string, string> {
  const where = `namespace ${args.name}`;
  if (args.revision !== undefined && args.injection) {
    throw new MeshInputError(
      where,
      `revision "${args.revision}" and injection together`,
      "The revision injects by itself: set injection to false",
    );
  }
  if ((args.injection || args.revision !== undefined) && args.podSecurity !== "privileged") {
    throw new MeshInputError(
      where,
      `podSecurity "${args.podSecurity}" with sidecar injection`,
      "It would refuse every injected pod, because istio-init needs NET_ADMIN and NET_RAW: " +
        'use "privileged" (restricted stays as a warning), or turn injection off',
    );
  }
  return {
    ...injectionLabel(args),
    "pod-security.kubernetes.io/enforce": args.podSecurity,
    "pod-security.kubernetes.io/warn": "restricted",
  };
}

function injectionLabel({ injection, revision }: MeshNamespaceArgs): Record<string, string> {
  if (revision !== undefined) {
    return { "istio.io/rev": revision };
  }
  return { "istio-injection": injection ? "enabled" : "disabled" };
}
