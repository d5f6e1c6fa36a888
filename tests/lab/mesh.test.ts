import { expect } from "chai";
import * as path from "node:path";
import { deploymentSpec, serviceOf } from "../../components/mesh/versioned-service";
import { judgeSplit } from "../../tools/measure/split";
import { changesIn, checkout, EngineProject, type EngineResult } from "../support/engine";
import { labBinaries } from "../support/mesh-lab/binaries";
import { MeshLab, type LoadResult } from "../support/mesh-lab/lab";
import type { Output } from "../support/mesh-lab/processes";

/** A measurement that is right is called wrong once in a million: dependable, and a real fault is far outside. */
const confidence = 0.999_999;
const requests = 2_000;

/** The Service's address, which no kube-proxy serves: only what a sidecar captures arrives. */
const service = { url: "http://10.96.0.50/", host: "web" };

/** No network but loopback, on which the CLI talks to its plugins. */
const offline = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"];

/** The stack: our components, with the weights that a test asks for. */
const program = (weights: Readonly<Record<string, number>>): string => `
  const fs = require("node:fs");
  const k8s = require("@pulumi/kubernetes");
  const mesh = require(${JSON.stringify(path.join(checkout, "dist/components/mesh"))});
  const provider = new k8s.Provider("lab", { kubeconfig: fs.readFileSync(process.env.LAB_KUBECONFIG, "utf8") });
  const shop = new mesh.MeshNamespace(
    "shop",
    {},
    { provider },
  );
  const inShop = { provider, dependsOn: [shop.namespace] };
  new mesh.MutualTls("shop-mtls", { namespace: shop }, inShop);
  new mesh.MeshNamespace(
    "default",
    {},
    { provider },
  );
  for (const podSecurity of ["baseline", "restricted"]) {
    new mesh.MeshNamespace(podSecurity, { injection: false, podSecurity }, { provider });
  }
  const edge = new mesh.Gateway("edge", {
    namespace: "shop",
    protocol: "HTTP",
  }, inShop);
  new mesh.Canary("other", {
    service: { name: "other", namespace: "shop" },
    hosts: ["*"],
    gateways: [edge],
    weights: { v1: 90, v2: 10 },
  }, { provider });
  new mesh.Canary("web", {
    service: { name: "web", namespace: "shop" },
    weights: ${JSON.stringify(weights)},
  }, inShop);`;

