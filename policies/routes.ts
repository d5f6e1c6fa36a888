import { ofType, resourcePolicy, stackPolicy, subjectOf, type Judged, type KvmeshPolicy } from "./frame";
import type { Memory } from "./memory";
import { DESTINATION_RULE, VIRTUAL_SERVICE } from "./mesh-view";
import { coversService, namespaceOf, objectName, podOf, selects, serviceOf, WORKLOADS } from "./objects";
import { at, entries, list, number, text } from "./read";

interface RouteList {
  /** "http[0]" */
  readonly where: string;
  readonly destinations: readonly unknown[];
}

function routeLists(spec: unknown): readonly RouteList[] {
  return ["http", "tcp", "tls"].flatMap((protocol) =>
    list(at(spec, protocol)).map((rule, index) => ({
      where: `${protocol}[${index}]`,
      destinations: list(at(rule, "route")),
    })),
  );
}

/** Where requests are copied to; without weights. */
function mirrors(spec: unknown): readonly RouteList[] {
  return list(at(spec, "http")).map((rule, index) => ({
    where: `http[${index}] mirror`,
    destinations: [
      ...(at(rule, "mirror") === undefined ? [] : [{ destination: at(rule, "mirror") }]),
      ...list(at(rule, "mirrors")),
    ],
  }));
}

export const canaryWeights = resourcePolicy("canary-weights", {
  *[`object:${VIRTUAL_SERVICE}`](service) {
    for (const { where, destinations } of routeLists(at(service.props, "spec"))) {
      const weights = destinations.map((destination) => number(at(destination, "weight")));
      // A single destination without a weight gets everything.
      if (weights.length === 0 || (weights.length === 1 && weights[0] === undefined)) continue;
      const shown = weights.map((weight) => weight ?? "none").join(" + ");
      const sum = weights.reduce<number>((total, weight) => total + (weight ?? 0), 0);
      const odd = weights.find((weight) => weight !== undefined && (!Number.isInteger(weight) || weight < 0));
      if (sum === 100 && odd === undefined) continue;
      const required = "whole weights from 0 to 100 that sum to 100";
      yield { subject: subjectOf(service), found: `${where} weights ${shown} = ${sum}`, required };
    }
  },
});

interface Subset {
  readonly rule: Judged;
  readonly host: string;
  readonly labels: unknown;
}

export function routeSubsetPolicy(memory: Memory): KvmeshPolicy {
  return stackPolicy(
    "route-subset",
    function* (resources, context) {
      const services = ofType(resources, `object:${VIRTUAL_SERVICE}`);
      if (services.length === 0) context.notApplicable("the stack has no VirtualService");
      const defined = subsetsOf(resources);
      for (const service of services) {
        const spec = at(service.props, "spec");
        const own = namespaceOf(service);
        for (const { where, destinations } of [...routeLists(spec), ...mirrors(spec)]) {
          for (const destination of destinations) {
            const subset = text(at(destination, "destination", "subset")) ?? text(at(destination, "subset"));
            if (subset === undefined) continue;
            const host = text(at(destination, "destination", "host")) ?? text(at(destination, "host")) ?? "?";
            const problem = problemOf(defined.get(subset) ?? [], host, own, resources);
            if (problem === undefined) continue;
            yield {
              subject: subjectOf(service),
              found: `${where} names subset ${subset} of ${fullHost(host, own)}, ${problem}`,
              required: "a defined subset whose labels pods of the service have",
              urn: service.urn,
            };
          }
        }
      }
    },
    { memory, kinds: [VIRTUAL_SERVICE, DESTINATION_RULE, "core/Service", ...WORKLOADS] },
  );
}

/** Subset name → where it is defined. */
function subsetsOf(resources: readonly Judged[]): ReadonlyMap<string, readonly Subset[]> {
  const found = new Map<string, Subset[]>();
  for (const rule of ofType(resources, `object:${DESTINATION_RULE}`)) {
    for (const subset of list(at(rule.props, "spec", "subsets"))) {
      const name = text(at(subset, "name")) ?? "";
      const host = text(at(rule.props, "spec", "host")) ?? "";
      found.set(name, [...(found.get(name) ?? []), { rule, host, labels: at(subset, "labels") }]);
    }
  }
  return found;
}

