import { checkMachines } from "./machines";
import { checkMesh } from "./mesh";
import { checkCluster } from "./cluster";
import { checkPreparation } from "./preparation";
import type { Draft, Findings } from "./draft";

/**
 * What no single value shows: references, overlaps, sums, and what does not fit together.
 *
 * It stops only what makes no plan possible. What is merely forbidden in production (shared CPUs, few vCPUs, emulation,
 * a single control plane, the demo profile, plain traffic) stays: the policy packs name it in preview and the resources
 * refuse it on `up`.
 */
export function checkSpec(draft: Draft, raw: Readonly<Record<string, unknown>>): Findings {
  const findings: Findings = { problems: [], warnings: [] };
  checkMachines(draft, raw, findings);
  checkPreparation(draft, findings);
  checkCluster(draft, raw, findings);
  checkMesh(draft, raw, findings);
  return findings;
}
