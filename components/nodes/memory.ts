import * as pulumi from "@pulumi/pulumi";
import type { HostSpec } from "../../config/spec";
import { placedFrom, record, type Placed } from "./placed";
import { rolledOutFrom, type RolledOut } from "./rollout";

/**
 * Where this stack's machines are and how far they are rolled out, from its state: leases and domains that earlier runs made, also interrupted ones. The
 * state is the ledger's memory, so no lock file has to be committed after each `up`, and a preview in CI sees the same
 * places as the laptop that made them. A domain's pins are not read: after a refresh they may be someone's drift, while
 * the lease is the host's own record.
 *
 * The engine answers from the state that it has loaded anyway; no host and no network is asked.
 */
export async function remembered(
  hosts: readonly HostSpec[],
): Promise<{ readonly placed: readonly Placed[]; readonly rolledOut: RolledOut }> {
  const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const answer: unknown = await pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", { stackName });
  const resources = record(record(answer).outputs);
  return { placed: placedFrom(resources, hosts), rolledOut: rolledOutFrom(resources) };
}
