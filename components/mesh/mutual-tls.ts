import * as pulumi from "@pulumi/pulumi";
import type { MtlsMode, PeerAuthenticationSpec } from "./api";
import { PeerAuthentication } from "./istio-objects";
import { MeshNamespace } from "./namespace";
import { childOptions } from "./options";

/** Istio's root namespace: a PeerAuthentication without selector there holds for the whole mesh. */
export const rootNamespace = "istio-system";

export interface MutualTlsArgs {
  /** A namespace, or `istio-system` for the whole mesh. */
  readonly namespace: MeshNamespace | string;
  /** Default STRICT; PERMISSIVE is the step before it, while clients outside the mesh remain. */
  readonly mode?: MtlsMode;
  /** Name of the PeerAuthentication; default `default`, which Istio's documentation and tools expect. */
  readonly name?: string;
}

/** What workloads accept, in one namespace or mesh-wide: a PeerAuthentication. Declare namespaces first and the mesh last. */
export class MutualTls extends pulumi.ComponentResource {
  readonly peerAuthentication: PeerAuthentication;

  constructor(name: string, args: MutualTlsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kvmesh:mesh:MutualTls", name, {}, opts);
    const of = args.namespace;
    const ref = { name: args.name ?? "default", namespace: typeof of === "string" ? of : of.name };
    this.peerAuthentication = new PeerAuthentication(
      `${name}-peer-authentication`,
      ref,
      peerAuthenticationSpec(args.mode),
      childOptions(this, opts, typeof of === "string" ? [] : [of.namespace]),
    );
    this.registerOutputs({ peerAuthentication: `${ref.namespace}/${ref.name}` });
  }
}

export function peerAuthenticationSpec(mode: MtlsMode = "STRICT"): PeerAuthenticationSpec {
  return { mtls: { mode } };
}
