import { expect } from "chai";
import { declareArticles } from "../../examples/articles/manifests";
import { find, recordResources, type RecordedResource } from "../support/recorded-resources";

/** Each manifest of the source articles, as the articles give it. */
const manifests = {
  gateway: {
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    metadata: { name: "app-gateway", namespace: "default" },
    spec: {
      selector: { istio: "ingressgateway" },
      servers: [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["*"] }],
    },
  },
  canary: (service: string, spec: object) => ({
    destinationRule: {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: service, namespace: "default" },
      spec: {
        host: service,
        subsets: [
          { name: "v1", labels: { version: "v1" } },
          { name: "v2", labels: { version: "v2" } },
        ],
      },
    },
    virtualService: {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: service, namespace: "default" },
      spec: {
        ...spec,
        http: [
          {
            route: [
              { destination: { host: service, subset: "v1" }, weight: 90 },
              { destination: { host: service, subset: "v2" }, weight: 10 },
            ],
          },
        ],
      },
    },
  }),
  strict: (namespace: string) => ({
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: { name: "default", namespace },
    spec: { mtls: { mode: "STRICT" } },
  }),
};

describe("The manifests of the source articles", () => {
  let all: RecordedResource[];
  const inputs = (type: string, name: string): Record<string, unknown> => find(all, `kubernetes:${type}`, name).inputs;

  before(async () => {
    all = await recordResources(() =>
      declareArticles({ istioVersion: "1.28.3", charts: { repository: "https://charts.example.no/istio" } }),
    );
  });

  it("Gateway app-gateway", () => {
    expect(inputs("networking.istio.io/v1:Gateway", "app-gateway-gateway")).to.deep.equal(manifests.gateway);
  });

  for (const [service, spec] of [
    ["my-service", { hosts: ["*"], gateways: ["app-gateway"] }],
    ["frontend", { hosts: ["frontend"] }],
    ["my-api", { hosts: ["my-api"] }],
  ] as const) {
    it(`canary ${service} 90/10`, () => {
      const { destinationRule, virtualService } = manifests.canary(service, spec);
      expect(inputs("networking.istio.io/v1:DestinationRule", `${service}-destination-rule`)).to.deep.equal(
        destinationRule,
      );
      expect(inputs("networking.istio.io/v1:VirtualService", `${service}-virtual-service`)).to.deep.equal(
        virtualService,
      );
    });
  }

  for (const [name, namespace] of [
    ["default-mtls", "default"],
    ["backend-payment-mtls", "backend-payment"],
    ["mesh-mtls", "istio-system"],
  ] as const) {
    it(`PeerAuthentication STRICT in ${namespace}`, () => {
      expect(inputs("security.istio.io/v1:PeerAuthentication", `${name}-peer-authentication`)).to.deep.equal(
        manifests.strict(namespace),
      );
    });
  }

  it("namespace default with injection on", () => {
    const { metadata } = inputs("core/v1:NamespacePatch", "default-labels");
    expect(metadata).to.have.property("name", "default");
    expect(metadata).to.have.nested.property("labels.istio-injection", "enabled");
  });

  it("proxy resources: requests 100m / 128Mi, limits 2000m / 1024Mi", () => {
    expect(inputs("helm.sh/v3:Release", "istio-istiod")).to.have.deep.nested.property("values.global.proxy.resources", {
      requests: { cpu: "100m", memory: "128Mi" },
      limits: { cpu: "2000m", memory: "1024Mi" },
    });
  });

  it("namespaces turn STRICT before the mesh", () => {
    expect(
      find(all, "kubernetes:security.istio.io/v1:PeerAuthentication", "mesh-mtls-peer-authentication").dependsOn,
    ).to.include.members(["default-mtls-peer-authentication", "backend-payment-mtls-peer-authentication"]);
  });
});
