import * as pulumi from "@pulumi/pulumi";
import type { HostSpec } from "../../config/spec";
import type { Placed } from "./placement";

/**
 * Where this stack's machines are, from its state: leases and domains that earlier runs made, also interrupted ones. The
 * state is the ledger's memory, so no lock file has to be committed after each `up`, and a preview in CI sees the same
 * places as the laptop that made them. A domain's pins are not read: after a refresh they may be someone's drift, while
 * the lease is the host's own record.
 *
 * The engine answers from the state that it has loaded anyway; no host and no network is asked.
 */
export async function placedMachines(hosts: readonly HostSpec[]): Promise<readonly Placed[]> {
  const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const answer: unknown = await pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", { stackName });
  return placedFrom(record(record(answer).outputs), hosts);
}

/** `resources`: URN → { type, outputs } of every resource in the state. */
export function placedFrom(
  resources: Readonly<Record<string, unknown>>,
  hosts: readonly HostSpec[],
): readonly Placed[] {
  const placed = new Map<string, Placed>();
  const note = (outputs: Readonly<Record<string, unknown>>, name: unknown, cpus: unknown): void => {
    const { address, port } = record(outputs.host);
    const host = hosts.find(({ endpoint }) => endpoint.address === address && endpoint.port === (port ?? 22));
    // A host that left the stack file keeps nothing; the machine gets another place, and the plan shows it.
    if (!host || typeof name !== "string" || !isCpuList(cpus)) return;
    placed.set(name, { name, host: host.name, cpus });
  };
  const states = Object.values(resources).map(record);
  for (const { type, outputs } of states) {
    if (type === "kvmesh:index:Domain") note(record(outputs), record(outputs).name, []);
  }
  for (const { type, outputs } of states) {
    if (type === "kvmesh:index:CoreLease") note(record(outputs), record(outputs).machine, record(outputs).cpus);
  }
  return [...placed.values()];
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function isCpuList(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((cpu) => Number.isInteger(cpu));
}
