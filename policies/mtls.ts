import { dayOf, isDay } from "./clock";
import {
  bothPolicy,
  objectsPolicy,
  ofType,
  resourcePolicy,
  stackPolicy,
  subjectOf,
  type Context,
  type Finding,
  type Item,
  type Judge,
  type Judged,
  type KvmeshPolicy,
} from "./frame";
import { meshConfigOf, OPERATORS, RELEASE, valuesOf } from "./istiod";
import type { Memory } from "./memory";
import { DESTINATION_RULE, injection, MeshView, modes, PEER_AUTHENTICATION, VIRTUAL_SERVICE } from "./mesh-view";
import { namespaceOf, podOf, WORKLOADS } from "./objects";
import { at, entries, list, number, text } from "./read";

const TRAFFIC = "traffic.sidecar.istio.io/";

/** DISABLE blocks before it is applied; that something is missing can only be said when all resources are known. */
export function meshStrictPolicy(memory: Memory): KvmeshPolicy {
  const ofInstall: Judge = function* (resource, context) {
    const values = valuesOf(resource);
    if (values === undefined) context.notApplicable("does not install istiod");
    yield* weakened(resource, values);
  };
  return bothPolicy(
    resourcePolicy("mesh-strict", {
      *[`object:${PEER_AUTHENTICATION}`](peer) {
        for (const { where, mode } of modes(peer)) {
          if (mode === "DISABLE") yield { subject: subjectOf(peer), found: `${where} DISABLE`, required: "STRICT" };
        }
      },
      [RELEASE]: ofInstall,
      ...Object.fromEntries(OPERATORS.map((type) => [type, ofInstall])),
      *["object:core/ConfigMap"](configMap, context) {
        const meshConfig = meshConfigOf(configMap);
        if (meshConfig === undefined) context.notApplicable("does not configure the mesh");
        yield* weakened(configMap, { meshConfig });
      },
    }),
    stackPolicy(
      "mesh-strict",
      function* (resources, context) {
        const view = new MeshView(resources);
        const meshed = view.meshed();
        if (meshed.size === 0) context.notApplicable("the stack has no namespace with sidecars");
        // What a namespace says against a strict mesh is an exception: mtls-exception's business.
        if (view.modeOf(view.root) === "STRICT") return;
        const open = [...meshed].filter((namespace) => view.modeOf(namespace) !== "STRICT").sort();
        if (open.length === 0) return;
        yield {
          subject: "mesh",
          found: `no STRICT PeerAuthentication mesh-wide, nor in ${open.join(", ")}`,
          required: `STRICT in ${view.root} or in each namespace with sidecars`,
        };
      },
      { memory, kinds: ["core/Namespace", PEER_AUTHENTICATION] },
    ),
  );
}

/** What an installation of Istio turns off for the whole mesh. */
function* weakened(resource: Judged, values: unknown): Iterable<Finding> {
  const subject = subjectOf(resource);
  if (at(values, "meshConfig", "enableAutoMtls") === false)
    yield {
      subject,
      found: "meshConfig.enableAutoMtls false: sidecars call each other in plain text",
      required: "true",
    };
  if (text(at(values, "meshConfig", "defaultConfig", "interceptionMode")) === "NONE")
    yield {
      subject,
      found: "meshConfig.defaultConfig.interceptionMode NONE: no traffic goes through the sidecars",
      required: "REDIRECT or TPROXY",
    };
  for (const key of ["excludeInboundPorts", "excludeOutboundPorts", "excludeIPRanges"]) {
    const value = at(values, "global", "proxy", key);
    if (value === undefined || value === null || value === "") continue;
    yield { subject, found: `global.proxy.${key} for every sidecar`, required: "no exclusion for the whole mesh" };
  }
  const annotations = at(values, "sidecarInjectorWebhook", "injectedAnnotations");
  for (const key of entries(annotations)
    .map(([name]) => name)
    .filter(isExclusion))
    yield {
      subject,
      found: `sidecarInjectorWebhook.injectedAnnotations ${key} for every pod`,
      required: "no exclusion for the whole mesh",
    };
}

function isExclusion(annotation: string): boolean {
  return annotation.startsWith(`${TRAFFIC}exclude`);
}

const OWNER = "kvmesh.io/exception-owner";
const EXPIRES = "kvmesh.io/exception-expires";

/** An exception of a PeerAuthentication or of a workload: owner and end stand in annotations beside it. */
export function mtlsExceptionPolicy(memory: Memory): KvmeshPolicy {
  const kinds = ["core/Namespace", PEER_AUTHENTICATION, ...WORKLOADS];
  return objectsPolicy("mtls-exception", kinds, memory, function* (resources, context) {
    const view = new MeshView(resources);
    let subjects = 0;
    for (const peer of ofType(resources, `object:${PEER_AUTHENTICATION}`)) {
      subjects += 1;
      // DISABLE has no exception: mesh-strict refuses it.
      const what = modes(peer).filter(({ mode }) => mode !== "STRICT" && mode !== "DISABLE");
      if (what.length === 0) continue;
      const annotations = at(peer.props, "metadata", "annotations");
      yield* unowned(peer, what.map(({ where, mode }) => `${where} ${mode}`).join(", "), [annotations], context);
    }
    const meshed = view.meshed();
    for (const workload of ofType(resources, ...WORKLOADS.map((kind) => `object:${kind}`))) {
      const found = optOuts(workload, meshed.has(namespaceOf(workload)));
      if (found.length === 0) continue;
      subjects += 1;
      const annotations = [at(workload.props, "metadata", "annotations"), podOf(workload).annotations];
      yield* unowned(workload, found.join(", "), annotations, context);
    }
    if (subjects === 0) context.notApplicable("the stack has no PeerAuthentication, and no workload outside the mesh");
  });
}

