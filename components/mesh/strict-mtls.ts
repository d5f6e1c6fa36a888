import * as pulumi from "@pulumi/pulumi";
import type { MtlsMode, PeerAuthenticationSpec } from "./api";
import { childOptions } from "./options";
import { PeerAuthentication } from "./resources";

/** Istio's root namespace: a PeerAuthentication without selector there holds for the whole mesh. */
export const rootNamespace = "istio-system";

export interface StrictMtlsArgs {
  /** A namespace, or `istio-system` for the whole mesh. */
  readonly namespace: string;
  /** Default STRICT; PERMISSIVE is the step before it, while clients outside the mesh remain. */
  readonly mode?: MtlsMode;
  /** Name of the PeerAuthentication; default `default`, which Istio's documentation and tools expect. */
  readonly name?: string;
}

/** Workloads take only mutual TLS, in one namespace or mesh-wide. Declare namespaces first and the mesh last. */
export class StrictMtls extends pulumi.ComponentResource {
  readonly peerAuthentication: PeerAuthentication;

  constructor(name: string, args: StrictMtlsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kvmesh:mesh:StrictMtls", name, {}, opts);
    this.peerAuthentication = new PeerAuthentication(
      `${name}-peer-authentication`,
      { name: args.name ?? "default", namespace: args.namespace },
      peerAuthenticationSpec(args.mode),
      childOptions(this, opts),
    );
    this.registerOutputs({ peerAuthentication: `${args.namespace}/${args.name ?? "default"}` });
  }
}

export function peerAuthenticationSpec(mode: MtlsMode = "STRICT"): PeerAuthenticationSpec {
  return { mtls: { mode } };
}
