import { isMap, isScalar, LineCounter, parseDocument, type Document } from "yaml";
import type { Location } from "./model";
import { urnParts } from "./model";

/** Sections of the stack file by the types in a resource's URN, the narrowest first. */
const SECTIONS: readonly (readonly [RegExp, string])[] = [
  [/kvmesh:mesh:Canary/, "canaries"],
  [/kvmesh:mesh:(Ingress)?Gateway/, "gateways"],
  [/kvmesh:mesh:VersionedService/, "services"],
  [/kvmesh:mesh:(MeshNamespace|MutualTls|StrictMtls)/, "namespaces"],
  [/kvmesh:mesh:/, "mesh"],
  [/kvmesh:index:(Image|Tenancy)/, "hosts"],
  [/kvmesh:nodes:(Carved|Existing)Machine/, "pools"],
  [/kvmesh:index:(Member|NodeRuntime|ControlPlane|Domain|Machine|Volume|CoreLease|Evidence)/, "pools"],
  [/kvmesh:cluster:/, "kubernetes"],
];

/** The key below a section's entry that decides a rule. */
const KEY_OF_RULE: Readonly<Record<string, string>> = {
  "node-dedicated-cpu": "cpu",
  "node-min-vcpus": "vcpus",
  "control-plane-ha": "count",
  "location-allowed": "location",
  "canary-weights": "weights",
  "kubernetes-supported": "version",
  "istio-supported": "version",
  "gateway-tls": "tlsSecret",
  "tracing-sampled": "traceSampling",
};

/** Rules that one section decides, whatever resource shows it. */
const SECTION_OF_RULE: Readonly<Record<string, string>> = {
  "kubernetes-supported": "kubernetes",
  "istio-supported": "mesh",
};

/** The same for findings on the stack as a whole only. */
const SECTION_OF_STACK: Readonly<Record<string, string>> = {
  "control-plane-ha": "pools",
  "mesh-strict": "namespaces",
};

/** Finds the key of the stack file that a resource comes from, and its line. */
export class Locator {
  private readonly lines = new LineCounter();
  private readonly document: Document;

  /**
   * @param file path below the repository's root.
   * @param text the stack file; empty: there is none, and everything is in line 1.
   * @param namespace of the keys: "kvmesh" of "kvmesh:pools".
   */
  constructor(
    private readonly file: string,
    text: string,
    private readonly namespace = "kvmesh",
  ) {
    this.document = parseDocument(text, { lineCounter: this.lines });
  }

  /** @param subject names what a rule on the whole stack is about: "control plane nor-control-0". */
  locate(rule: string, urn: string, subject: string): Location {
    const { name } = urnParts(urn);
    const ofResource = SECTIONS.find(([pattern]) => pattern.test(urn))?.[1];
    const section = SECTION_OF_RULE[rule] ?? ofResource ?? SECTION_OF_STACK[rule];
    const names = [name, subject.split(" ").at(-1) ?? ""];
    for (const candidate of section === undefined ? ["pools"] : [section, "mesh", "kubernetes"]) {
      const found = this.inSection(candidate, names, rule, candidate === section);
      if (found) return found;
    }
    return { file: this.file, line: 1, key: "" };
  }

  private inSection(section: string, names: readonly string[], rule: string, itself: boolean): Location | undefined {
    const root = `${this.namespace}:${section}`;
    const pair = this.pairs(this.document.get("config")).find(({ key }) => key === root);
    if (!pair) return undefined;
    const entry = this.pairs(pair.value)
      .filter(({ key }) => names.some((name) => matches(name, key)))
      .sort((a, b) => b.key.length - a.key.length)[0];
    if (!entry && !itself) return undefined;
    const [path, place] = entry ? [`${root}.${entry.key}`, entry] : [root, pair];
    const detail = this.pairs(place.value).find(({ key }) => key === KEY_OF_RULE[rule]);
    return { file: this.file, line: (detail ?? place).line, key: detail ? `${path}.${detail.key}` : path };
  }

  private pairs(node: unknown) {
    if (!isMap(node)) return [];
    return node.items.flatMap(({ key, value }) =>
      isScalar(key) ? [{ key: String(key.value), value, line: this.lines.linePos(key.range?.[0] ?? 0).line }] : [],
    );
  }
}

/** True of "nor-worker-2" and "worker", of "shop/cart-virtual-service" and "cart": a key stands as whole words in a name. */
function matches(name: string, key: string): boolean {
  return key !== "" && `-${name.replace(/[/.:]/g, "-")}-`.includes(`-${key.replace(/[/.:]/g, "-")}-`);
}
