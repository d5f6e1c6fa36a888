import { declared, fail, keyOf, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import { didYouMean } from "../problems";

/** Keys of everything that is in a namespace. */
export const named = {
  name: field.dnsLabel.meta({ description: "its name in the namespace", absent: "the entry's key" }).optional(),
  namespace: field.dnsLabel.meta({ description: "namespace that it is in" }).default("default"),
};

/** Kubernetes makes `default`, the mesh makes `istio-system`: these two need no declaration. */
const GIVEN_NAMESPACES = ["default", "istio-system"];

/** Names are unique in their namespace, and the namespace is declared. */
export function checkNamespaced(
  section: "services" | "gateways" | "canaries",
  draft: Draft,
  raw: Readonly<Record<string, unknown>>,
  findings: Findings,
): void {
  const namespaces = declared(raw, "namespaces");
  const seen = new Set<string>();
  for (const { name, namespace } of draft[section]) {
    const at = [section, keyOf(raw, section, name)];
    if (seen.has(`${namespace}/${name}`))
      fail(findings, [...at, "name"], name, `another entry has this name in namespace ${namespace}`);
    seen.add(`${namespace}/${name}`);
    if (namespaces.includes(namespace) || GIVEN_NAMESPACES.includes(namespace)) continue;
    fail(
      findings,
      [...at, "namespace"],
      namespace,
      `no such namespace: declare it in namespaces.${didYouMean(namespace, namespaces)}`,
    );
  }
}