/** How a workload keeps traffic out of its sidecar, or has none where its namespace has. */
function optOuts(workload: Judged, meshed: boolean): readonly string[] {
  const { annotations, spec } = podOf(workload);
  const found = entries(annotations)
    .filter(([key, value]) => {
      if (isExclusion(key)) return value !== "";
      // Everything that these don't list goes past the sidecar.
      return key.startsWith(`${TRAFFIC}include`) && value !== "*";
    })
    .map(([key]) => `annotation ${key}`);
  const config = text(at(annotations, "proxy.istio.io/config")) ?? "";
  if (/interceptionMode["']?\s*:\s*["']?NONE/.test(config)) found.push("interceptionMode NONE");
  if (text(at(annotations, "sidecar.istio.io/interceptionMode")) === "NONE") found.push("interceptionMode NONE");
  if (meshed && injection(workload) === "false") found.push("sidecar.istio.io/inject false");
  // Istio injects no sidecar into a pod on its host's network.
  if (meshed && at(spec, "hostNetwork") === true) found.push("hostNetwork, which has no sidecar");
  return found;
}

function* unowned(
  resource: Judged,
  what: string,
  annotations: readonly unknown[],
  { now }: Context,
): Iterable<Finding> {
  const say = (key: string): string | undefined =>
    annotations.map((each) => text(at(each, key))).find((value) => value !== undefined);
  const owner = say(OWNER);
  const expires = say(EXPIRES);
  const subject = subjectOf(resource);
  const required = `annotations ${OWNER} and ${EXPIRES}, a day to come`;
  const found = (problem: string): Finding => ({ subject, found: `${what}${problem}`, required, urn: resource.urn });
  if (owner === undefined || owner.trim() === "" || expires === undefined) yield found(" without owner and end");
  else if (!isDay(expires)) yield found(" with an end that is no day (YYYY-MM-DD)");
  else if (expires < dayOf(now)) yield found(`, whose exception ended on ${expires}`);
}

/** A client that does not speak the TLS that the server demands. */
export function mtlsConflictPolicy(memory: Memory): KvmeshPolicy {
  const kinds = [DESTINATION_RULE, PEER_AUTHENTICATION];
  const also = { kinds: [...kinds, VIRTUAL_SERVICE, "core/Service"] };
  return objectsPolicy(
    "mtls-conflict",
    kinds,
    memory,
    function* (resources, context) {
      const rules = ofType(resources, `object:${DESTINATION_RULE}`);
      if (rules.length === 0) context.notApplicable("the stack has no DestinationRule");
      const view = new MeshView(resources);
      for (const rule of rules) yield* conflicts(rule, view);
    },
    also,
  );
}

interface Policy {
  readonly where: string;
  readonly policy: unknown;
}

/** TLS turned off or of another kind for a host, one of its ports or subsets, whose server demands mutual TLS. */
function* conflicts(rule: Judged, view: MeshView): Iterable<Item> {
  const spec = at(rule.props, "spec");
  const host = text(at(spec, "host")) ?? "";
  const own = namespaceOf(rule);
  const policies: readonly Policy[] = [
    { where: "trafficPolicy", policy: at(spec, "trafficPolicy") },
    ...list(at(spec, "subsets")).map((subset) => ({
      where: `subset ${text(at(subset, "name")) ?? "?"}`,
      policy: at(subset, "trafficPolicy"),
    })),
  ];
  const found = policies.flatMap(({ where, policy }) => [
    ...modeOf(where, policy),
    ...list(at(policy, "portLevelSettings")).flatMap((setting) => {
      const port = number(at(setting, "port", "number"));
      return modeOf(`${where}, port ${port ?? "?"}`, setting).filter(
        () => port === undefined || !view.isExempt(host, own, String(port)),
      );
    }),
  ]);
  if (found.length === 0) return;
  const { strict, unsure } = view.demandsOf(host, own);
  const subject = subjectOf(rule);
  if (unsure) {
    const unseen = `towards ${host}, where a PeerAuthentication with a selector is STRICT, and no Service says for whom`;
    yield { subject, unseen, urn: rule.urn };
    return;
  }
  if (!strict) return;
  for (const { where, mode } of found)
    yield {
      subject,
      found: `tls mode ${mode} (${where}) towards ${host}, where mutual TLS is STRICT`,
      required: "ISTIO_MUTUAL, or no tls",
      urn: rule.urn,
    };
}

function modeOf(where: string, policy: unknown): readonly { readonly where: string; readonly mode: string }[] {
  const mode = text(at(policy, "tls", "mode"));
  return mode === undefined || mode === "ISTIO_MUTUAL" ? [] : [{ where, mode }];
}
