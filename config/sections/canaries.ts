import { z } from "zod";
import { declared, fail, keyOf, warn, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { formatWeights, weightsFault } from "../../rules/weights";
import { didYouMean, type Path } from "../problems";
import type { Percent } from "../units";
import { checkNamespaced, named } from "./namespaced";

/** `canaries.<canary>`: a DestinationRule with subsets, and a VirtualService with their weights. */
export const entry = z.strictObject({
  ...named,
  service: field.dnsLabel
    .meta({ description: "service whose traffic is split", absent: "the canary's name" })
    .optional(),
  hosts: z
    .array(z.string().min(1))
    .min(1)
    .meta({ description: "hosts of the VirtualService", absent: "the service" })
    .optional(),
  gateways: z
    .array(z.string().min(1))
    .meta({ description: "gateways, as `name` or `namespace/name`; none: in-mesh only" })
    .default([]),
  weights: z
    .record(field.dnsLabel, field.percent("share of the traffic"))
    .meta({ description: "weight by version, in whole percent; the sum is 100" }),
});

type CanaryEntry = Immutable<z.output<typeof entry>>;

export interface CanarySpec extends Omit<CanaryEntry, "weights"> {
  readonly name: string;
  readonly service: string;
  readonly hosts: readonly string[];
  /** A subset's name is the value of the label `version`; the weights sum to 100. */
  readonly weights: readonly { readonly subset: string; readonly weight: Percent }[];
}

export function complete(key: string, given: CanaryEntry): CanarySpec {
  const name = given.name ?? key;
  const service = given.service ?? name;
  const weights = Object.entries(given.weights)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([subset, weight]) => ({ subset, weight }));
  return { ...given, name, service, hosts: given.hosts ?? [service], weights };
}

export function check(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  checkNamespaced("canaries", draft, raw, findings);
  for (const canary of draft.canaries) checkCanary(canary, draft, raw, findings);
}

function checkCanary(
  canary: CanarySpec,
  draft: Draft,
  raw: Readonly<Record<string, unknown>>,
  findings: Findings,
): void {
  const at = ["canaries", keyOf(raw, "canaries", canary.name)];
  checkAlone(canary, at, findings);
  checkCanaryService(canary, at, draft, raw, findings);
  canary.gateways.forEach((reference, i) => {
    // "namespace/name" may be another team's gateway; "mesh" is Istio's word for sidecars.
    if (reference.includes("/") || reference === "mesh") return;
    const names = draft.gateways.filter((gateway) => gateway.namespace === canary.namespace).map(({ name }) => name);
    if (names.includes(reference) || declared(raw, "gateways").includes(reference)) return;
    const message = `no such gateway in namespace ${canary.namespace}: declare it in gateways, or write namespace/name.`;
    fail(findings, [...at, "gateways", i], reference, message + didYouMean(reference, names));
  });
}

/** What one canary by itself can't be. */
export function checkAlone(canary: CanarySpec, at: Path, findings: Findings): void {
  const { weights, hosts, gateways } = canary;
  const fault = weightsFault(weights);
  if (fault !== undefined) fail(findings, [...at, "weights"], formatWeights(weights), fault);
  if (hosts.includes("*") && (gateways.length === 0 || gateways.includes("mesh"))) {
    const message =
      "every host is only possible through a gateway, because sidecars would catch the traffic of every service: name the hosts, or the gateway that it is for";
    fail(findings, [...at, "hosts"], "*", message);
  }
}

/** A service may be deployed by others, so an undeclared one is a mistake only where it looks like a typing error. */
function checkCanaryService(
  canary: CanarySpec,
  at: readonly string[],
  draft: Draft,
  raw: Readonly<Record<string, unknown>>,
  findings: Findings,
): void {
  const near = draft.services.filter((service) => service.namespace === canary.namespace);
  const service = near.find(({ name }) => name === canary.service);
  if (service) {
    const versions = service.versions.map(({ name }) => name);
    for (const { subset, weight } of canary.weights) {
      if (versions.includes(subset)) continue;
      fail(
        findings,
        [...at, "weights", subset],
        weight,
        `service ${service.name} has no such version.${didYouMean(subset, versions)} It has ${versions.join(", ")}.`,
      );
    }
    return;
  }
  if (declared(raw, "services").includes(canary.service)) return;
  const hint = didYouMean(
    canary.service,
    near.map(({ name }) => name),
  );
  if (hint !== "")
    fail(findings, [...at, "service"], canary.service, `no such service in namespace ${canary.namespace}.${hint}`);
  else
    warn(
      findings,
      [...at, "service"],
      canary.service,
      `this stack declares no such service in namespace ${canary.namespace}: it must be there already`,
    );
}
