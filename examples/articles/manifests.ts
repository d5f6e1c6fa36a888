import { Canary, IngressGateway, IstioMesh, MeshNamespace, StrictMtls } from "../../components/mesh";
import type { ChartSource } from "../../config/spec";
import type { Milliseconds } from "../../config/units";

export interface ArticlesArgs {
  readonly istioVersion: string;
  readonly charts: ChartSource;
}

/** One declaration for each manifest of the articles; returns the mesh that they are in. */
export function declareArticles(args: ArticlesArgs): IstioMesh {
  // istioctl's default profile, with the proxies' resources spelled out.
  const mesh = new IstioMesh("istio", {
    environment: "staging",
    timeouts: { rollout: (10 * 60_000) as Milliseconds },
    spec: {
      provider: "istio",
      version: args.istioVersion,
      profile: "default",
      charts: args.charts,
      hub: "docker.io/istio",
      imagePullPolicy: "IfNotPresent",
      replicas: 1,
      istiodResources: { requests: { cpu: "500m", memory: "2048Mi" }, limits: { memory: "4096Mi" } },
      sidecarResources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "2000m", memory: "1024Mi" } },
      mtls: "STRICT",
      traceSampling: 1,
      gatewayServiceType: "LoadBalancer",
      gatewayReplicas: 1,
      istiodValues: {},
      gatewayValues: {},
    },
  });
  const inMesh = { dependsOn: [mesh.controlPlane] };

  // kubectl label namespace default istio-injection=enabled
  const base = new MeshNamespace("default", {
    name: "default",
    injection: true,
    podSecurity: "privileged",
    existing: true,
  });
  const payment = new MeshNamespace("backend-payment", {
    name: "backend-payment",
    injection: true,
    podSecurity: "privileged",
    existing: false,
  });

  // PeerAuthentication STRICT: namespaces first, the mesh last.
  const strict = [
    new StrictMtls("default-mtls", { namespace: "default" }, { dependsOn: [mesh.controlPlane, base.namespace] }),
    new StrictMtls(
      "backend-payment-mtls",
      { namespace: "backend-payment" },
      { dependsOn: [mesh.controlPlane, payment.namespace] },
    ),
  ];
  new StrictMtls("mesh-mtls", { namespace: "istio-system" }, { dependsOn: strict.map((s) => s.peerAuthentication) });

  const gateway = new IngressGateway(
    "app-gateway",
    {
      name: "app-gateway",
      namespace: "default",
      selector: { istio: "ingressgateway" },
      port: 80,
      protocol: "HTTP",
      hosts: ["*"],
    },
    { dependsOn: [mesh.gateway] },
  );

  // 90 % to v1 and 10 % to v2: through the gateway, and twice in the mesh.
  const weights = [
    { subset: "v1", weight: 90 },
    { subset: "v2", weight: 10 },
  ];
  new Canary(
    "my-service",
    { namespace: "default", service: "my-service", hosts: ["*"], gateways: ["app-gateway"], weights },
    { dependsOn: [gateway.gateway] },
  );
  new Canary("frontend", { namespace: "default", service: "frontend", weights }, inMesh);
  new Canary("my-api", { namespace: "default", service: "my-api", weights }, inMesh);

  return mesh;
}
