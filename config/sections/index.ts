import type { z } from "zod";
import type { Draft, Findings } from "../draft";
import * as canaries from "./canaries";
import * as cluster from "./cluster";
import * as environment from "./environment";
import * as evidence from "./evidence";
import * as gateways from "./gateways";
import * as hosts from "./hosts";
import * as image from "./image";
import * as kubernetes from "./kubernetes";
import * as mesh from "./mesh";
import * as namespaces from "./namespaces";
import * as network from "./network";
import * as pools from "./pools";
import * as poolNodes from "./pool-nodes";
import * as preparation from "./host-preparation";
import * as services from "./services";
import * as ssh from "./ssh";
import * as timeouts from "./timeouts";

/** Sections of the stack file that hold one value each. */
export const values = { cluster, environment, ssh, timeouts, evidence, image, network, kubernetes, mesh };

/** Sections that are maps, name → entry. Each entry is validated for itself, so that one error hides no other. */
export const maps = {
  hosts: { ...hosts, what: "KVM hosts by name" },
  pools: { ...pools, what: "Pools of nodes by name" },
  namespaces: { ...namespaces, what: "Namespaces by name" },
  services: { ...services, what: "Services by name" },
  gateways: { ...gateways, what: "Istio Gateways by name" },
  canaries: { ...canaries, what: "Weighted routes by name" },
};

export type ValueName = keyof typeof values;
export type MapName = keyof typeof maps;
/** What the schema of a section of one value gives. */
export type Value<K extends ValueName> = z.output<(typeof values)[K]["schema"]>;

/** In the order in which they are explained. */
export const SECTION_NAMES = [
  "cluster",
  "environment",
  "ssh",
  "timeouts",
  "evidence",
  "hosts",
  "image",
  "network",
  "pools",
  "kubernetes",
  "mesh",
  "namespaces",
  "services",
  "gateways",
  "canaries",
] as const satisfies readonly (ValueName | MapName)[];

/**
 * What no single value shows: references, overlaps, sums, and what does not fit together.
 *
 * It stops only what makes no plan possible. What is merely forbidden in production (shared CPUs, few vCPUs, emulation,
 * a single control plane, the demo profile, plain traffic) stays: the policy packs name it in preview and the resources
 * refuse it on `up`.
 */
export function checkSpec(draft: Draft, raw: Readonly<Record<string, unknown>>): Findings {
  const findings: Findings = { problems: [], warnings: [] };
  hosts.check(draft, findings);
  pools.check(draft, raw, findings);
  image.check(draft, findings);
  network.check(draft, findings);
  poolNodes.check(draft, findings);
  preparation.check(draft, findings);
  kubernetes.check(draft, raw, findings);
  mesh.check(draft, findings);
  namespaces.check(draft, findings);
  gateways.check(draft, raw, findings);
  services.check(draft, raw, findings);
  canaries.check(draft, raw, findings);
  return findings;
}
