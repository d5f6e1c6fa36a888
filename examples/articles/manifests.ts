import { Canary, Gateway, IstioMesh, MeshNamespace, MutualTls, type IstioMeshArgs } from "../../components/mesh";

export interface ArticlesArgs {
  readonly istioVersion: string;
  readonly charts: IstioMeshArgs["charts"];
}

/** One declaration for each manifest of the articles; returns the mesh that they are in. */
export function declareArticles({ istioVersion, charts }: ArticlesArgs): IstioMesh {
  // istioctl's default profile, with the proxies' resources spelled out.
  const mesh = new IstioMesh("istio", {
    version: istioVersion,
    environment: "staging",
    charts,
    sidecarResources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "2000m", memory: "1024Mi" } },
  });
  const inMesh = { dependsOn: [mesh.controlPlane] };

  // kubectl label namespace default istio-injection=enabled
  const base = new MeshNamespace("default");
  const payment = new MeshNamespace("backend-payment");

  // PeerAuthentication STRICT: namespaces first, the mesh last.
  const strict = [
    new MutualTls("default-mtls", { namespace: base }, inMesh),
    new MutualTls("backend-payment-mtls", { namespace: payment }, inMesh),
  ];
  new MutualTls("mesh-mtls", { namespace: "istio-system" }, { dependsOn: strict.map((s) => s.peerAuthentication) });

  const edge = new Gateway("app-gateway", { protocol: "HTTP" }, { dependsOn: [mesh.gateway] });

  // 90 % to v1 and 10 % to v2: through the gateway, and twice in the mesh.
  const weights = { v1: 90, v2: 10 };
  new Canary("my-service", { service: { name: "my-service" }, hosts: ["*"], gateways: [edge], weights });
  new Canary("frontend", { service: { name: "frontend" }, weights }, inMesh);
  new Canary("my-api", { service: { name: "my-api" }, weights }, inMesh);

  return mesh;
}
