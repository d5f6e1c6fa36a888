import { z } from "zod";
import { fail, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import type { Path } from "../problems";
import type { Environment } from "./environment";
import { mtls } from "./mesh";

/** `namespaces.<namespace>` */
export const entry = z.strictObject({
  injection: field.flag("sidecar injection, by label").meta({ absent: "`true` with a mesh" }).optional(),
  revision: field.dnsLabel.meta({ description: "Istio revision instead of the injection label" }).optional(),
  mtls: mtls.meta({ absent: "`STRICT` in production, else `unset`" }).optional(),
  podSecurity: z
    .enum(["privileged", "baseline", "restricted"])
    .meta({
      description: "Pod Security level enforced; istio-init needs NET_ADMIN",
      absent: "`privileged` with injection, else `baseline`",
    })
    .optional(),
  existing: field
    .flag("the namespace is there already: it is only labelled, and never deleted")
    .meta({ absent: "`true` for `default`" })
    .optional(),
});

export type NamespaceEntry = Immutable<z.output<typeof entry>>;

export interface NamespaceSpec extends NamespaceEntry {
  readonly name: string;
  readonly injection: boolean;
  readonly mtls: NonNullable<NamespaceEntry["mtls"]>;
  readonly podSecurity: NonNullable<NamespaceEntry["podSecurity"]>;
  readonly existing: boolean;
}

export function complete(
  name: string,
  given: NamespaceEntry,
  { environment, meshed }: { readonly environment: Environment; readonly meshed: boolean },
): NamespaceSpec {
  const injection = given.injection ?? (meshed && given.revision === undefined);
  const injected = injection || given.revision !== undefined;
  return {
    ...given,
    name,
    // A revision replaces the injection label; both on one namespace is refused by the checks.
    injection,
    mtls: given.mtls ?? (meshed && environment === "production" ? "STRICT" : "unset"),
    // istio-init needs NET_ADMIN, which baseline refuses (docs/decisions/0060); checkAlone refuses the pair.
    podSecurity: given.podSecurity ?? (injected ? "privileged" : "baseline"),
    existing: given.existing ?? name === "default",
  };
}

export function check({ namespaces }: Draft, findings: Findings): void {
  for (const namespace of namespaces) checkAlone(namespace, ["namespaces", namespace.name], findings);
}

/** What one namespace by itself can't be. */
export function checkAlone(namespace: NamespaceSpec, at: Path, findings: Findings): void {
  const { injection, revision, podSecurity } = namespace;
  if (injection && revision !== undefined) {
    const message = "a namespace has the injection label or a revision, not both: remove one of them";
    fail(findings, [...at, "revision"], revision, message);
  }
  if ((injection || revision !== undefined) && podSecurity !== "privileged") {
    const message =
      "it would refuse every pod with a sidecar, because istio-init needs NET_ADMIN and NET_RAW: " +
      "use privileged (restricted stays as a warning), or turn injection off";
    fail(findings, [...at, "podSecurity"], podSecurity, message);
  }
}
