import {
  bothPolicy,
  ofType,
  resourcePolicy,
  stackPolicy,
  subjectOf,
  type Finding,
  type Judged,
  type KvmeshPolicy,
} from "./frame";
import { at, entries, list, text } from "./read";

const PEER_AUTHENTICATION = "kubernetes:security.istio.io/*:PeerAuthentication";
const DESTINATION_RULE = "kubernetes:networking.istio.io/*:DestinationRule";
const NAMESPACES = ["kubernetes:core/v1:Namespace", "kubernetes:core/v1:NamespacePatch"];
const ROOT_NAMESPACE = "istio-system";

/** Modes of a PeerAuthentication: its own, then those of its ports. */
function modes(peer: Judged): readonly { readonly where: string; readonly mode: string }[] {
  const own = text(at(peer.props, "spec", "mtls", "mode"));
  return [
    ...(own === undefined ? [] : [{ where: "mtls", mode: own }]),
    ...entries(at(peer.props, "spec", "portLevelMtls")).map(([port, value]) => ({
      where: `port ${port}`,
      mode: text(at(value, "mode")) ?? "UNSET",
    })),
  ];
}

/** Namespaces whose PeerAuthentication (without selector) says STRICT; the root namespace stands for all. */
function strictNamespaces(resources: readonly Judged[]): ReadonlySet<string> {
  return new Set(
    ofType(resources, PEER_AUTHENTICATION)
      .filter(({ props }) => entries(at(props, "spec", "selector", "matchLabels")).length === 0)
      .filter(({ props }) => text(at(props, "spec", "mtls", "mode")) === "STRICT")
      .map(({ props }) => text(at(props, "metadata", "namespace")) ?? "default"),
  );
}

/** DISABLE blocks before it is applied; that something is missing can only be said when all resources are known. */
export const meshStrict: KvmeshPolicy = bothPolicy(
  resourcePolicy("mesh-strict", {
    *[PEER_AUTHENTICATION](peer) {
      for (const { where, mode } of modes(peer)) {
        if (mode === "DISABLE") yield { subject: subjectOf(peer), found: `${where} DISABLE`, required: "STRICT" };
      }
    },
  }),
  stackPolicy("mesh-strict", function* (resources, context) {
    const meshed = ofType(resources, ...NAMESPACES)
      .filter(isInjected)
      .map(namespaceName);
    if (meshed.length === 0) context.notApplicable("the stack has no namespace with sidecars");
    const strict = strictNamespaces(resources);
    if (strict.has(ROOT_NAMESPACE)) return;
    const open = meshed.filter((namespace) => !strict.has(namespace)).sort();
    if (open.length === 0) return;
    yield {
      subject: "mesh",
      found: `no STRICT PeerAuthentication mesh-wide, nor in ${open.join(", ")}`,
      required: `STRICT in ${ROOT_NAMESPACE} or in each namespace with sidecars`,
    };
  }),
);

function isInjected({ props }: Judged): boolean {
  const labels = at(props, "metadata", "labels");
  return text(at(labels, "istio-injection")) === "enabled" || text(at(labels, "istio.io/rev")) !== undefined;
}

function namespaceName({ props, name }: Judged): string {
  return text(at(props, "metadata", "name")) ?? name;
}

const OWNER = "kvmesh.io/exception-owner";
const EXPIRES = "kvmesh.io/exception-expires";

export const mtlsException = resourcePolicy("mtls-exception", {
  *[PEER_AUTHENTICATION](peer, context) {
    const exceptions = modes(peer).filter(({ mode }) => mode !== "STRICT");
    if (exceptions.length === 0) context.notApplicable("STRICT, without an exception");
    const what = exceptions.map(({ where, mode }) => `${where} ${mode}`).join(", ");
    const annotations = at(peer.props, "metadata", "annotations");
    const owner = text(at(annotations, OWNER));
    const expires = text(at(annotations, EXPIRES));
    const required = `annotations ${OWNER} and ${EXPIRES}, a day to come`;
    if (owner === undefined || owner.trim() === "" || expires === undefined) {
      yield { subject: subjectOf(peer), found: `${what} without owner and end`, required };
    } else if (!/^\d{4}-\d{2}-\d{2}$/.test(expires) || Number.isNaN(Date.parse(expires))) {
      yield { subject: subjectOf(peer), found: `${what} with an end that is no day (YYYY-MM-DD)`, required };
    } else if (expires < new Date().toISOString().slice(0, 10)) {
      yield { subject: subjectOf(peer), found: `${what}, whose exception ended on ${expires}`, required };
    }
  },
});

export const mtlsConflict = stackPolicy("mtls-conflict", function* (resources, context) {
  const rules = ofType(resources, DESTINATION_RULE);
  if (rules.length === 0) context.notApplicable("the stack has no DestinationRule");
  const strict = strictNamespaces(resources);
  for (const rule of rules) yield* conflicts(rule, strict);
});

/** TLS turned off for a host, one of its ports or subsets, where its namespace demands mutual TLS. */
function* conflicts(rule: Judged, strict: ReadonlySet<string>): Iterable<Finding> {
  const spec = at(rule.props, "spec");
  const host = text(at(spec, "host")) ?? "";
  const own = text(at(rule.props, "metadata", "namespace")) ?? "default";
  // name, name.namespace, name.namespace.svc.cluster.local; another suffix is outside the cluster.
  const [, namespace = own, ...suffix] = host.split(".");
  if (suffix.length > 0 && suffix[0] !== "svc") return;
  if (!strict.has(namespace) && !strict.has(ROOT_NAMESPACE)) return;
  const policies = [
    { where: "trafficPolicy", policy: at(spec, "trafficPolicy") },
    ...list(at(spec, "subsets")).map((subset) => ({
      where: `subset ${text(at(subset, "name")) ?? "?"}`,
      policy: at(subset, "trafficPolicy"),
    })),
  ];
  for (const { where, policy } of policies) {
    const parts = [policy, ...list(at(policy, "portLevelSettings"))];
    const mode = parts
      .map((part) => text(at(part, "tls", "mode")))
      .find((one) => one !== undefined && one !== "ISTIO_MUTUAL");
    if (mode === undefined) continue;
    yield {
      subject: subjectOf(rule),
      found: `tls mode ${mode} (${where}) towards ${host}, where mutual TLS is STRICT`,
      required: "ISTIO_MUTUAL, or no tls",
      urn: rule.urn,
    };
  }
}
