import { pairProblem, supportProblem } from "../rules/versions";
import {
  bothPolicy,
  ofType,
  resourcePolicy,
  stackPolicy,
  subjectOf,
  type Context,
  type Item,
  type Judge,
  type Judged,
  type KvmeshPolicy,
} from "./frame";
import { isIstiod, OPERATORS, pilotValue, RELEASE, valuesOf } from "./istiod";
import type { Memory } from "./memory";
import { podOf, WORKLOADS } from "./objects";
import { at, list, number, text } from "./read";
import { dayOfJudgement, judgedOn, unsupported } from "./support";

const CHART = "kvmesh:index:Chart";
const TELEMETRY = "object:telemetry.istio.io/Telemetry";

type InstallJudge = (install: Judged, values: unknown, context: Context) => Iterable<Item>;

/** A judge of whatever installs istiod, and the chart's values that it is made with. */
function ofIstiod(judge: InstallJudge): Readonly<Record<string, Judge>> {
  const one: Judge = function* (resource, context) {
    const values = valuesOf(resource);
    if (values === undefined) context.notApplicable("does not install istiod");
    yield* judge(resource, values, context);
  };
  return Object.fromEntries([RELEASE, ...OPERATORS].map((type) => [type, one]));
}

function* noDemo(resource: Judged, ...profiles: readonly unknown[]): Iterable<Item> {
  if (profiles.every((profile) => text(profile) !== "demo")) return;
  yield { subject: subjectOf(resource), found: "profile demo", required: "the default profile" };
}

export const istioProfile = resourcePolicy("istio-profile", {
  // Every chart of Istio's takes the profile.
  *[RELEASE](release) {
    const values = at(release.props, "values");
    yield* noDemo(release, at(values, "profile"), at(values, "global", "profile"));
  },
  ...Object.fromEntries(
    OPERATORS.map((type): [string, Judge] => [
      type,
      function* (operator) {
        yield* noDemo(operator, at(operator.props, "spec", "profile"));
      },
    ]),
  ),
});

export const istiodResources = resourcePolicy(
  "istiod-resources",
  ofIstiod(function* (install, values) {
    const missing = missingResources(pilotValue(values, "resources"), REQUIRED_OF_ISTIOD);
    if (missing.length > 0)
      yield {
        subject: subjectOf(install),
        found: `no ${missing.join(", no ")}`,
        required: REQUIRED_OF_ISTIOD.join(", "),
      };
    const autoscaled = pilotValue(values, "autoscaleEnabled") !== false;
    const replicas = number(pilotValue(values, autoscaled ? "autoscaleMin" : "replicaCount")) ?? 1;
    if (replicas >= 2) return;
    const found = `${replicas} replica${replicas === 1 ? "" : "s"}`;
    yield { subject: subjectOf(install), found, required: "2 replicas or more" };
  }),
);

export const sidecarResources = resourcePolicy(
  "sidecar-resources",
  ofIstiod(function* (install, values) {
    const missing = missingResources(at(values, "global", "proxy", "resources"), REQUIRED_OF_PROXIES);
    if (missing.length === 0) return;
    yield {
      subject: subjectOf(install),
      found: `global.proxy.resources without ${missing.join(", ")}`,
      required: REQUIRED_OF_PROXIES.join(", "),
    };
  }),
);

const REQUIRED_OF_ISTIOD = ["requests.cpu", "requests.memory", "limits.memory"];
const REQUIRED_OF_PROXIES = ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

function missingResources(resources: unknown, required: readonly string[]): readonly string[] {
  return required.filter((path) => {
    const value = at(resources, ...path.split("."));
    return value === undefined || value === null || value === "" || value === "0" || value === 0;
  });
}

const tracedWorkload: Judge = function* (workload, context) {
  const config = text(at(podOf(workload).annotations, "proxy.istio.io/config")) ?? "";
  const sampling = /sampling["']?\s*:\s*["']?(\d+(\.\d+)?)/.exec(config)?.[1];
  if (sampling === undefined) context.notApplicable("says nothing of tracing");
  yield* overLimit(workload, Number(sampling), context);
};

function* overLimit(resource: Judged, sampling: number, { settings }: Context): Iterable<Item> {
  const limit = number(at(settings, "maxPercent")) ?? 1;
  if (sampling <= limit) return;
  yield { subject: subjectOf(resource), found: `${sampling} % of traces`, required: `at most ${limit} %` };
}

export const tracingSampled = resourcePolicy(
  "tracing-sampled",
  {
    ...ofIstiod(function* (install, values, context) {
      const ofMesh = number(at(values, "meshConfig", "defaultConfig", "tracing", "sampling"));
      // 1 % is Istio's own default.
      yield* overLimit(install, ofMesh ?? number(pilotValue(values, "traceSampling")) ?? 1, context);
    }),
    *[TELEMETRY](telemetry, context) {
      for (const tracing of list(at(telemetry.props, "spec", "tracing")))
        yield* overLimit(telemetry, number(at(tracing, "randomSamplingPercentage")) ?? 0, context);
    },
    ...Object.fromEntries(WORKLOADS.map((kind) => [`object:${kind}`, tracedWorkload])),
  },
  {
    settings: {
      maxPercent: { type: "number", default: 1, description: "The largest share of requests traced, in percent." },
    },
  },
);

const istioMaintained = resourcePolicy(
  "istio-supported",
  {
    *[CHART](chart, context) {
      if (text(at(chart.props, "name")) !== "istiod") context.notApplicable("not istiod's chart");
      yield* unsupported("istio", chart, text(at(chart.props, "version")), context);
    },
    *[RELEASE](release, context) {
      if (!isIstiod(release)) context.notApplicable("not istiod's release");
      const version = versionOf(release);
      // Without one, the chart's own version counts, which its Chart resource gives.
      if (version === undefined) return context.notApplicable("its version is its chart's");
      yield* unsupported("istio", release, version, context);
    },
    ...Object.fromEntries(
      OPERATORS.map((type): [string, Judge] => [
        type,
        function* (operator, context) {
          const spec = at(operator.props, "spec");
          const version = text(at(spec, "tag")) ?? text(at(spec, "version"));
          if (version === undefined) return context.notApplicable("its version is its operator's");
          yield* unsupported("istio", operator, version, context);
        },
      ]),
    ),
  },
  judgedOn,
);

function versionOf(release: Judged): string | undefined {
  return text(at(release.props, "values", "global", "tag")) ?? text(at(release.props, "version"));
}

/** Each for itself before it is made, and the pair when all is known. */
export function istioSupportedPolicy(memory: Memory): KvmeshPolicy {
  return bothPolicy(
    istioMaintained,
    stackPolicy(
      "istio-supported",
      function* (resources, context) {
        const planes = ofType(resources, "kvmesh:index:Cluster");
        const releases = ofType(resources, RELEASE).filter(isIstiod);
        if (planes.length === 0 || releases.length === 0) context.notApplicable("no control plane, or no Istio");
        for (const release of releases) {
          const istio = versionOf(release);
          const kubernetes = text(at(planes[0]!.props, "kubernetesVersion"));
          if (istio === undefined || kubernetes === undefined) continue;
          const problem = pairProblem(kubernetes, istio);
          if (problem === undefined || supportProblem("istio", istio, dayOfJudgement(context)) !== undefined) continue;
          yield { subject: subjectOf(release), found: problem, required: "a supported pair", urn: release.urn };
        }
      },
      { memory },
    ),
  );
}
