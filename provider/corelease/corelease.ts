import { z } from "zod";
import { checkWith, endpoint, name, owner } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError } from "../core/kind";
import type { Context, Kind } from "../core/kind";
import { formatCpus } from "../libvirt/cpulist";
import { onHost } from "../libvirt/script";
import { where } from "../transport/errors";
import { releaseScript, seenScript, takeScript } from "./scripts";

const args = z.strictObject({
  host: endpoint,
  owner,
  machine: name,
  cpus: z
    .array(z.int().min(0).max(4095))
    .min(1)
    .transform((cpus) => [...new Set(cpus)].sort((a, b) => a - b)),
});

type CoreLeaseInputs = z.infer<typeof args>;

/** The host's own record that these CPUs belong to one machine; taken all or none, under the host's lock. */
export const coreLeaseKind: Kind<CoreLeaseInputs, object> = {
  token: "kvmesh:index:CoreLease",
  args,
  outputs: {},
  check: checkWith(args),
  diff: (olds, news) =>
    changesOf<CoreLeaseInputs>(olds, news, { host: "record", owner: "replace", machine: "replace", cpus: "live" }),
  // The new lease may be for the same CPUs under another name.
  deleteBeforeReplace: true,
  async create(ctx, inputs) {
    await take(ctx, inputs);
    return { id: inputs.machine, outputs: {} };
  },
  async read(ctx, _id, known) {
    if (!known) throw new UserError("a core lease can't be imported: it is taken by `pulumi up`");
    const stdout = await onHost(ctx, known.host, `reading the leases of ${known.machine}`, seenScript(known), {
      timeoutMs: 60_000,
    });
    const cpus = stdout.split("\n").filter(Boolean).map(Number);
    const { host, owner, machine } = known;
    return cpus.length === 0
      ? undefined
      : { inputs: { host, owner, machine, cpus: cpus.sort((a, b) => a - b) }, outputs: {} };
  },
  async update(ctx, _id, _olds, news) {
    await take(ctx, news);
    return {};
  },
  async delete(ctx, _id, state) {
    await onHost(ctx, state.host, `releasing the cores of ${state.machine}`, releaseScript(state));
  },
};

async function take(ctx: Context, lease: CoreLeaseInputs): Promise<void> {
  const doing = `leasing CPUs ${formatCpus(lease.cpus)} for ${lease.machine}`;
  const taken = (await onHost(ctx, lease.host, doing, takeScript(lease))).split("\n").filter(Boolean);
  if (taken.length === 0) return;
  const holders = taken.map((line) => {
    const [cpu, project, stack, machine, since] = line.split("\t");
    return `CPU ${cpu} by ${project}/${stack}/${machine} since ${since}`;
  });
  throw new UserError(
    `${where(lease.host)}: ${doing}: held already: ${holders.join(", ")}. None was taken. ` +
      "Give the machine other cores; a lease ends when its stack releases it (if that stack is gone for good, remove the CPU's file in /var/lib/kvmesh/leases on the host)",
  );
}
