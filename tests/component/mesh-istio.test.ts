import { expect } from "chai";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { IstioMesh, MeshLayer, type IstioMeshArgs, type MeshLayerArgs } from "../../components/mesh";
import { gatewayChartValues, istiodChartValues, mergeValues } from "../../components/mesh/values";
import { find, recordResources, type RecordedResource } from "../support/recorded-resources";
import { layerArgs, meshSpec } from "../support/mesh-spec";

const release = "kubernetes:helm.sh/v3:Release";

describe("IstioMesh", () => {
  const args: IstioMeshArgs = {
    version: "1.28.3",
    charts: { repository: "https://charts.example.no/istio" },
  };

  it("installs base, istiod and gateway one after the other, each rolled back when it isn't healthy", async () => {
    const all = await recordResources(() => new IstioMesh("mesh", args));
    const [base, istiod, gateway] = ["istio-base", "istiod", "istio-ingressgateway"].map((name) =>
      find(all, release, `mesh-${name}`),
    ) as [RecordedResource, RecordedResource, RecordedResource];
    for (const [resource, name, namespace] of [
      [base, "istio-base", "istio-system"],
      [istiod, "istiod", "istio-system"],
      [gateway, "istio-ingressgateway", "istio-ingress"],
    ] as const) {
      expect(resource.inputs).to.include({ name, namespace, atomic: true, timeout: 600 });
    }
    expect(istiod.dependsOn).to.include("mesh-istio-base");
    expect(gateway.dependsOn).to.include("mesh-istiod").and.to.include("mesh-istio-ingress");
  });

  it("takes charts from a repository by a Chart resource, so that a preview needs no network", async () => {
    const all = await recordResources(() => new IstioMesh("mesh", args), {
      "kvmesh:index:Chart": { path: ".kvmesh/charts/istiod-1.28.3" },
    });
    expect(find(all, "kvmesh:index:Chart", "mesh-istiod-chart").inputs).to.include({
      name: "istiod",
      version: "1.28.3",
      repository: "https://charts.example.no/istio",
    });
    const chart = find(all, release, "mesh-istiod").inputs.chart as string;
    expect(path.resolve(chart)).to.equal(path.resolve(__dirname, "../../..", ".kvmesh/charts/istiod-1.28.3"));
    expect(path.isAbsolute(chart), "an absolute path would differ on every machine").to.equal(false);
  });

  it("takes charts from a folder, as a Helm repository or Istio's release archive lays them out", async () => {
    for (const istiod of ["istiod", "istio-control/istio-discovery"]) {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-charts-"));
      try {
        for (const chart of ["base", istiod, "gateway"]) {
          fs.mkdirSync(path.join(folder, chart), { recursive: true });
          fs.writeFileSync(path.join(folder, chart, "Chart.yaml"), "apiVersion: v2\n");
        }
        const all = await recordResources(() => new IstioMesh("mesh", { ...args, charts: { folder } }));
        expect(find(all, release, "mesh-istiod").inputs.chart).to.equal(path.join(folder, istiod));
        expect(all.filter(({ type }) => type === "kvmesh:index:Chart")).to.have.lengthOf(0);
        const ofCheckout = { folder: path.relative(path.resolve(__dirname, "../../.."), folder) };
        const relative = await recordResources(() => new IstioMesh("mesh", { ...args, charts: ofCheckout }));
        const chart = find(relative, release, "mesh-istiod").inputs.chart as string;
        expect(path.isAbsolute(chart), "the checkout's own charts: the same plan on every machine").to.equal(false);
        expect(path.resolve(chart)).to.equal(path.join(folder, istiod));
      } finally {
        fs.rmSync(folder, { recursive: true });
      }
    }
  });

  it("plans demo in production, so that the policies can say what is wrong with it", async () => {
    const demo = { ...args, profile: "demo" } as const;
    const all = await recordResources(() => new IstioMesh("mesh", demo), undefined, true);
    expect(find(all, release, "mesh-istiod").inputs).to.have.nested.property("values.profile", "demo");
  });

  for (const [title, change, environment, expected] of [
    ["demo in production", { profile: "demo" }, "production", 'profile: found "demo"; refused in production'],
    ["a version range", { version: "1.28" }, "production", 'version: found "1.28"'],
    ["no chart source", { charts: {} }, "staging", "no source"],
    ["two chart sources", { charts: { folder: "a", oci: "oci://b" } }, "staging", "oci and folder together"],
    ["an empty chart folder", { charts: { folder: "docs" } }, "staging", "no Chart.yaml in"],
    ["no replica", { replicas: 0 }, "staging", "replicas: found 0"],
    ["sampling over 100", { traceSampling: 101 }, "staging", "traceSampling: found 101"],
  ] as const) {
    it(`refuses ${title} before it makes anything`, async () => {
      const declared = await recordResources(() => {
        expect(() => new IstioMesh("mesh", { ...args, environment, ...change })).to.throw(expected);
      });
      expect(declared).to.have.lengthOf(0);
    });
  }
});