describe("The mesh's data path: real API server, istiod and upstream Envoy", function () {
  this.timeout(180_000);
  let lab: MeshLab;
  let project: EngineProject;
  /** What to end, also after a start that failed half-way; last made first. */
  const ends: (() => void | Promise<void>)[] = [];

  before(async () => {
    const binaries = await labBinaries();
    lab = new MeshLab(binaries);
    ends.push(() => lab.stop());
    await lab.start();
    project = new EngineProject({
      name: "mesh",
      program: program({ v1: 90, v2: 10 }),
      env: { LAB_KUBECONFIG: lab.controlPlane.kubeconfig },
    });
    ends.push(() => project.dispose());
    await up();
    await lab.controlPlane.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "shop" },
      spec: {
        clusterIP: "10.96.0.50",
        selector: { app: "web" },
        ports: [{ name: "http", port: 80, targetPort: 8080 }],
      },
    });
    const pod = { namespace: "shop", sidecar: true, server: false };
    await lab.addPods([
      { ...pod, name: "web-v1", address: "10.77.0.11", app: "web", version: "v1", server: true },
      { ...pod, name: "web-v2", address: "10.77.0.12", app: "web", version: "v2", server: true },
      { ...pod, name: "client", address: "10.77.0.13", app: "client", version: "v1" },
      { ...pod, name: "plain", address: "10.77.0.14", app: "plain", version: "v1", sidecar: false },
    ]);
  });

  after(async () => {
    for (const end of ends.reverse()) await end();
  });

  /** Where the API server can be reached, and not for ever. */
  const inLab = (): readonly string[] => ["timeout", "--kill-after=5", "120", ...lab.inside];
  const up = async (): Promise<EngineResult> => {
    const result = await project.up({ wrapper: inLab() });
    expect(result.code, result.text).to.equal(0);
    return result;
  };

  const labelsOf = async (namespace: string): Promise<Record<string, string>> => {
    const json = await lab.controlPlane.mustKubectl(["get", "namespace", namespace, "--output=json"]);
    return (JSON.parse(json) as { metadata: { labels: Record<string, string> } }).metadata.labels;
  };

  /** What the API server says to a pod, without making it. */
  const createDryRun = (namespace: string, spec: object): Promise<Output> =>
    lab.controlPlane.kubectl(
      ["create", "--dry-run=server", "--filename=-"],
      JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "judged", namespace }, spec }),
    );

  /**
   * Waits with small probes until the change has reached the client's sidecar (istiod alone waits 100 ms for more
   * changes), then measures once. No request may fail, also while the weights change.
   */
  const measured = async (weights: Readonly<Record<string, number>>): Promise<LoadResult> => {
    const load = async (n: number): Promise<LoadResult> => {
      const result = await lab.load("client", service.url, { host: service.host, n });
      expect(result.errors, result.error).to.equal(0);
      return result;
    };
    const deadline = Date.now() + 5_000;
    while (!judged(await load(200), weights).asDeclared && Date.now() < deadline);
    const result = await load(requests);
    const verdict = judged(result, weights);
    expect(verdict.asDeclared, JSON.stringify(verdict)).to.equal(true);
    return result;
  };
  const judged = (load: LoadResult, weights: Readonly<Record<string, number>>) =>
    judgeSplit(
      load.counts,
      load.errors,
      Object.entries(weights).map(([version, weight]) => ({ version, weight })),
      confidence,
    );

  it("splits 90/10", async () => {
    await measured({ v1: 90, v2: 10 });
  });

  for (const weights of [
    { v1: 50, v2: 50 },
    { v1: 100, v2: 0 },
  ]) {
    it(`splits ${weights.v1}/${weights.v2} after one change of the VirtualService`, async () => {
      project.setProgram(program(weights));
      const result = await up();
      expect(changesIn(result)).to.include({ update: 1 }).and.not.to.have.any.keys("create", "replace", "delete");
      await measured(weights);
    });
  }

  it("refuses plaintext in the STRICT namespace and serves mutual TLS with the client's identity", async () => {
    for (const address of ["10.77.0.11", "10.77.0.12"]) {
      const refused = await lab.get("plain", `http://${address}:8080/`, service.host);
      expect(refused.code, refused.stdout).not.to.equal(0);
      expect(refused.stderr).to.match(/connection reset|EOF/);
    }
    const served = await lab.get("client", service.url, service.host);
    expect(served.code, served.stderr).to.equal(0);
    expect(served.stdout).to.contain("URI=spiffe://cluster.local/ns/shop/sa/client");
  });

  it("gives no proxy a configuration that it rejects", () => {
    expect(lab.rejections()).to.deep.equal([]);
  });

  it("labels an existing namespace", async () => {
    expect(await labelsOf("default")).to.include({ "istio-injection": "enabled" });
  });

  it("declares services that pass Pod Security restricted, as the API server judges it", async () => {
    const spec = serviceOf("default", { namespace: "restricted", versions: { v1: { image: "lab/none" } } });
    const { template } = deploymentSpec(spec, spec.versions[0]!) as { template: { spec: object } };
    const judged = await createDryRun("restricted", template.spec);
    expect(judged.stderr).to.equal("");
    expect(judged.code).to.equal(0);
  });

  it("must not ask for baseline with sidecars: istio-init would be refused", async () => {
    const istioInit = {
      name: "istio-init",
      image: "lab/none",
      securityContext: { capabilities: { add: ["NET_ADMIN", "NET_RAW"] } },
    };
    const judged = await createDryRun("baseline", { containers: [{ name: "app", image: "lab/none" }, istioInit] });
    expect(judged.code).not.to.equal(0);
    expect(judged.stderr).to.contain('violates PodSecurity "baseline:latest": non-default capabilities');
  });

  it("previews the deployed stack in bounded time when its API server can't be reached", async () => {
    project.setProgram(program({ v1: 80, v2: 20 }));
    const started = Date.now();
    const result = await project.preview({ wrapper: offline });
    const seconds = (Date.now() - started) / 1000;
    expect(result.code, result.text).to.equal(0);
    expect(changesIn(result)).to.include({ update: 1 });
    expect(result.text).to.match(/weight\s*:\s*100 => 80/);
    expect(seconds).to.be.lessThan(30);
  });

  it("destroys the route before the rule that it refers to", async () => {
    await lab.removePods("shop");
    const result = await project.destroy({ wrapper: inLab() });
    expect(result.code, result.text).to.equal(0);
    const deleted = result.events.flatMap(({ resOutputsEvent }) =>
      resOutputsEvent?.metadata.op === "delete" ? [resOutputsEvent.metadata.type.split(":").at(-1)] : [],
    );
    expect(deleted.indexOf("VirtualService")).to.be.lessThan(deleted.indexOf("DestinationRule"));
    expect(deleted.indexOf("DestinationRule")).to.be.lessThan(deleted.indexOf("Namespace"));
    expect((await lab.controlPlane.kubectl(["get", "namespace", "shop"])).stderr).to.contain("not found");
    expect(await labelsOf("default"), "an existing namespace stays, without our labels").to.deep.equal({
      "kubernetes.io/metadata.name": "default",
    });
  });
});
