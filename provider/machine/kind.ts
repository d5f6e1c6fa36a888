import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Context, type Kind } from "../core/kind";
import { repeatable, whenUnreachable } from "../node/reach";
import { parseProbe, probeScript } from "./probe";
import { machineArgs, refuseUnfit, type Evidence, type MachineInputs } from "./schema";
import { unmet } from "./verify";

export interface MachineOutputs {
  readonly evidence: Evidence;
}

/**
 * An SSH endpoint that answers, checked from inside. Nothing here changes the machine: create, update and refresh
 * measure, delete forgets.
 */
export const machineKind: Kind<MachineInputs, MachineOutputs> = {
  token: "kvmesh:index:Machine",
  args: machineArgs,
  outputs: { evidence: "volatile" },

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

  create: async (ctx, inputs) => ({ id: inputs.name, outputs: { evidence: await verified(ctx, inputs) } }),

  async read(ctx, id, known) {
    if (known === undefined) {
      throw new UserError(`machine ${id} can't be imported: it is never created, so declare it and run \`pulumi up\``);
    }
    return whenUnreachable(
      ctx,
      known.name,
      { inputs: inputsOf(known), outputs: { evidence: known.evidence } },
      async () => {
        const evidence = await measure(ctx, known, 5);
        for (const fault of unmet(known, evidence)) ctx.warn(`machine ${known.name}: ${fault}`);
        return {
          inputs: {
            ...inputsOf(known),
            vcpus: Math.min(known.vcpus, evidence.vcpus),
            hypervisors: known.hypervisors.includes(evidence.hypervisor) ? known.hypervisors : [evidence.hypervisor],
          },
          // Time and steal differ at every look; they alone are no drift.
          outputs: { evidence: sameMachine(known.evidence, evidence) ? known.evidence : evidence },
        };
      },
    );
  },

  update: async (ctx, _id, _olds, news) => ({ evidence: await verified(ctx, news) }),

  // The machine is somebody else's: the plugin's Domain, or an operator.
  delete: () => Promise.resolve(),
};

async function verified(ctx: Context, inputs: MachineInputs): Promise<Evidence> {
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
  const evidence = await measure(ctx, inputs, left);
  const faults = unmet(inputs, evidence);
  if (faults.length > 0) {
    throw new UserError(
      `machine ${inputs.name} (${inputs.endpoint.address}) is not fit to be a node:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`,
    );
  }
  if (evidence.cloudInit === "error") ctx.warn(`machine ${inputs.name}: its cloud-init ended with an error`);
  return evidence;
}

async function measure(ctx: Context, inputs: MachineInputs, cloudInitSeconds: number): Promise<Evidence> {
  const result = await ctx.transport.script(
    inputs.endpoint,
    probeScript(cloudInitSeconds),
    repeatable(ctx, (cloudInitSeconds + 30) * 1000),
  );
  return parseProbe(inputs.name, result.stdout, Date.now());
}

/** Memory may differ by what the kernel keeps for itself. */
function sameMachine(before: Evidence, after: Evidence): boolean {
  return (
    before.hypervisor === after.hypervisor &&
    before.vcpus === after.vcpus &&
    before.kernel === after.kernel &&
    before.rootDisk.device === after.rootDisk.device &&
    Math.abs(before.memoryBytes - after.memoryBytes) < 0.02 * before.memoryBytes
  );
}

function inputsOf(state: MachineInputs & MachineOutputs): MachineInputs {
  const inputs: MachineInputs & Partial<MachineOutputs> = { ...state };
  delete (inputs as { evidence?: Evidence }).evidence;
  return inputs;
}
