import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Context, type Kind } from "../core/kind";
import { repeatable, whenUnreachable } from "../node/reach";
import { parseProbe, probeScript } from "./probe";
import { machineArgs, refuseUnfit, type Inventory, type MachineInputs } from "./schema";
import { unmet } from "./verify";

export interface MachineOutputs {
  readonly inventory: Inventory;
}

/**
 * An SSH endpoint that answers, checked from inside. Nothing here changes the machine: create, update and refresh
 * measure, delete forgets.
 */
export const machineKind: Kind<MachineInputs, MachineOutputs> = {
  token: "kvmesh:index:Machine",
  args: machineArgs,
  outputs: { inventory: "volatile" },

  check: checkWith(machineArgs),

  diff: (olds, news) =>
    changesOf<MachineInputs>(olds, news, {
      identity: "replace",
      // Measured again against the new values.
      endpoint: "live",
      source: "live",
      plan: "live",
      vcpus: "live",
      hypervisors: "live",
      maxStealPercent: "live",
      owner: "record",
      name: "record",
      country: "record",
      bootTimeoutSeconds: "record",
    }),

  create: async (ctx, inputs) => ({ id: inputs.name, outputs: { inventory: await verified(ctx, inputs) } }),

  async read(ctx, id, known) {
    if (known === undefined) {
      throw new UserError(`machine ${id} can't be imported: it is never created, so declare it and run \`pulumi up\``);
    }
    return whenUnreachable(
      ctx,
      known.name,
      { inputs: inputsOf(known), outputs: { inventory: known.inventory } },
      async () => {
        const inventory = await measure(ctx, known, 5);
        for (const fault of unmet(known, inventory)) ctx.warn(`machine ${known.name}: ${fault}`);
        return {
          inputs: {
            ...inputsOf(known),
            vcpus: Math.min(known.vcpus, inventory.vcpus),
            hypervisors: known.hypervisors.includes(inventory.hypervisor) ? known.hypervisors : [inventory.hypervisor],
          },
          // Time and steal differ at every look; they alone are no drift.
          outputs: { inventory: sameMachine(known.inventory, inventory) ? known.inventory : inventory },
        };
      },
    );
  },

  update: async (ctx, _id, _olds, news) => ({ inventory: await verified(ctx, news) }),

  // The machine is somebody else's: the plugin's Domain, or an operator.
  delete: () => Promise.resolve(),
};

async function verified(ctx: Context, inputs: MachineInputs): Promise<Inventory> {
  refuseUnfit(inputs);
  const limit = inputs.bootTimeoutSeconds * 1000;
  const started = Date.now();
  await ctx.transport.waitUntilReachable(
    inputs.endpoint,
    limit,
    (message) => ctx.progress(`machine ${inputs.name}: ${message}`),
    ctx.signal,
  );
  ctx.progress(`machine ${inputs.name}: answers; checking it from inside`);
  // cloud-init gets what is left of the time to boot, and enough to be asked at all.
  const left = Math.max(10, (limit - (Date.now() - started)) / 1000);
  const inventory = await measure(ctx, inputs, left);
  const faults = unmet(inputs, inventory);
  if (faults.length > 0) {
    throw new UserError(
      `machine ${inputs.name} (${inputs.endpoint.address}) is not fit to be a node:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`,
    );
  }
  if (inventory.cloudInit === "error") ctx.warn(`machine ${inputs.name}: its cloud-init ended with an error`);
  return inventory;
}

async function measure(ctx: Context, inputs: MachineInputs, cloudInitSeconds: number): Promise<Inventory> {
  const result = await ctx.transport.script(
    inputs.endpoint,
    probeScript(cloudInitSeconds),
    repeatable(ctx, (cloudInitSeconds + 30) * 1000),
  );
  return parseProbe(inputs.name, result.stdout, Date.now());
}

/** Memory may differ by what the kernel keeps for itself. States of earlier commits have no inventory. */
function sameMachine(before: Inventory | undefined, after: Inventory): boolean {
  return (
    before !== undefined &&
    before.hypervisor === after.hypervisor &&
    before.vcpus === after.vcpus &&
    before.kernel === after.kernel &&
    before.rootDisk.device === after.rootDisk.device &&
    Math.abs(before.memoryBytes - after.memoryBytes) < 0.02 * before.memoryBytes
  );
}

function inputsOf(state: MachineInputs & MachineOutputs): MachineInputs {
  const inputs: MachineInputs & Partial<MachineOutputs> = { ...state };
  delete (inputs as { inventory?: Inventory }).inventory;
  return inputs;
}
