import { bothPolicy, ofType, resourcePolicy, stackPolicy, subjectOf, type Judge, type KvmeshPolicy } from "./frame";
import { isIstiod, RELEASE } from "./istiod";
import type { Memory } from "./memory";
import { at, peek, text } from "./read";

export const UNSEEN = "objects-seen";

/** Components whose objects are children of theirs, once their cluster can be asked. */
const HOLDERS = [
  "kubernetes:helm.sh/v3:Chart",
  "kubernetes:helm.sh/v4:Chart",
  "kubernetes:kustomize:Directory",
  "kubernetes:kustomize/v2:Directory",
  "kubernetes:yaml:ConfigFile",
  "kubernetes:yaml:ConfigGroup",
  "kubernetes:yaml/v2:ConfigFile",
  "kubernetes:yaml/v2:ConfigGroup",
];

/** What an EnvoyFilter can change past Istio's own API. */
const BY_ENVOY_FILTER = [
  "mesh-strict",
  "mtls-exception",
  "mtls-conflict",
  "gateway-tls",
  "retry-budget",
  "canary-weights",
];

const COMMAND = /(^|[\s;&|/])(kubectl|helm|istioctl|kustomize)(\s|$)/;

/**
 * What the pack can't look into, said once a holder, with every rule that its objects could break: no verdict, and never
 * a pass. `policies` are the other rules of the pack: each names the kinds of objects that it judges.
 */
export function unseenPolicy(policies: readonly KvmeshPolicy[], memory: Memory): KvmeshPolicy {
  const rulesOf = (...kinds: readonly string[]): readonly string[] =>
    policies
      .filter((policy) => policy.kinds.some((kind) => kinds.length === 0 || kinds.includes(kind)))
      .map(({ name }) => name);

  const judges: Record<string, Judge> = {
    *[RELEASE](release, context) {
      if (isIstiosChart(release.props)) context.notApplicable("a chart of Istio's, which is judged by its values");
      const kinds = kindsOf(at(release.props, "resourceNames"));
      const rules = rulesOf(...kinds);
      if (rules.length === 0) context.notApplicable("makes nothing that a rule is about");
      const unseen =
        "the objects of its chart are made by Helm in the cluster; declare them as resources, or use a Chart";
      yield { subject: subjectOf(release), unseen, rules: [UNSEEN, ...rules] };
    },
    *["object:networking.istio.io/EnvoyFilter"](filter) {
      const unseen = "an EnvoyFilter changes the proxies past Istio's own API";
      yield { subject: subjectOf(filter), unseen, rules: [UNSEEN, ...BY_ENVOY_FILTER] };
    },
  };
  const command: Judge = function* (resource, context) {
    const lines = ["create", "update"].map((step) => peek(() => text(at(resource.props, step))) ?? "");
    if (!lines.some((line) => COMMAND.test(line))) context.notApplicable("runs no tool that changes a cluster");
    const unseen = "runs a tool that changes a cluster; declare its objects as resources";
    yield { subject: subjectOf(resource), unseen, rules: [UNSEEN, ...rulesOf()] };
  };
  for (const place of ["local", "remote"]) judges[`command:${place}:Command`] = command;
  const others: Judge = (_, context) => context.notApplicable("can be looked into");
  return bothPolicy(
    resourcePolicy(UNSEEN, { ...judges, "kubernetes:**": others }, { memory }),
    stackPolicy(
      UNSEEN,
      function* (resources, context) {
        const holders = ofType(resources, ...HOLDERS);
        const empty = holders.filter(({ urn }) => !resources.some(({ parent }) => parent === urn));
        if (empty.length === 0) context.notApplicable("no chart, folder or file whose objects aren't known");
        for (const holder of empty) {
          const unseen = "its objects are not known yet: they are judged on `up`, before each is made";
          yield { subject: subjectOf(holder), unseen, rules: [UNSEEN, ...rulesOf()], urn: holder.urn };
        }
      },
      { memory },
    ),
  );
}

/** What Istio's own charts make is known: workloads, Services and RBAC, and no object of a policy. */
function isIstiosChart(props: unknown): boolean {
  if (isIstiod({ type: RELEASE, name: "", urn: "", protect: false, additionalSecretOutputs: [], props })) return true;
  const chart = peek(() => text(at(props, "chart")));
  const name = chart === undefined ? peek(() => text(at(props, "name"))) : chart.split("/").at(-1);
  return /^(istio-)?(base|cni|ztunnel|gateway|ingressgateway|egressgateway|(ingress|egress)gateway)$/.test(name ?? "");
}

/** Where the cluster was asked, a release names what its chart makes: { "Deployment.apps/v1": ["shop/cart"] }. */
function kindsOf(names: unknown): readonly string[] {
  if (typeof names !== "object" || names === null) return [];
  return Object.keys(names).map((key) => {
    const [kind = "", ...group] = key.replace(/\/[^/]*$/, "").split(/[./]/);
    return `${group.join(".") || "core"}/${kind}`;
  });
}
