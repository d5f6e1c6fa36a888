import { bothPolicy, ofType, resourcePolicy, stackPolicy, subjectOf, type Judge, type KvmeshPolicy } from "./frame";
import type { Memory } from "./memory";
import { isMeshed, MeshView, PEER_AUTHENTICATION } from "./mesh-view";
import { namespaceOf, objectName } from "./objects";
import { at, entries, list, text, texts } from "./read";

const NAMESPACE = "object:core/Namespace";
const INJECTION = "istio-injection";
const REVISION = "istio.io/rev";
const AMBIENT = "istio.io/dataplane-mode";
const AUTHORIZATION = "security.istio.io/AuthorizationPolicy";
const SIDECAR = "networking.istio.io/Sidecar";
const NETWORK_POLICY = "networking.k8s.io/NetworkPolicy";

const exactlyOne: Judge = function* (namespace, context) {
  const labels = at(namespace.props, "metadata", "labels");
  const injection = text(at(labels, INJECTION));
  const revision = text(at(labels, REVISION));
  const ambient = text(at(labels, AMBIENT));
  if (injection === undefined && revision === undefined && ambient === undefined)
    context.notApplicable("not a namespace of the mesh");
  const subject = subjectOf(namespace);
  const given = [
    ...(injection === undefined || injection === "disabled" ? [] : [INJECTION]),
    ...(revision === undefined ? [] : [REVISION]),
    ...(ambient === undefined || ambient === "none" ? [] : [AMBIENT]),
  ];
  // Istio takes `disabled` for an answer, whatever the revision says.
  if (given.length > 1 || (injection === "disabled" && revision !== undefined)) {
    const both = injection === "disabled" ? [INJECTION, REVISION] : given;
    yield { subject, found: `both ${both.join(" and ")}`, required: "exactly one" };
  }
  if (injection !== undefined && injection !== "enabled" && injection !== "disabled")
    yield { subject, found: `${INJECTION} with another value`, required: "enabled or disabled" };
};

/** Policies of the mesh in a namespace without sidecars hold for nobody there. */
export function nsInjectedPolicy(memory: Memory): KvmeshPolicy {
  const kinds = ["core/Namespace", PEER_AUTHENTICATION, AUTHORIZATION, SIDECAR];
  return bothPolicy(
    resourcePolicy("ns-injected", { [NAMESPACE]: exactlyOne }),
    stackPolicy(
      "ns-injected",
      function* (resources, context) {
        const view = new MeshView(resources);
        const ofMesh = ofType(resources, ...kinds.slice(1).map((kind) => `object:${kind}`));
        const meshed = view.meshed();
        const bare = ofType(resources, NAMESPACE).filter(
          (namespace) =>
            !/Patch$/.test(namespace.type) &&
            objectName(namespace) !== view.root &&
            !meshed.has(objectName(namespace)) &&
            !isMeshed(at(namespace.props, "metadata", "labels")) &&
            ofMesh.some((object) => namespaceOf(object) === objectName(namespace)),
        );
        if (ofMesh.length === 0) context.notApplicable("the stack has no policy of the mesh");
        for (const namespace of bare)
          yield {
            subject: subjectOf(namespace),
            found: "policies of the mesh, and no injection label or revision",
            required: `${INJECTION}: enabled, or ${REVISION}`,
            urn: namespace.urn,
          };
      },
      { memory, kinds },
    ),
  );
}

const ENFORCE = "pod-security.kubernetes.io/enforce";

/** Kubernetes' own, and those of agents that must be privileged on every node. */
const EXEMPT = ["kube-system", "kube-public", "kube-node-lease", "kube-flannel"];

const exemptSetting = {
  exempt: {
    type: "array" as const,
    items: { type: "string" as const },
    default: EXEMPT,
    description: "Namespaces of node agents, which must be privileged.",
  },
};

export const nsPodSecurity = resourcePolicy(
  "ns-pod-security",
  {
    *[NAMESPACE](namespace, context) {
      if (exempt(context.settings).includes(objectName(namespace))) context.notApplicable("a namespace of node agents");
      const labels = at(namespace.props, "metadata", "labels");
      const level = text(at(labels, ENFORCE));
      if (level === "baseline" || level === "restricted") return;
      // A patch without the label says nothing of what the namespace has.
      if (level === undefined && namespace.type.endsWith("Patch"))
        context.notApplicable("a patch that leaves the level as it is");
      const subject = subjectOf(namespace);
      const required = "baseline or restricted";
      if (level === "privileged" && isMeshed(labels) && text(at(labels, AMBIENT)) === undefined) {
        const found = "enforce privileged, which istio-init needs as long as Istio's CNI plugin is not installed";
        yield { subject, found, required, level: "advisory" };
        return;
      }
      const known = level === undefined || level === "privileged";
      yield { subject, found: known ? `enforce ${level ?? "not given"}` : "enforce with another value", required };
    },
  },
  { settings: exemptSetting },
);

function exempt(settings: unknown): readonly string[] {
  const given = at(settings, "exempt");
  return given === undefined ? EXEMPT : texts(given);
}

/** Every namespace that the stack makes has a NetworkPolicy that selects all pods and allows nothing in. */
export function nsDefaultDenyPolicy(memory: Memory): KvmeshPolicy {
  return stackPolicy(
    "ns-default-deny",
    function* (resources, context) {
      const namespaces = ofType(resources, NAMESPACE).filter(
        (namespace) => !/Patch$/.test(namespace.type) && !exempt(context.settings).includes(objectName(namespace)),
      );
      if (namespaces.length === 0) context.notApplicable("the stack makes no namespace");
      const denied = new Set(
        ofType(resources, `object:${NETWORK_POLICY}`)
          .filter(({ props }) => deniesAll(at(props, "spec")))
          .map(namespaceOf),
      );
      for (const namespace of namespaces) {
        if (denied.has(objectName(namespace))) continue;
        yield {
          subject: subjectOf(namespace),
          found: "no NetworkPolicy that denies by default",
          required: "a NetworkPolicy with an empty podSelector and no ingress rule",
          urn: namespace.urn,
        };
      }
    },
    { memory, kinds: ["core/Namespace", NETWORK_POLICY], settings: exemptSetting },
  );
}

function deniesAll(spec: unknown): boolean {
  const selector = at(spec, "podSelector");
  const selected = entries(at(selector, "matchLabels")).length > 0 || list(at(selector, "matchExpressions")).length > 0;
  const types = texts(at(spec, "policyTypes"));
  return !selected && (types.length === 0 || types.includes("Ingress")) && list(at(spec, "ingress")).length === 0;
}
