import { Namespace, NamespacePatch } from "@pulumi/kubernetes/core/v1";
import * as pulumi from "@pulumi/pulumi";
import * as section from "../../config/sections/namespaces";
import { validate } from "../../config/validate";
import { resolved } from "../input-error";
import { childOptions } from "./options";

export interface MeshNamespaceArgs {
  /** Default: the component's name. */
  readonly name?: string;
  /** Sidecar injection by label; default true, false with a revision. */
  readonly injection?: boolean;
  /** Istio revision instead of the injection label. */
  readonly revision?: string;
  /** Pod Security level enforced; default `privileged` with sidecars, because istio-init needs NET_ADMIN, else `baseline`. */
  readonly podSecurity?: "privileged" | "baseline" | "restricted";
  /** The namespace is there already: it is only labelled, and never deleted. Default: true for `default`. */
  readonly existing?: boolean;
}

/**
 * A namespace and its labels: sidecar injection and Pod Security.
 *
 * An existing namespace (such as `default`) is only labelled, by server-side apply: on destroy the labels go, the
 * namespace stays.
 */
export class MeshNamespace extends pulumi.ComponentResource {
  readonly name: string;
  /** What workloads of the namespace depend on. */
  readonly namespace: Namespace | NamespacePatch;

  /** @throws InputError */
  constructor(name: string, args: MeshNamespaceArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const spec = namespaceSpec(name, args);
    super("kvmesh:mesh:MeshNamespace", name, {}, opts);
    this.name = spec.name;
    const metadata = { name: spec.name, labels: namespaceLabels(spec) };
    const child = childOptions(this, opts);
    this.namespace = spec.existing
      ? new NamespacePatch(`${name}-labels`, { metadata }, child)
      : new Namespace(`${name}-namespace`, { metadata }, child);
    this.registerOutputs({ namespace: spec.name });
  }
}

type LabelSpec = Omit<section.NamespaceSpec, "mtls">;

/** @throws InputError when the Pod Security level would refuse every injected pod, or both label and revision are asked for */
export function namespaceSpec(component: string, { name = component, ...args }: MeshNamespaceArgs): LabelSpec {
  return resolved(`namespace ${name}`, (findings) => {
    const entry = validate(section.entry, { ...args }, [], findings.problems);
    const spec = entry && section.complete(name, entry, { environment: "development", meshed: true });
    if (spec) section.checkAlone(spec, [], findings);
    return spec;
  });
}

/**
 * One of injection label and revision, or injection said to be off; never both.
 *
 * Sidecars capture traffic by the init container `istio-init`, which needs the capabilities NET_ADMIN and NET_RAW: the
 * Pod Security levels baseline and restricted refuse every pod that has it. kvmesh does not install Istio's CNI plugin
 * yet, which would do without; so an injected namespace can only enforce `privileged`. `warn` is `restricted` all the
 * same: it is judged on Deployments, before injection, and so still tells of workloads that ask for too much.
 */
function namespaceLabels(spec: LabelSpec): Record<string, string> {
  return {
    ...injectionLabel(spec),
    "pod-security.kubernetes.io/enforce": spec.podSecurity,
    "pod-security.kubernetes.io/warn": "restricted",
  };
}

function injectionLabel({ injection, revision }: LabelSpec): Record<string, string> {
  if (revision !== undefined) return { "istio.io/rev": revision };
  return { "istio-injection": injection ? "enabled" : "disabled" };
}
