import { expect } from "chai";
import { Canary, Gateway, MeshNamespace, MutualTls, VersionedService, type CanaryArgs } from "../../components/mesh";
import { find, recordResources } from "../support/recorded-resources";

const canary: CanaryArgs = {
  service: { name: "web", namespace: "shop" },
  weights: { v1: 90, v2: 10 },
};

/** What a constructor throws, and how many resources it had declared by then. */
async function refused(program: () => void): Promise<{ message: string; declared: number }> {
  let message = "";
  const declared = await recordResources(() => {
    try {
      program();
    } catch (error) {
      message = (error as Error).message;
    }
  });
  return { message, declared: declared.length };
}

describe("Canary", () => {
  it("makes the rule before the route, both named after the service", async () => {
    const all = await recordResources(() => new Canary("shop-web", canary));
    const rule = find(all, "kubernetes:networking.istio.io/v1:DestinationRule", "shop-web-destination-rule");
    const route = find(all, "kubernetes:networking.istio.io/v1:VirtualService", "shop-web-virtual-service");
    expect(rule.inputs).to.deep.equal({
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: "web", namespace: "shop" },
      spec: {
        host: "web",
        subsets: [
          { name: "v1", labels: { version: "v1" } },
          { name: "v2", labels: { version: "v2" } },
        ],
      },
    });
    expect(route.inputs).to.deep.equal({
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "web", namespace: "shop" },
      spec: {
        hosts: ["web"],
        http: [
          {
            route: [
              { destination: { host: "web", subset: "v1" }, weight: 90 },
              { destination: { host: "web", subset: "v2" }, weight: 10 },
            ],
          },
        ],
      },
    });
    expect(route.dependsOn).to.include("shop-web-destination-rule");
    expect(rule.dependsOn).not.to.include("shop-web-virtual-service");
    expect([rule.parent, route.parent]).to.deep.equal(["shop-web", "shop-web"]);
  });

  it("keeps the subset and its route at weight 0, so that a revert is one change", async () => {
    const weights = { v1: 100, v2: 0 };
    const all = await recordResources(() => new Canary("c", { ...canary, weights }));
    expect(find(all, "kubernetes:networking.istio.io/v1:DestinationRule", "c-destination-rule").inputs.spec)
      .to.have.property("subsets")
      .with.lengthOf(2);
    expect(
      find(all, "kubernetes:networking.istio.io/v1:VirtualService", "c-virtual-service").inputs.spec,
    ).to.have.nested.property("http[0].route[1].weight", 0);
  });

  for (const [title, weights, expected] of [
    ["90/20", [90, 20], "the sum is 110"],
    ["0/0", [0, 0], "the sum is 0"],
    ["a lone 10", [10], "the sum is 10"],
    ["negative", [110, -10], "weights.v0: found 110"],
    ["fractional", [90.5, 9.5], "weights.v0: found 90.5"],
    ["none", [], 'found "none"; the sum is 0'],
  ] as const) {
    it(`refuses weights ${title} before it makes anything`, async () => {
      const args = { ...canary, weights: Object.fromEntries(weights.map((weight, i) => [`v${i}`, weight])) };
      const { message, declared } = await refused(() => new Canary("c", args));
      expect(message).to.contain("canary shop/web").and.to.contain(expected);
      expect(declared).to.equal(0);
    });
  }

  it("takes service and gateway as values: it comes after them, and refuses a version that the service has not", async () => {
    const all = await recordResources(() => {
      const web = new VersionedService("web", {
        namespace: "shop",
        versions: { v1: { image: "a" }, v2: { image: "b" } },
      });
      const edge = new Gateway("edge", { namespace: "edge", protocol: "HTTP" });
      new Canary("c", { service: web, gateways: [edge, "mesh"], hosts: ["web"], weights: { v1: 90, v2: 10 } });
      expect(() => new Canary("d", { service: web, weights: { v1: 90, v3: 10 } })).to.throw(
        /canary shop\/web.*weights\.v3: found 10; service web has no such version/s,
      );
    });
    const route = find(all, "kubernetes:networking.istio.io/v1:VirtualService", "c-virtual-service");
    expect(route.inputs).to.have.deep.nested.property("spec.gateways", ["edge/edge", "mesh"]);
    expect(route.dependsOn).to.include("web-service").and.to.include("edge-gateway");
    expect(all.map(({ name }) => name)).not.to.include("d");
  });

  it("names everything that is wrong at once, each with its path", async () => {
    const { message } = await refused(
      () => new Canary("c", { service: { name: "web" }, hosts: ["*"], weights: { v1: 90, v2: 20 } }),
    );
    expect(message).to.contain("- weights: ").and.to.contain("- hosts: ");
  });

  it('refuses host "*" for the sidecars, and takes it for a gateway', async () => {
    const { message, declared } = await refused(() => new Canary("c", { ...canary, hosts: ["*"] }));
    expect(message).to.contain('hosts: found "*"');
    expect(declared).to.equal(0);
    const all = await recordResources(() => new Canary("c", { ...canary, hosts: ["*"], gateways: ["edge"] }));
    expect(find(all, "kubernetes:networking.istio.io/v1:VirtualService", "c-virtual-service").inputs.spec)
      .to.include.keys("gateways")
      .and.to.have.deep.property("gateways", ["edge"]);
  });
});

