import { bothPolicy, ofType, resourcePolicy, stackPolicy, subjectOf, type Judged, type KvmeshPolicy } from "./frame";
import type { Memory } from "./memory";
import { namespaceOf, objectName } from "./objects";
import { at, list, number, text } from "./read";

const ISTIO = "networking.istio.io/Gateway";
const API = "gateway.networking.k8s.io/Gateway";
const ROUTE = "gateway.networking.k8s.io/HTTPRoute";
const INGRESS = "networking.k8s.io/Ingress";
const REQUIRED = "TLS, or a redirect to it";

/** Protocols of Istio's Gateway that are in clear text without `tls`. */
const PLAIN = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB", "TCP", "MONGO", "MYSQL", "REDIS", "UDP"];

/**
 * Whatever takes traffic from outside. A listener of the Gateway API has its redirect in a route, which may come later:
 * plain HTTP there is judged with the whole stack.
 */
export function gatewayTlsPolicy(memory: Memory): KvmeshPolicy {
  return bothPolicy(
    resourcePolicy("gateway-tls", {
      *[`object:${ISTIO}`](gateway) {
        for (const server of list(at(gateway.props, "spec", "servers"))) {
          const found = problemOfServer(server);
          if (found !== undefined) yield { subject: subjectOf(gateway), found, required: REQUIRED };
        }
      },
      *[`object:${API}`](gateway) {
        for (const listener of list(at(gateway.props, "spec", "listeners"))) {
          const protocol = (text(at(listener, "protocol")) ?? "none").toUpperCase();
          const terminates = ["HTTPS", "TLS"].includes(protocol) && text(at(listener, "tls", "mode")) !== "Passthrough";
          const bare = terminates && list(at(listener, "tls", "certificateRefs")).length === 0;
          if (protocol === "HTTP" || (!bare && protocol !== "TCP" && protocol !== "UDP")) continue;
          const found = bare ? `${protocol} without a certificate` : `plain ${protocol}`;
          yield { subject: subjectOf(gateway), found: `${found} on ${portOf(listener)}`, required: REQUIRED };
        }
      },
      *[`object:${INGRESS}`](ingress) {
        if (list(at(ingress.props, "spec", "tls")).length > 0) return;
        yield { subject: subjectOf(ingress), found: "no tls: plain HTTP", required: "tls with a secret" };
      },
    }),
    stackPolicy(
      "gateway-tls",
      function* (resources, context) {
        const gateways = ofType(resources, `object:${API}`);
        if (gateways.length === 0) context.notApplicable("the stack has no Gateway of the Gateway API");
        const routes = ofType(resources, `object:${ROUTE}`);
        for (const gateway of gateways) {
          for (const listener of list(at(gateway.props, "spec", "listeners"))) {
            if ((text(at(listener, "protocol")) ?? "").toUpperCase() !== "HTTP") continue;
            const attached = routes.filter((route) => isAttached(route, gateway, text(at(listener, "name")) ?? ""));
            if (attached.length > 0 && attached.every(redirects)) continue;
            const found = `plain HTTP on ${portOf(listener)}`;
            yield { subject: subjectOf(gateway), found, required: REQUIRED, urn: gateway.urn };
          }
        }
      },
      { memory, kinds: [API, ROUTE] },
    ),
  );
}

function problemOfServer(server: unknown): string | undefined {
  const protocol = (text(at(server, "port", "protocol")) ?? "none").toUpperCase();
  const where = `port ${number(at(server, "port", "number")) ?? "?"}`;
  const mode = text(at(server, "tls", "mode"));
  if (protocol === "HTTP" || protocol === "HTTP2" || protocol.startsWith("GRPC"))
    return at(server, "tls", "httpsRedirect") === true ? undefined : `plain ${protocol} on ${where}`;
  // Istio terminates TLS on a TCP server, too, when it has `tls`.
  if (PLAIN.includes(protocol)) return mode === undefined ? `plain ${protocol} on ${where}` : undefined;
  if (protocol !== "HTTPS" && protocol !== "TLS") return `protocol ${protocol.slice(0, 20)} on ${where}`;
  if (mode === undefined) return `${protocol} without tls on ${where}`;
  const terminates = mode === "SIMPLE" || mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL";
  const names = ["credentialName", "credentialNames", "serverCertificate", "tlsCertificates"];
  if (terminates && !names.some((name) => at(server, "tls", name) !== undefined))
    return `${protocol} without a certificate on ${where}`;
  return undefined;
}

function portOf(listener: unknown): string {
  return `port ${number(at(listener, "port")) ?? "?"}`;
}

function isAttached(route: Judged, gateway: Judged, listener: string): boolean {
  return list(at(route.props, "spec", "parentRefs")).some((ref) => {
    const section = text(at(ref, "sectionName"));
    return (
      text(at(ref, "name")) === objectName(gateway) &&
      (text(at(ref, "namespace")) ?? namespaceOf(route)) === namespaceOf(gateway) &&
      (section === undefined || section === listener)
    );
  });
}

function redirects(route: Judged): boolean {
  const rules = list(at(route.props, "spec", "rules"));
  return (
    rules.length > 0 &&
    rules.every((rule) =>
      list(at(rule, "filters")).some(
        (filter) =>
          text(at(filter, "type")) === "RequestRedirect" && text(at(filter, "requestRedirect", "scheme")) === "https",
      ),
    )
  );
}
