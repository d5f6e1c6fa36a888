import type { Owner } from "./check";
import { UserError } from "./kind";

/**
 * Refuses on `up`, before any connection, what production must not have. It is not part of `check`: there it would end a
 * preview before the policy packs have named rule, value and remedy. A pack can be left out of a run; this can't.
 *
 * @param what "machine web-0"; @param faults what was found and what to do, one each.
 */
export function refuseInProduction(owner: Owner, what: string, faults: readonly string[]): void {
  if (owner.environment !== "production" || faults.length === 0) return;
  throw new UserError(`${what} is refused in production:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
}

export function tooFewVcpus(vcpus: number): readonly string[] {
  return vcpus < 4 ? [`it has ${vcpus} vCPUs: give each node at least 4`] : [];
}
