import type { HostSpec } from "../../config/spec";
import type { Placed } from "./placement";

export type { Placed };

/** `resources`: URN → { type, outputs } of every resource in the state. */
export function placedFrom(
  resources: Readonly<Record<string, unknown>>,
  hosts: readonly HostSpec[],
): readonly Placed[] {
  const placed = new Map<string, Placed>();
  const note = (outputs: Readonly<Record<string, unknown>>, name: unknown, cpus: unknown): void => {
    const { address, port, hostKey } = record(outputs.host);
    const alike = hosts.filter(({ endpoint }) => endpoint.hostKey === hostKey);
    // Its key first: it may be renumbered, and another host have its address. Where several have one key, that says nothing.
    const host =
      alike.length === 1
        ? alike[0]
        : hosts.find(({ endpoint }) => endpoint.address === address && endpoint.port === (port ?? 22));
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

export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function isCpuList(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((cpu) => Number.isInteger(cpu));
}
