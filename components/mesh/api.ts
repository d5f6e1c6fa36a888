/**
 * The part of Istio's API that kvmesh declares, as types of ours: what a field may hold is checked by the compiler,
 * and a field that isn't here is one that nobody has thought about yet.
 *
 * Source: networking.istio.io/v1 and security.istio.io/v1, served since Istio 1.22; field names as in the CRDs.
 */

/** `security.istio.io/v1` PeerAuthentication without a selector: the whole namespace, or the mesh in the root namespace. */
export interface PeerAuthenticationSpec {
  readonly mtls: { readonly mode: MtlsMode };
}

/** DISABLE is left out on purpose: nothing of ours turns mutual TLS off. */
export type MtlsMode = "STRICT" | "PERMISSIVE";

/** `networking.istio.io/v1` Gateway. */
export interface GatewayManifestSpec {
  /** Labels of the gateway's pods, in any namespace. */
  readonly selector: Readonly<Record<string, string>>;
  readonly servers: readonly GatewayServer[];
}

export interface GatewayServer {
  readonly port: { readonly number: number; readonly name: string; readonly protocol: "HTTP" | "HTTPS" };
  readonly hosts: readonly string[];
  readonly tls?: {
    readonly mode: "SIMPLE";
    /** TLS secret in the namespace of the gateway's pods. */
    readonly credentialName: string;
  };
}

/** `networking.istio.io/v1` DestinationRule. */
export interface DestinationRuleSpec {
  readonly host: string;
  readonly subsets: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
}

/** `networking.istio.io/v1` VirtualService. */
export interface VirtualServiceSpec {
  readonly hosts: readonly string[];
  /** Left out: the sidecars of the mesh. Names a Gateway of the same namespace, `namespace/name`, or `mesh`. */
  readonly gateways?: readonly string[];
  readonly http: readonly HttpRoute[];
}

export interface HttpRoute {
  readonly route: readonly {
    readonly destination: { readonly host: string; readonly subset: string };
    /** Percent; the weights of a route sum to 100. */
    readonly weight: number;
  }[];
}