function problemOf(
  named: readonly Subset[],
  host: string,
  own: string,
  resources: readonly Judged[],
): string | undefined {
  const service = serviceOf(host, own);
  const subset = named.find((one) => {
    const pattern = serviceOf(one.host, namespaceOf(one.rule));
    return service && pattern ? coversService(pattern, service) : one.host === host;
  });
  if (subset === undefined) return "which no DestinationRule of the stack defines";
  if (entries(subset.labels).length === 0) return "which has no labels";
  if (service !== undefined && hasNoPods(service.namespace, service.name, subset.labels, resources))
    return "whose labels no workload of the service has";
  return undefined;
}

/** Only where the stack has the Service and workloads of it: others may be anywhere. */
function hasNoPods(namespace: string, name: string, labels: unknown, resources: readonly Judged[]): boolean {
  const service = ofType(resources, "object:core/Service").find(
    (one) => namespaceOf(one) === namespace && objectName(one) === name,
  );
  const selector = service && at(service.props, "spec", "selector");
  if (entries(selector).length === 0) return false;
  const pods = ofType(resources, ...WORKLOADS.map((kind) => `object:${kind}`))
    .filter((workload) => namespaceOf(workload) === namespace)
    .map((workload) => podOf(workload).labels)
    .filter((podLabels) => selects(selector, podLabels));
  return pods.length > 0 && !pods.some((podLabels) => selects(labels, podLabels));
}

/** Istio completes a name without a dot with the rule's own namespace. */
function fullHost(host: string, namespace: string): string {
  return host.includes(".") ? host : `${host}.${namespace}.svc.cluster.local`;
}

/** More attempts than this multiply the load of a service that is failing already. */
const MOST_ATTEMPTS = 3;

/** Without `retries` Istio's own default holds: two attempts, only where nothing was done yet. */
export function retryBudgetPolicy(memory: Memory): KvmeshPolicy {
  return stackPolicy(
    "retry-budget",
    function* (resources, context) {
      const retried = ofType(resources, `object:${VIRTUAL_SERVICE}`).flatMap((service) =>
        list(at(service.props, "spec", "http"))
          .map((route, index) => ({ service, route, where: `http[${index}]` }))
          .filter(({ route }) => (number(at(route, "retries", "attempts")) ?? 0) > 0),
      );
      if (retried.length === 0) context.notApplicable("no route of the stack says how it is retried");
      for (const { service, route, where } of retried) {
        const about = { subject: subjectOf(service), urn: service.urn };
        const attempts = number(at(route, "retries", "attempts")) ?? 0;
        if (attempts > MOST_ATTEMPTS)
          yield {
            ...about,
            found: `${where} retries.attempts ${attempts}`,
            required: `at most ${MOST_ATTEMPTS} attempts`,
          };
        if (text(at(route, "retries", "perTryTimeout")) === undefined)
          yield { ...about, found: `${where} retries without perTryTimeout`, required: "a time limit for each try" };
        for (const host of hostsOf(route)) {
          if (isDetected(host, namespaceOf(service), resources)) continue;
          const found = `${where} retries ${fullHost(host, namespaceOf(service))}, whose failing pods stay in`;
          yield { ...about, found, required: "trafficPolicy.outlierDetection in the host's DestinationRule" };
        }
      }
    },
    { memory, kinds: [VIRTUAL_SERVICE, DESTINATION_RULE] },
  );
}

function hostsOf(route: unknown): readonly string[] {
  const hosts = list(at(route, "route")).map((destination) => text(at(destination, "destination", "host")) ?? "?");
  return [...new Set(hosts)];
}

function isDetected(host: string, own: string, resources: readonly Judged[]): boolean {
  const service = serviceOf(host, own);
  return ofType(resources, `object:${DESTINATION_RULE}`).some((rule) => {
    const pattern = serviceOf(text(at(rule.props, "spec", "host")) ?? "", namespaceOf(rule));
    const covered =
      service && pattern ? coversService(pattern, service) : text(at(rule.props, "spec", "host")) === host;
    return covered && at(rule.props, "spec", "trafficPolicy", "outlierDetection") !== undefined;
  });
}
