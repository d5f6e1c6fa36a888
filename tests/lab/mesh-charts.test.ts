import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { baseChartValues, gatewayChartValues, istiodChartValues, type ChartValues } from "../../components/mesh/values";
import { istioCharts } from "../../tools/images";
import { hardwareSettings } from "../../tools/site/settings";
import { EngineProject } from "../support/engine";
import { meshSpec } from "../support/mesh-spec";

/** A mesh with every value that we ever set: two replicas, no sampling, upstream Envoy's settings. */
const { istiodValues, gatewayValues } = hardwareSettings(true);
const fullest = meshSpec({ replicas: 2, gatewayReplicas: 2, traceSampling: 0, istiodValues, gatewayValues });

/** Parts of values.yaml that hold whatever Kubernetes or Istio takes. */
const open = new Set(["env", "meshConfig", "podDisruptionBudget", "resources", "topologySpreadConstraints"]);

describe("Istio's own charts", function () {
  this.timeout(120_000);
  let charts: Readonly<Record<"base" | "istiod" | "gateway", string>>;

  before(async () => {
    const folder = await istioCharts();
    charts = {
      base: path.join(folder, "base"),
      istiod: path.join(folder, "istiod"),
      gateway: path.join(folder, "gateway"),
    };
  });

  for (const [chart, values] of [
    ["base", baseChartValues(fullest)],
    ["istiod", istiodChartValues(fullest)],
    ["gateway", gatewayChartValues(fullest)],
  ] as const) {
    it(`know every value that we set in ${chart}: Helm would ignore another without a word`, () => {
      const file = parse(fs.readFileSync(path.join(charts[chart], "values.yaml"), "utf8")) as Record<
        string,
        ChartValues
      >;
      const known = { profile: "", ...(file._internal_defaults_do_not_set ?? file.defaults ?? file) };
      expect(unknownValues(values, known)).to.deep.equal([]);
    });
  }

  it("are checked by a test that sees a wrong name", () => {
    const known = { global: { proxy: { resources: {} } }, replicaCount: 1 };
    const wrong = { global: { proxy: { resource: {}, resources: { any: 1 } } }, replicas: 2 };
    expect(unknownValues(wrong, known)).to.deep.equal(["global.proxy.resource", "replicas"]);
  });

  describe("rendered by the Kubernetes provider", () => {
    const spec = {
      ...fullest,
      hub: "registry.example.no/istio",
      imagePullPolicy: "Never" as const,
      // The API's own spelling: 2048Mi would come back as 2Gi.
      istiodResources: { requests: { cpu: "750m", memory: "3Gi" }, limits: { memory: "5Gi" } },
    };
    let objects: readonly KubernetesObject[];

    before(async () => {
      const project = new EngineProject({ name: "charts", program: renderProgram(charts, spec) });
      try {
        const result = await project.up();
        expect(result.code, result.text).to.equal(0);
        objects = readObjects(path.join(project.folder, "rendered"));
      } finally {
        project.dispose();
      }
    });

    const object = (kind: string, name: string): KubernetesObject => {
      const found = objects.find((each) => each.kind === kind && each.metadata.name === name);
      const there = objects.filter((each) => each.kind === kind).map((each) => each.metadata.name);
      if (found === undefined) throw new Error(`no ${kind} ${name}, only ${there.join(", ")}`);
      return found;
    };

    it("istiod has our image, resources, replicas and sampling", () => {
      const istiod = object("Deployment", "istiod");
      expect(istiod).to.have.nested.property("spec.replicas", 2);
      const container = "spec.template.spec.containers[0]";
      expect(istiod).to.have.nested.property(`${container}.image`, "registry.example.no/istio/pilot:1.28.3");
      expect(istiod).to.have.nested.property(`${container}.imagePullPolicy`, "Never");
      expect(istiod).to.have.deep.nested.property(`${container}.resources`, spec.istiodResources);
      const { env } = (istiod as unknown as DeploymentLike).spec.template.spec.containers[0]!;
      expect(env.filter(({ name }) => name === "PILOT_TRACE_SAMPLING")).to.deep.equal([
        { name: "PILOT_TRACE_SAMPLING", value: "0" },
      ]);
      expect(env).to.deep.include({ name: "PILOT_ENABLE_METADATA_EXCHANGE", value: "false" });
      expect(objects.filter(({ kind }) => kind === "HorizontalPodAutoscaler")).to.have.lengthOf(0);
      object("PodDisruptionBudget", "istiod");
    });

    it("sidecars get the declared resources and image", () => {
      const { data } = object("ConfigMap", "istio-sidecar-injector") as unknown as { data: { values: string } };
      const values = JSON.parse(data.values) as object;
      expect(values).to.have.deep.nested.property("global.proxy.resources", spec.sidecarResources);
      expect(values).to.have.nested.property("global.hub", "registry.example.no/istio");
      expect(values).to.have.nested.property("global.tag", "1.28.3");
    });

    it("the gateway has the label that Gateways select, our replicas, type and budget", () => {
      const gateway = object("Deployment", "istio-ingressgateway");
      expect(gateway).to.have.nested.property("spec.replicas", 2);
      expect(gateway).to.have.nested.property("spec.template.metadata.labels.istio", "ingressgateway");
      expect(object("Service", "istio-ingressgateway")).to.have.nested.property("spec.type", "LoadBalancer");
      object("PodDisruptionBudget", "istio-ingressgateway");
    });

    it("no pod of the control plane or the gateway asks for more than Pod Security baseline allows", () => {
      for (const name of ["istiod", "istio-ingressgateway"]) {
        const pod = (object("Deployment", name) as unknown as DeploymentLike).spec.template.spec;
        expect(pod).not.to.have.any.keys("hostNetwork", "hostPID", "hostIPC");
        expect(pod.volumes?.filter((volume) => "hostPath" in volume) ?? []).to.deep.equal([]);
        for (const { securityContext } of pod.containers) {
          expect(securityContext).to.deep.include({ runAsNonRoot: true, allowPrivilegeEscalation: false });
          expect(securityContext).to.have.deep.nested.property("capabilities", { drop: ["ALL"] });
        }
      }
    });
  });
});

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