describe("Istio's chart values", () => {
  it("carry what the stack file says", () => {
    const values = istiodChartValues(meshSpec({ replicas: 2 }));
    expect(values).to.deep.include({ autoscaleEnabled: false, replicaCount: 2, traceSampling: 1 });
    expect(values).to.have.deep.property("resources", {
      requests: { cpu: "500m", memory: "2048Mi" },
      limits: { memory: "4096Mi" },
    });
    expect(values).to.have.deep.nested.property("global.proxy.resources", {
      requests: { cpu: "100m", memory: "128Mi" },
      limits: { cpu: "2000m", memory: "1024Mi" },
    });
    expect(values.global).to.include({ hub: "docker.io/istio", tag: "1.28.3", imagePullPolicy: "IfNotPresent" });
  });

  it("have a disruption budget only over more than one replica", () => {
    const budget = "global.defaultPodDisruptionBudget.enabled";
    expect(istiodChartValues(meshSpec({ replicas: 1 }))).to.have.nested.property(budget, false);
    expect(istiodChartValues(meshSpec({ replicas: 2 }))).to.have.nested.property(budget, true);
    expect(gatewayChartValues(meshSpec({ gatewayReplicas: 1 }))).to.have.deep.property("podDisruptionBudget", {});
    expect(gatewayChartValues(meshSpec({ gatewayReplicas: 2 }))).to.have.deep.property("podDisruptionBudget", {
      minAvailable: 1,
    });
  });

  it("name no profile for `default`, which the charts don't know by name", () => {
    expect(istiodChartValues(meshSpec())).not.to.have.property("profile");
    expect(istiodChartValues(meshSpec({ profile: "demo" }))).to.have.property("profile", "demo");
  });

  it("say a sampling of 0, which the chart would leave out and istiod take for 1", () => {
    const values = istiodChartValues(meshSpec({ traceSampling: 0 }));
    expect(values).to.have.deep.property("env", { PILOT_TRACE_SAMPLING: "0" });
  });

  it("are overlaid by the stack file's own, objects merged and lists replaced", () => {
    const values = istiodChartValues(
      meshSpec({ istiodValues: { env: { PILOT_ENABLE_ALPN_FILTER: "false" }, global: { logAsJson: true } } }),
    );
    expect(values.global).to.include({ logAsJson: true, tag: "1.28.3" });
    expect(values.env).to.deep.equal({ PILOT_ENABLE_ALPN_FILTER: "false" });
    expect(mergeValues({ a: [1, 2], b: { c: 1 } }, { a: [3], b: { d: 2 } })).to.deep.equal({
      a: [3],
      b: { c: 1, d: 2 },
    });
  });
});

describe("MeshLayer", () => {
  const declare = (change: Partial<MeshLayerArgs> = {}): Promise<RecordedResource[]> =>
    recordResources(() => new MeshLayer("mesh", { ...layerArgs(), ...change }));

  it("turns namespaces STRICT before the mesh", async () => {
    const all = await declare();
    const peer = "kubernetes:security.istio.io/v1:PeerAuthentication";
    const whole = find(all, peer, "mesh-mtls-peer-authentication");
    expect(whole.inputs.metadata).to.deep.equal({ name: "default", namespace: "istio-system" });
    expect(whole.dependsOn).to.include("shop-mtls-peer-authentication");
    expect(find(all, peer, "shop-mtls-peer-authentication").dependsOn).to.include("shop-namespace");
  });

  it("starts workloads only when istiod is healthy, and routes only to workloads and gateways that are there", async () => {
    const all = await declare();
    const deployment = find(all, "kubernetes:apps/v1:Deployment", "shop/web-v1");
    expect(deployment.dependsOn).to.include("mesh-istio-istiod").and.to.include("shop-namespace");
    const route = find(all, "kubernetes:networking.istio.io/v1:VirtualService", "shop/web-virtual-service");
    expect(route.dependsOn).to.include("shop/web-service").and.to.include("shop/edge-gateway");
    expect(route.order).to.be.greaterThan(deployment.order);
  });

  it("needs no mesh at all", async () => {
    const spec = { ...meshSpec(), provider: "none", mtls: "unset" } as const;
    const [namespace] = layerArgs().namespaces;
    const plain = { ...namespace!, injection: false, mtls: "unset", podSecurity: "baseline" } as const;
    const all = await declare({ mesh: spec, namespaces: [plain], gateways: [], canaries: [] });
    expect(all.filter(({ type }) => /istio|helm/.test(type))).to.have.lengthOf(0);
    find(all, "kubernetes:apps/v1:Deployment", "shop/web-v1");
  });

  it("refuses what any part of it refuses before it makes anything", async () => {
    const [namespace] = layerArgs().namespaces;
    const declared = await recordResources(() => {
      const args = { ...layerArgs(), namespaces: [{ ...namespace!, podSecurity: "baseline" as const }] };
      expect(() => new MeshLayer("mesh", args)).to.throw('podSecurity: found "baseline"');
    });
    expect(declared).to.deep.equal([]);
  });

  it("refuses two canaries of one service, whose subsets would fight", () => {
    const [canary] = layerArgs().canaries;
    const args = { ...layerArgs(), canaries: [canary!, { ...canary!, name: "again" }] };
    expect(() => new MeshLayer("mesh", args)).to.throw(
      'canaries.again.service: found "web"; canary web splits it already',
    );
  });

  it("refuses what only a mesh can do when there is none", () => {
    const args = { ...layerArgs(), mesh: { ...meshSpec(), provider: "none" as const } };
    expect(() => new MeshLayer("mesh", args)).to.throw(
      "namespace shop (injection), namespace shop (mtls), gateway edge",
    );
  });
});
