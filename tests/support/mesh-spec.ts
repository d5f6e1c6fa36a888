import type { MeshLayerArgs } from "../../components/mesh";
import type { MeshSpec } from "../../config/spec";
import { specOf } from "./stack";

const MESH = { version: "1.28.3", charts: { repository: "https://charts.example.no/istio" } };

/** A mesh in production as the parser gives it, with changes of the stack file's section. */
export function meshSpec(change: object = {}): MeshSpec {
  return specOf({ environment: "production", mesh: { ...MESH, ...change } }).mesh;
}

/** One namespace with a service of two versions, a gateway, and a canary through it, in production. */
export function layerArgs(): MeshLayerArgs {
  return specOf({
    environment: "production",
    mesh: MESH,
    namespaces: { shop: {} },
    services: {
      web: {
        namespace: "shop",
        targetPort: 8080,
        versions: { v1: { image: "registry.example.no/web:1" }, v2: { image: "registry.example.no/web:1" } },
      },
    },
    gateways: { edge: { namespace: "shop", protocol: "HTTP" } },
    canaries: { web: { namespace: "shop", hosts: ["*"], gateways: ["edge"], weights: { v1: 90, v2: 10 } } },
  });
}
