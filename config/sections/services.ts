import { z } from "zod";
import { fail, keyOf, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import type { Path } from "../problems";
import { checkNamespaced, named } from "./namespaced";

/** `services.<service>`: a Service with one Deployment a version: what a canary shifts traffic between. */
export const entry = z.strictObject({
  ...named,
  port: field.port("port of the Service").default(80),
  targetPort: field.port("port that the container listens on").meta({ absent: "`port`" }).optional(),
  versions: z
    .record(
      field.dnsLabel,
      z.strictObject({
        image: field.text("container image"),
        args: z.array(z.string()).default([]),
        replicas: field.count("pods of this version", 0, 10_000).default(1),
        imagePullPolicy: field.pullPolicy.default("IfNotPresent"),
      }),
    )
    .meta({ description: "one Deployment each, by value of the label `version`" }),
});

type ServiceEntry = Immutable<z.output<typeof entry>>;

export interface ServiceVersionSpec extends Immutable<ServiceEntry["versions"][string]> {
  /** Value of the label `version`. */
  readonly name: string;
}

export interface ServiceSpec extends Omit<ServiceEntry, "versions"> {
  readonly name: string;
  readonly targetPort: number;
  readonly versions: readonly ServiceVersionSpec[];
}

export function complete(key: string, given: ServiceEntry): ServiceSpec {
  const versions = Object.entries(given.versions)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, version]) => ({ ...version, name }));
  return { ...given, name: given.name ?? key, targetPort: given.targetPort ?? given.port, versions };
}

export function check(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  for (const service of draft.services)
    checkAlone(service, ["services", keyOf(raw, "services", service.name)], findings);
  checkNamespaced("services", draft, raw, findings);
}

/** What one service by itself can't be. */
export function checkAlone({ versions }: ServiceSpec, at: Path, findings: Findings): void {
  if (versions.length === 0) fail(findings, [...at, "versions"], "no versions", "give it at least one version");
}