interface DeploymentLike {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly env: readonly { readonly name: string; readonly value?: string }[];
          readonly securityContext: object;
        }[];
        readonly volumes?: readonly object[];
      };
    };
  };
}

/** Paths of values that a chart's values.yaml does not have. */
function unknownValues(values: ChartValues, known: ChartValues, at = ""): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const where = at + key;
    if (!(key in known)) return [where];
    const below = known[key];
    return isObject(value) && isObject(below) && !open.has(key) ? unknownValues(value, below, `${where}.`) : [];
  });
}

function isObject(value: unknown): value is ChartValues {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The provider renders a chart to files without a cluster; what it is given is what a Release would be given. */
function renderProgram(charts: Readonly<Record<string, string>>, spec: ReturnType<typeof meshSpec>): string {
  const releases = [
    { name: "istiod", chart: charts.istiod, namespace: "istio-system", values: istiodChartValues(spec) },
    {
      name: "istio-ingressgateway",
      chart: charts.gateway,
      namespace: "istio-ingress",
      values: gatewayChartValues(spec),
    },
  ];
  return `
  const k8s = require("@pulumi/kubernetes");
  const provider = new k8s.Provider("render", { renderYamlToDirectory: require("node:path").join(__dirname, "rendered") });
  for (const { name, ...args } of ${JSON.stringify(releases)}) new k8s.helm.v4.Chart(name, args, { provider });`;
}

function readObjects(folder: string): KubernetesObject[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".yaml"))
    .flatMap((name) => parseAllDocuments(fs.readFileSync(path.join(folder, name), "utf8")))
    .map((document) => document.toJS() as KubernetesObject);
}