describe("MeshNamespace", () => {
  const base = { name: "shop", podSecurity: "privileged" } as const;
  const labels = async (args: ConstructorParameters<typeof MeshNamespace>[1]): Promise<unknown> => {
    const all = await recordResources(() => new MeshNamespace("ns", args));
    return (find(all, "kubernetes:core/v1:Namespace", "ns-namespace").inputs.metadata as { labels: unknown }).labels;
  };

  it("injects by label", async () => {
    expect(await labels(base)).to.deep.equal({
      "istio-injection": "enabled",
      "pod-security.kubernetes.io/enforce": "privileged",
      "pod-security.kubernetes.io/warn": "restricted",
    });
  });

  it("injects by revision, without the label", async () => {
    expect(await labels({ ...base, injection: false, revision: "1-28-3" })).to.deep.equal({
      "istio.io/rev": "1-28-3",
      "pod-security.kubernetes.io/enforce": "privileged",
      "pod-security.kubernetes.io/warn": "restricted",
    });
  });

  it("says that injection is off, and then enforces the level that is asked for", async () => {
    expect(await labels({ ...base, injection: false, podSecurity: "restricted" })).to.deep.equal({
      "istio-injection": "disabled",
      "pod-security.kubernetes.io/enforce": "restricted",
      "pod-security.kubernetes.io/warn": "restricted",
    });
  });

  it("only labels an existing namespace", async () => {
    const all = await recordResources(() => new MeshNamespace("ns", { ...base, name: "default", existing: true }));
    expect(all.filter(({ type }) => type === "kubernetes:core/v1:Namespace")).to.have.lengthOf(0);
    expect(find(all, "kubernetes:core/v1:NamespacePatch", "ns-labels").inputs.metadata).to.have.property(
      "name",
      "default",
    );
  });

  it("refuses a Pod Security level that would refuse every injected pod", async () => {
    for (const injection of [{ injection: true }, { injection: false, revision: "1-28-3" }]) {
      const { message, declared } = await refused(
        () => new MeshNamespace("ns", { ...base, ...injection, podSecurity: "baseline" }),
      );
      expect(message).to.contain('podSecurity: found "baseline"').and.to.contain("NET_ADMIN");
      expect(declared).to.equal(0);
    }
  });

  it("refuses label and revision together", async () => {
    const { message } = await refused(() => new MeshNamespace("ns", { ...base, injection: true, revision: "1-28-3" }));
    expect(message).to.contain("revision");
  });
});

