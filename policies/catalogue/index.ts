import { kubernetesRules } from "./kubernetes";
import { meshRules } from "./mesh";
import { nodeRules } from "./nodes";
import type { Rule } from "./types";

export type { Controls, Environment, Level, Rule, Severity } from "./types";

/** The rules by domain, in the order in which people read them; the report keeps it. */
export const domains = [
  { name: "Nodes and access", page: "nodes", rules: nodeRules },
  { name: "Kubernetes and supply", page: "kubernetes", rules: kubernetesRules },
  { name: "Mesh", page: "mesh", rules: meshRules },
] as const satisfies readonly { readonly name: string; readonly page: string; readonly rules: readonly Rule[] }[];

export const catalogue: readonly Rule[] = domains.flatMap(({ rules }) => rules);

/** @throws when there is no such rule: a policy without an entry in the catalogue is a mistake of ours. */
export function ruleOf(id: string): Rule {
  const found = catalogue.find((entry) => entry.id === id);
  if (!found) throw new Error(`no rule "${id}" in policies/catalogue`);
  return found;
}

/** ["CIS 1.2.1", "ISO 8.24", "GDPR Art. 32(1)(b)", "NIS2 (c)"] */
export function controlNames({ controls }: Pick<Rule, "controls">): readonly string[] {
  return [
    ...(controls.cis ?? []).map((number) => `CIS ${number}`),
    ...(controls.iso ?? []).map((number) => `ISO ${number}`),
    ...(controls.gdpr ?? []).map((article) => `GDPR ${article}`),
    ...(controls.nis2 ?? []).map((letter) => `NIS2 (${letter})`),
  ];
}
