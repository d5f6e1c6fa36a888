import { ofType, type Judged } from "./frame";
import { installsOf } from "./istiod";
import { namespaceOf, objectName, selects, serviceOf, WORKLOADS, podOf } from "./objects";
import { at, entries, text } from "./read";

export const PEER_AUTHENTICATION = "security.istio.io/PeerAuthentication";
export const DESTINATION_RULE = "networking.istio.io/DestinationRule";
export const VIRTUAL_SERVICE = "networking.istio.io/VirtualService";

/** Where a workload says that it has no sidecar, or has one, beside its namespace. */
const INJECT = "sidecar.istio.io/inject";

export interface Mode {
  /** "mtls", "port 8080". */
  readonly where: string;
  readonly mode: string;
  readonly port?: string;
}

/** Modes of a PeerAuthentication: its own, then those of its ports. UNSET takes over what is above it. */
export function modes(peer: Judged): readonly Mode[] {
  const own = text(at(peer.props, "spec", "mtls", "mode")) ?? "UNSET";
  return [
    { where: "mtls", mode: own },
    ...entries(at(peer.props, "spec", "portLevelMtls")).map(([port, value]) => ({
      where: `port ${port}`,
      mode: text(at(value, "mode")) ?? "UNSET",
      port,
    })),
  ].filter(({ mode }) => mode !== "UNSET");
}

/** What the objects of a stack say of its mesh. */
export class MeshView {
  /** Istio's root namespace: a PeerAuthentication there is mesh-wide. */
  readonly root: string;
  readonly peers: readonly Judged[];
  private readonly namespaceModes = new Map<string, string>();

  constructor(private readonly resources: readonly Judged[]) {
    const named = installsOf(resources).map(({ values }) => text(at(values, "meshConfig", "rootNamespace")));
    this.root = named.find((name) => name !== undefined) ?? "istio-system";
    this.peers = ofType(resources, `object:${PEER_AUTHENTICATION}`);
    for (const peer of this.peers) {
      const [own] = modes(peer);
      if (own?.where === "mtls" && !hasSelector(peer)) this.namespaceModes.set(namespaceOf(peer), own.mode);
    }
  }

  /** The mode that holds in a namespace; undefined: none is declared, and Istio's is PERMISSIVE. */
  modeOf(namespace: string): string | undefined {
    return this.namespaceModes.get(namespace) ?? this.namespaceModes.get(this.root);
  }

  /** Namespaces whose pods get sidecars, or are in ambient mode; those of single workloads that ask for one, too. */
  meshed(): ReadonlySet<string> {
    const found = new Set<string>();
    for (const namespace of ofType(this.resources, "object:core/Namespace"))
      if (isMeshed(at(namespace.props, "metadata", "labels"))) found.add(objectName(namespace));
    for (const workload of ofType(this.resources, ...WORKLOADS.map((kind) => `object:${kind}`)))
      if (injection(workload) === "true") found.add(namespaceOf(workload));
    return found;
  }

  /**
   * Modes that a host's servers demand, by the port where it is one port's: of the namespace, and of PeerAuthentications
   * whose selector picks the pods of the host's service. `unsure`: a selector, and no Service of that name to tell.
   */
  demandsOf(host: string, own: string): { readonly strict: boolean; readonly unsure: boolean } {
    const service = serviceOf(host, own);
    if (service === undefined) return { strict: false, unsure: false };
    if (service.namespace === "") {
      const all = [this.modeOf(this.root), ...[...this.namespaceModes.values()]];
      return { strict: all.includes("STRICT"), unsure: false };
    }
    const selecting = this.peers.filter(
      (peer) => hasSelector(peer) && namespaceOf(peer) === service.namespace && modes(peer)[0]?.where === "mtls",
    );
    const selector = this.serviceSelector(service.namespace, service.name);
    const picked = selector
      ? selecting.filter((peer) => selects(at(peer.props, "spec", "selector", "matchLabels"), selector))
      : [];
    const specific = picked.map((peer) => modes(peer)[0]?.mode);
    if (specific.length > 0) return { strict: specific.includes("STRICT"), unsure: false };
    const strict = this.modeOf(service.namespace) === "STRICT";
    return { strict, unsure: !selector && selecting.some((peer) => modes(peer)[0]?.mode === "STRICT") && !strict };
  }

  /** True when a port of the host's namespace is exempt by a PeerAuthentication. */
  isExempt(host: string, own: string, port: string): boolean {
    const namespace = serviceOf(host, own)?.namespace;
    return this.peers.some(
      (peer) =>
        namespaceOf(peer) === namespace && modes(peer).some((mode) => mode.port === port && mode.mode !== "STRICT"),
    );
  }

  private serviceSelector(namespace: string, name: string): unknown {
    const service = ofType(this.resources, "object:core/Service").find(
      (one) => namespaceOf(one) === namespace && objectName(one) === name,
    );
    const selector = service && at(service.props, "spec", "selector");
    return entries(selector).length > 0 ? selector : undefined;
  }
}

export function hasSelector(peer: Judged): boolean {
  return entries(at(peer.props, "spec", "selector", "matchLabels")).length > 0;
}

/** By the labels of a namespace. */
export function isMeshed(labels: unknown): boolean {
  return (
    text(at(labels, "istio-injection")) === "enabled" ||
    text(at(labels, "istio.io/rev")) !== undefined ||
    text(at(labels, "istio.io/dataplane-mode")) === "ambient"
  );
}

/** "true", "false", or nothing: by the pod's label, in older Istio its annotation. */
export function injection(workload: Judged): string | undefined {
  const { labels, annotations } = podOf(workload);
  const value = at(labels, INJECT) ?? at(annotations, INJECT);
  return typeof value === "boolean" ? String(value) : text(value);
}