describe("MutualTls", () => {
  it("is STRICT unless told, and carries deletedWith to what it makes", async () => {
    const all = await recordResources(() => {
      const cluster = new MeshNamespace("cluster", { injection: false });
      new MutualTls("payment", { namespace: "backend-payment" }, { deletedWith: cluster.namespace });
    });
    const auth = find(all, "kubernetes:security.istio.io/v1:PeerAuthentication", "payment-peer-authentication");
    expect(auth.inputs).to.deep.equal({
      apiVersion: "security.istio.io/v1",
      kind: "PeerAuthentication",
      metadata: { name: "default", namespace: "backend-payment" },
      spec: { mtls: { mode: "STRICT" } },
    });
    expect(auth.deletedWith).to.equal("cluster-namespace");
  });
});

describe("Gateway", () => {
  const args = {
    name: "edge",
    namespace: "shop",
    hosts: ["shop.example.no"],
    port: 443,
    protocol: "HTTPS",
    selector: { istio: "ingressgateway" },
  } as const;

  it("serves HTTPS with the secret's certificate", async () => {
    const all = await recordResources(() => new Gateway("edge", { ...args, tlsSecret: "shop-tls" }));
    expect(find(all, "kubernetes:networking.istio.io/v1:Gateway", "edge-gateway").inputs.spec).to.deep.equal({
      selector: { istio: "ingressgateway" },
      servers: [
        {
          port: { number: 443, name: "https", protocol: "HTTPS" },
          hosts: ["shop.example.no"],
          tls: { mode: "SIMPLE", credentialName: "shop-tls" },
        },
      ],
    });
  });

  it("refuses HTTPS without a secret, and HTTP with one", async () => {
    expect((await refused(() => new Gateway("edge", args))).message).to.contain("tlsSecret: missing");
    const plain = { ...args, protocol: "HTTP", port: 80, tlsSecret: "shop-tls" } as const;
    expect((await refused(() => new Gateway("edge", plain))).message).to.contain('"shop-tls"');
  });
});

describe("VersionedService", () => {
  const version = { image: "docker.io/lab/echo:1", args: ["serve"], replicas: 2, imagePullPolicy: "Never" } as const;
  const args = {
    namespace: "shop",
    targetPort: 8080,
    versions: { v1: version, v2: { ...version, args: ["serve", "v2"] } },
  };

  it("labels each version's pods and selects them all", async () => {
    const all = await recordResources(() => new VersionedService("web", args));
    expect(find(all, "kubernetes:core/v1:Service", "web-service").inputs.spec).to.deep.equal({
      selector: { app: "web" },
      ports: [{ name: "http", port: 80, targetPort: 8080 }],
    });
    for (const name of ["v1", "v2"]) {
      const deployment = find(all, "kubernetes:apps/v1:Deployment", `web-${name}`).inputs;
      expect(deployment.metadata).to.include({ name: `web-${name}`, namespace: "shop" });
      expect(deployment).to.have.deep.nested.property("spec.selector.matchLabels", { app: "web", version: name });
      expect(deployment).to.have.deep.nested.property("spec.template.metadata.labels", { app: "web", version: name });
      expect(deployment).to.have.nested.property("spec.template.spec.serviceAccountName", "web");
    }
  });

  it("asks for nothing that Pod Security restricted forbids", async () => {
    const all = await recordResources(() => new VersionedService("web", args));
    const deployment = find(all, "kubernetes:apps/v1:Deployment", "web-v1").inputs;
    const pod = (deployment.spec as { template: { spec: Record<string, unknown> } }).template.spec;
    expect(pod.securityContext).to.deep.equal({
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(pod.automountServiceAccountToken).to.equal(false);
    const [container] = pod.containers as Record<string, unknown>[];
    expect(container?.securityContext).to.deep.equal({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
    expect(container?.resources).to.have.nested.property("limits.memory", "128Mi");
  });

  it("refuses no versions and root, both at once", async () => {
    const { message, declared } = await refused(() => new VersionedService("web", { versions: {}, runAsUser: 0 }));
    expect(message).to.contain("no versions").and.to.contain("not root");
    expect(declared).to.equal(0);
  });
});
