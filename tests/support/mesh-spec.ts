import type { MeshLayerArgs } from "../../components/mesh";
import type { MeshSpec } from "../../config/spec";
import type { Milliseconds, Percent } from "../../config/units";

/** A mesh as the stack file's defaults give it, with changes. */
export function meshSpec(change: Partial<MeshSpec> = {}): MeshSpec {
  return {
    provider: "istio",
    version: "1.28.3",
    profile: "default",
    charts: { repository: "https://charts.example.no/istio" },
    hub: "docker.io/istio",
    imagePullPolicy: "IfNotPresent",
    replicas: 2,
    istiodResources: { requests: { cpu: "500m", memory: "2048Mi" }, limits: { memory: "4096Mi" } },
    sidecarResources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "2000m", memory: "1024Mi" } },
    mtls: "STRICT",
    traceSampling: 1,
    gatewayServiceType: "LoadBalancer",
    gatewayReplicas: 2,
    istiodValues: {},
    gatewayValues: {},
    ...change,
  };
}

/** One namespace with a service of two versions, a gateway, and a canary through it. */
export function layerArgs(): MeshLayerArgs {
  const version = {
    image: "registry.example.no/web:1",
    args: [],
    replicas: 1,
    imagePullPolicy: "IfNotPresent",
  } as const;
  return {
    mesh: meshSpec(),
    environment: "production",
    timeouts: {
      connect: 15_000 as Milliseconds,
      boot: 300_000 as Milliseconds,
      kubeadm: 600_000 as Milliseconds,
      rollout: 600_000 as Milliseconds,
    },
    namespaces: [{ name: "shop", injection: true, mtls: "STRICT", podSecurity: "privileged", existing: false }],
    services: [
      {
        name: "web",
        namespace: "shop",
        port: 80,
        targetPort: 8080,
        versions: [
          { ...version, name: "v1" },
          { ...version, name: "v2" },
        ],
      },
    ],
    gateways: [
      {
        name: "edge",
        namespace: "shop",
        hosts: ["*"],
        port: 80,
        protocol: "HTTP",
        selector: { istio: "ingressgateway" },
      },
    ],
    canaries: [
      {
        name: "web",
        namespace: "shop",
        service: "web",
        hosts: ["*"],
        gateways: ["edge"],
        weights: [
          { subset: "v1", weight: 90 as Percent },
          { subset: "v2", weight: 10 as Percent },
        ],
      },
    ],
  };
}
