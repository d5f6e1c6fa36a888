import { ofType, resourcePolicy, stackPolicy, subjectOf } from "./frame";
import { at, entries, list, number, text } from "./read";

const VIRTUAL_SERVICE = "kubernetes:networking.istio.io/*:VirtualService";
const DESTINATION_RULE = "kubernetes:networking.istio.io/*:DestinationRule";
const GATEWAY = "kubernetes:networking.istio.io/*:Gateway";

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

export const canaryWeights = resourcePolicy("canary-weights", {
  *[VIRTUAL_SERVICE](service) {
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

export const routeSubset = stackPolicy("route-subset", function* (resources, context) {
  const services = ofType(resources, VIRTUAL_SERVICE);
  if (services.length === 0) context.notApplicable("the stack has no VirtualService");
  // "host/subset" → whether it selects pods by a label.
  const defined = new Map<string, boolean>();
  for (const { props } of ofType(resources, DESTINATION_RULE)) {
    const host = fullHost(text(at(props, "spec", "host")), namespaceOf(props));
    for (const subset of list(at(props, "spec", "subsets"))) {
      defined.set(`${host}/${text(at(subset, "name")) ?? ""}`, entries(at(subset, "labels")).length > 0);
    }
  }
  for (const service of services) {
    for (const { where, destinations } of routeLists(at(service.props, "spec"))) {
      for (const destination of destinations) {
        const subset = text(at(destination, "destination", "subset"));
        if (subset === undefined) continue;
        const host = fullHost(text(at(destination, "destination", "host")), namespaceOf(service.props));
        const labelled = defined.get(`${host}/${subset}`);
        if (labelled === true) continue;
        const found =
          labelled === undefined
            ? `${where} names subset ${subset} of ${host}, which no DestinationRule of the stack defines`
            : `${where} names subset ${subset} of ${host}, which has no labels`;
        yield { subject: subjectOf(service), found, required: "a defined subset with labels", urn: service.urn };
      }
    }
  }
});

function namespaceOf(props: unknown): string {
  return text(at(props, "metadata", "namespace")) ?? "default";
}

/** Istio completes a short name with the rule's own namespace. */
function fullHost(host: string | undefined, namespace: string): string {
  if (host === undefined) return "?";
  return host.includes(".") ? host : `${host}.${namespace}.svc.cluster.local`;
}

export const gatewayTls = resourcePolicy("gateway-tls", {
  *[GATEWAY](gateway) {
    for (const server of list(at(gateway.props, "spec", "servers"))) {
      const protocol = text(at(server, "port", "protocol")) ?? "none";
      const redirected = at(server, "tls", "httpsRedirect") === true;
      if (!["HTTP", "HTTP2", "GRPC"].includes(protocol.toUpperCase()) || redirected) continue;
      const port = number(at(server, "port", "number")) ?? "?";
      yield {
        subject: subjectOf(gateway),
        found: `plain ${protocol} on port ${port}`,
        required: "TLS, or a redirect to it (tls.httpsRedirect)",
      };
    }
  },
});
