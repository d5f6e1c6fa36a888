import type { Percent } from "../units";

export interface ChartSource {
  /** Exactly one. */
  readonly repository?: string;
  readonly oci?: string;
  /** A folder on this machine that holds one folder a chart. */
  readonly folder?: string;
}

export interface MeshSpec {
  /** `none`: no mesh ("pay the mesh tax only if needed"). */
  readonly provider: "istio" | "none";
  /** Exact version, "1.28.3". */
  readonly version: string;
  /** Istio's installation profile; `demo` is refused in production. */
  readonly profile: "default" | "demo";
  readonly charts: ChartSource;
  /** Image hub and pull policy; default docker.io/istio, IfNotPresent. */
  readonly hub: string;
  readonly imagePullPolicy: "IfNotPresent" | "Never" | "Always";
  /** istiod replicas; default 2 in production, else 1. */
  readonly replicas: number;
  readonly istiodResources: ResourcesSpec;
  /** Resources of each sidecar; default requests 100m / 128Mi, limits 2000m / 1024Mi. */
  readonly sidecarResources: ResourcesSpec;
  /** Mesh-wide mutual TLS; default STRICT in production. `unset` leaves it to the namespaces. */
  readonly mtls: "STRICT" | "PERMISSIVE" | "unset";
  /** Traces sampled, in percent; default 1. */
  readonly traceSampling: number;
  /** Ingress gateway's Service type; default LoadBalancer. */
  readonly gatewayServiceType: "LoadBalancer" | "NodePort" | "ClusterIP";
  readonly gatewayReplicas: number;
  /** Added to the istiod chart's values, and so to the gateway chart's below. */
  readonly istiodValues: Readonly<Record<string, unknown>>;
  readonly gatewayValues: Readonly<Record<string, unknown>>;
}

/** Kubernetes quantities, as in a container's resources. */
export interface ResourcesSpec {
  readonly requests: { readonly cpu: string; readonly memory: string };
  readonly limits: { readonly cpu?: string; readonly memory: string };
}

export interface NamespaceSpec {
  readonly name: string;
  /** Sidecar injection by label; default true when there is a mesh and no revision. */
  readonly injection: boolean;
  /** Istio revision instead of the injection label. */
  readonly revision?: string;
  /** Default STRICT in production, else unset. */
  readonly mtls: "STRICT" | "PERMISSIVE" | "unset";
  /** Pod Security level enforced; default: `privileged` with sidecars, because istio-init needs NET_ADMIN; else baseline. */
  readonly podSecurity: "privileged" | "baseline" | "restricted";
  /** Default false: the namespace exists already (such as `default`) and is only labelled. */
  readonly existing: boolean;
}

/** A Service with one Deployment a version: what a canary shifts traffic between. */
export interface ServiceSpec {
  readonly name: string;
  readonly namespace: string;
  /** Port of the Service; the container listens on targetPort. */
  readonly port: number;
  readonly targetPort: number;
  readonly versions: readonly ServiceVersionSpec[];
}

export interface ServiceVersionSpec {
  /** Value of the label `version`. */
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly replicas: number;
  readonly imagePullPolicy: "IfNotPresent" | "Never" | "Always";
}

export interface GatewaySpec {
  readonly name: string;
  readonly namespace: string;
  readonly hosts: readonly string[];
  readonly port: number;
  readonly protocol: "HTTP" | "HTTPS";
  /** Name of the TLS secret, for HTTPS. */
  readonly tlsSecret?: string;
  /** Default { istio: "ingressgateway" }. */
  readonly selector: Readonly<Record<string, string>>;
}

export interface CanarySpec {
  /** Name of the DestinationRule and VirtualService; default: the service's name. */
  readonly name: string;
  readonly namespace: string;
  /** The Kubernetes service whose traffic is split. */
  readonly service: string;
  /** VirtualService hosts; default: [service]. */
  readonly hosts: readonly string[];
  /** Names of Gateways; empty: in-mesh only. */
  readonly gateways: readonly string[];
  /** subset → weight; sums to 100. Subset name = value of the label `version`. */
  readonly weights: readonly { readonly subset: string; readonly weight: Percent }[];
}
