/** The service mesh: control plane, namespaces, mutual TLS, services, gateways and canaries as typed resources. */
export * from "./api";
export { Canary, type CanaryArgs } from "./canary";
export { MeshInputError } from "./errors";
export { IngressGateway, type IngressGatewayArgs } from "./ingress-gateway";
export { gatewayName, gatewayNamespace, IstioMesh, type IstioMeshArgs } from "./istio-mesh";
export { MeshLayer, type MeshLayerArgs } from "./mesh-layer";
export { MeshNamespace, type MeshNamespaceArgs } from "./namespace";
export { rootNamespace, StrictMtls, type StrictMtlsArgs } from "./strict-mtls";
export { VersionedService, type VersionedServiceArgs } from "./versioned-service";
