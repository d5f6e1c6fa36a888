import { resourcePolicy, subjectOf, type Context, type Judge, type Judged } from "./frame";
import { at, number, peek, text } from "./read";
import { judgedOn, unsupported } from "./support";

const RELEASE = "kubernetes:helm.sh/v3:Release";
const CHART = "kvmesh:index:Chart";
const OPERATOR = "kubernetes:install.istio.io/*:IstioOperator";

/**
 * A judge of istiod's Helm release alone. The release is known by its name: the chart's folder is not known in a preview
 * that has not fetched it yet.
 */
function ofIstiod(judge: (release: Judged, values: unknown) => ReturnType<Judge>): Judge {
  return function* (release: Judged, context: Context) {
    const names = [peek(() => text(at(release.props, "name"))), peek(() => text(at(release.props, "chart")))];
    if (!names.some((name) => name !== undefined && /(^|\/)istiod(-|$)|istio-discovery$/.test(name))) {
      context.notApplicable("not istiod's release");
    }
    yield* judge(release, at(release.props, "values"));
  };
}

/** Istio 1.24 and later take values at the top level, earlier ones under `pilot`. */
function pilotValue(values: unknown, ...path: readonly string[]): unknown {
  return at(values, ...path) ?? at(values, "pilot", ...path);
}

export const istioProfile = resourcePolicy("istio-profile", {
  *[RELEASE](release) {
    const profile =
      text(at(release.props, "values", "profile")) ?? text(at(release.props, "values", "global", "profile"));
    if (profile !== "demo") return;
    yield { subject: subjectOf(release), found: "profile demo", required: "the default profile" };
  },
  *[OPERATOR](operator) {
    if (text(at(operator.props, "spec", "profile")) !== "demo") return;
    yield { subject: subjectOf(operator), found: "profile demo", required: "the default profile" };
  },
});

export const istiodResources = resourcePolicy("istiod-resources", {
  [RELEASE]: ofIstiod(function* (release, values) {
    const missing = missingResources(pilotValue(values, "resources"), REQUIRED_OF_ISTIOD);
    if (missing.length > 0) {
      yield {
        subject: subjectOf(release),
        found: `no ${missing.join(", no ")}`,
        required: REQUIRED_OF_ISTIOD.join(", "),
      };
    }
    const autoscaled = pilotValue(values, "autoscaleEnabled") !== false;
    const replicas = autoscaled
      ? (number(pilotValue(values, "autoscaleMin")) ?? 1)
      : (number(pilotValue(values, "replicaCount")) ?? 1);
    if (replicas < 2) {
      const found = `${replicas} replica${replicas === 1 ? "" : "s"}`;
      yield { subject: subjectOf(release), found, required: "2 replicas or more" };
    }
  }),
});

export const sidecarResources = resourcePolicy("sidecar-resources", {
  [RELEASE]: ofIstiod(function* (release, values) {
    const missing = missingResources(at(values, "global", "proxy", "resources"), REQUIRED_OF_PROXIES);
    if (missing.length === 0) return;
    yield {
      subject: subjectOf(release),
      found: `global.proxy.resources without ${missing.join(", ")}`,
      required: REQUIRED_OF_PROXIES.join(", "),
    };
  }),
});

const REQUIRED_OF_ISTIOD = ["requests.cpu", "requests.memory", "limits.memory"];
const REQUIRED_OF_PROXIES = ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

function missingResources(resources: unknown, required: readonly string[]): readonly string[] {
  return required.filter((path) => {
    const value = at(resources, ...path.split("."));
    return value === undefined || value === null || value === "" || value === "0" || value === 0;
  });
}

export const tracingSampled = resourcePolicy(
  "tracing-sampled",
  {
    [RELEASE]: function* (release, context) {
      yield* ofIstiod(function* (istiod, values) {
        const limit = number(at(context.settings, "maxPercent")) ?? 1;
        // 1 % is Istio's own default.
        const sampling =
          number(at(values, "meshConfig", "defaultConfig", "tracing", "sampling")) ??
          number(pilotValue(values, "traceSampling")) ??
          1;
        if (sampling <= limit) return;
        yield { subject: subjectOf(istiod), found: `${sampling} % of traces`, required: `at most ${limit} %` };
      })(release, context);
    },
  },
  {
    settings: {
      maxPercent: { type: "number", default: 1, description: "The largest share of requests traced, in percent." },
    },
  },
);

export const istioSupported = resourcePolicy(
  "istio-supported",
  {
    *[CHART](chart, context) {
      if (text(at(chart.props, "name")) !== "istiod") context.notApplicable("not istiod's chart");
      yield* unsupported("istio", chart, text(at(chart.props, "version")), context);
    },
    [RELEASE]: function* (release, context) {
      yield* ofIstiod(function* (istiod, values) {
        const version = text(at(istiod.props, "version")) ?? text(at(values, "global", "tag"));
        // Without either, the chart's own version counts, which its Chart resource gives.
        if (version !== undefined) yield* unsupported("istio", istiod, version, context);
      })(release, context);
    },
  },
  judgedOn,
);

const INJECTION = "istio-injection";
const REVISION = "istio.io/rev";

const injected: Judge = function* (namespace, context) {
  const labels = at(namespace.props, "metadata", "labels");
  const injection = text(at(labels, INJECTION));
  const revision = text(at(labels, REVISION));
  if (injection === undefined && revision === undefined) context.notApplicable("not a namespace of the mesh");
  if (injection !== undefined && revision !== undefined) {
    yield {
      subject: subjectOf(namespace),
      found: `both ${INJECTION}: ${injection} and ${REVISION}: ${revision}`,
      required: "exactly one",
    };
  }
  if (injection !== undefined && injection !== "enabled" && injection !== "disabled") {
    yield {
      subject: subjectOf(namespace),
      found: `${INJECTION}: ${injection}`,
      required: "enabled or disabled",
    };
  }
};

export const nsInjected = resourcePolicy("ns-injected", {
  "kubernetes:core/v1:Namespace": injected,
  "kubernetes:core/v1:NamespacePatch": injected,
});
