import * as pulumi from "@pulumi/pulumi";
import type { Placed } from "./placement";

/**
 * Where the machines of this stack are, from the outputs of its last update: the state itself is the ledger's memory, so
 * no file has to be committed after each `up`, and a preview in CI sees the same places as the laptop that made them.
 *
 * The engine answers from the state that it has loaded anyway; no host and no network is asked.
 */
export async function placedMachines(): Promise<readonly Placed[]> {
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const answer = (await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name })) as {
    readonly outputs?: Readonly<Record<string, unknown>>;
  };
  return placedFrom(answer.outputs?.nodes);
}

/** The output `nodes`, as far as it has the form that NodeLayer gives it. */
export function placedFrom(nodes: unknown): readonly Placed[] {
  if (!Array.isArray(nodes)) return [];
  return nodes.flatMap((node: unknown) => (isPlaced(node) ? [node] : []));
}

function isPlaced(node: unknown): node is Placed {
  const { name, host, vcpuPins } = (node ?? {}) as Readonly<Record<string, unknown>>;
  return (
    typeof name === "string" &&
    typeof host === "string" &&
    Array.isArray(vcpuPins) &&
    vcpuPins.every((cpu) => Number.isInteger(cpu))
  );
}
