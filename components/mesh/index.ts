/** The service mesh: control plane, namespaces, mutual TLS, services, gateways and canaries as typed resources. */
export * from "./api";
export { Canary, type CanaryArgs, type ServiceRef } from "./canary";
export { Gateway, type GatewayArgs } from "./gateway";
export { gatewayName, gatewayNamespace, IstioMesh, type IstioMeshArgs } from "./istio-mesh";
export { MeshLayer, type MeshLayerArgs } from "./mesh-layer";
export { MutualTls, rootNamespace, type MutualTlsArgs } from "./mutual-tls";
export { MeshNamespace, type MeshNamespaceArgs } from "./namespace";
export { VersionedService, type ServiceVersionArgs, type VersionedServiceArgs } from "./versioned-service";
