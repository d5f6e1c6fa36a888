import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Context, type Kind } from "../core/kind";
import { without } from "../core/values";
import { measure, refuseUnfit } from "./measure";
import { measurementArgs, type MeasurementInputs, type PreflightOutputs } from "./schema";

/**
 * What a machine must pass before anything is installed on it: measured once in its life. A measurement that contradicts what is
 * declared is an error with the numbers; nothing is recorded then, and nothing above the machine is made.
 */
export const preflightKind: Kind<MeasurementInputs, PreflightOutputs> = {
  token: "kvmesh:index:Preflight",
  args: measurementArgs,
  outputs: { record: "stable" },

  check: checkWith(measurementArgs),

  diff: (olds, news) => changesOf<MeasurementInputs>(olds, news, EFFECTS),

  create: async (ctx, inputs) => ({ id: inputs.name, outputs: await passed(ctx, inputs) }),

  async read(_ctx, id, known) {
    if (known === undefined) throw new UserError(`preflight ${id} can't be imported: it is measured by \`pulumi up\``);
    return Promise.resolve({ inputs: without(known, "record"), outputs: { record: known.record } });
  },

  // What is declared of a machine in use is the Evidence's to measure, which nothing waits for.
  update: (_ctx, _id, olds) => Promise.resolve({ record: olds.record }),

  // A record of something past: nothing on the machine is of it.
  delete: () => Promise.resolve(),
};

const EFFECTS = {
  identity: "replace",
  role: "record",
  plan: "record",
  vcpus: "record",
  hypervisors: "record",
  maxStealPercent: "record",
  maxFsyncMs: "record",
  directory: "record",
  domain: "record",
  endpoint: "record",
  host: "record",
  owner: "record",
  name: "record",
  windowSeconds: "record",
  fsyncWriters: "record",
  fsyncBytes: "record",
  fsyncSeconds: "record",
  installFio: "record",
} as const;

async function passed(ctx: Context, inputs: MeasurementInputs): Promise<PreflightOutputs> {
  const record = await measure(ctx, inputs);
  refuseUnfit(inputs, record, "; nothing was installed on it");
  return { record };
}
