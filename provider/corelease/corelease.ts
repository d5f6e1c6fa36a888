import { z } from "zod";
import { checkWith, endpoint, name, owner } from "../core/check";
import { changesOf } from "../core/diff";
import { importingOwner, parseImportId } from "../core/import-id";
import { UserError } from "../core/kind";
import type { Context, Kind } from "../core/kind";
import { inspect } from "../domain/inspect";
import { formatCpus } from "../libvirt/cpulist";
import { isOurs, ownerOf } from "../libvirt/mark";
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
  // What the placement was made from. No change of it changes a lease; it is compared with the host when one is taken.
  facts: z.strictObject({ file: z.string().min(1), cpus: z.int().min(1) }).optional(),
});

type CoreLeaseInputs = z.infer<typeof args>;

/** Released and taken again, somebody else could have them in between, with the machine still on them. */
const handedOver = {
  effect: "live",
  reason: "the same cores are handed over on the host, and are never free",
} as const;

/** The host's own record that these CPUs belong to one machine; taken all or none, under the host's lock. */
export const coreLeaseKind: Kind<CoreLeaseInputs, object> = {
  token: "kvmesh:index:CoreLease",
  args,
  outputs: {},
  check: checkWith(args),
  diff: (olds, news) =>
    changesOf<Omit<CoreLeaseInputs, "facts">>(olds, news, {
      host: "record",
      owner: handedOver,
      machine: handedOver,
      cpus: "live",
    }),
  async create(ctx, inputs) {
    await take(ctx, inputs);
    return { id: inputs.machine, outputs: {} };
  },
  async read(ctx, id, known) {
    const { host, owner, machine } = known ?? (await toImport(ctx, id));
    const stdout = await onHost(ctx, host, `reading the leases of ${machine}`, seenScript({ owner, machine }), {
      timeoutMs: 60_000,
    });
    const cpus = stdout.split("\n").filter(Boolean).map(Number);
    const facts = known?.facts === undefined ? {} : { facts: known.facts };
    return cpus.length === 0
      ? undefined
      : { id: machine, inputs: { ...facts, host, owner, machine, cpus: cpus.sort((a, b) => a - b) }, outputs: {} };
  },
  async update(ctx, _id, olds, news) {
    await take(ctx, news, olds);
    return {};
  },
  async delete(ctx, _id, state) {
    const { host, owner, machine } = state;
    const doing = `releasing the cores of ${machine}`;
    const seen = await inspect(ctx, host, machine);
    if (seen && isOurs(seen.inactive.mark, owner))
      throw new UserError(
        `${where(host)}: ${doing}: the machine ${machine} of this stack is still on this host (${seen.running ? "running" : "shut off"}): ` +
          "its cores stay leased. Run `pulumi up`, which takes the machine over, and destroy again. Or, if it may go for good, on the host: " +
          `virsh destroy ${machine}; virsh undefine ${machine} --nvram; then destroy again`,
      );
    await onHost(ctx, host, doing, releaseScript(state, seen?.uuid));
  },
};

/** By "HOST:MACHINE": the leases that this stack holds for it; an adopted machine has them. The rest of the owner is the machine's. */
async function toImport(ctx: Context, id: string): Promise<Pick<CoreLeaseInputs, "host" | "owner" | "machine">> {
  const { host, rest: machine } = parseImportId(ctx, id, "MACHINE");
  const own = importingOwner(ctx);
  const mark = (await inspect(ctx, host, machine))?.inactive.mark;
  const owner = mark && isOurs(mark, own) ? ownerOf(mark) : own;
  return { host, owner, machine };
}

/** All of these CPUs for this machine, or an error that names who has them and nothing taken. What `from` holds is handed over. */
export async function take(ctx: Context, lease: CoreLeaseInputs, from: CoreLeaseInputs = lease): Promise<void> {
  const doing = `leasing CPUs ${formatCpus(lease.cpus)} for ${lease.machine}`;
  const taken = (await onHost(ctx, lease.host, doing, takeScript(lease, from))).split("\n").filter(Boolean);
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
