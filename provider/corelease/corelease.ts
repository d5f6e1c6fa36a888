import { z } from "zod";
import { checkWith, endpoint, name, owner } from "../core/check";
import { changesOf, hostEffect } from "../core/diff";
import { importingOwner, parseImportId } from "../core/import-id";
import { UserError } from "../core/kind";
import type { Context, Kind } from "../core/kind";
import { inspect } from "../domain/inspect";
import type { SeenDomain } from "../domain/inspect";
import { formatCpus } from "../libvirt/cpulist";
import { isOurs, ownerOf } from "../libvirt/mark";
import { onHost } from "../libvirt/script";
import { where } from "../transport/errors";
import { giveUpScript, LEAVING, parseHeld, releaseScript, seenScript, takeScript } from "./scripts";
import type { Held, Holder } from "./scripts";

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
      host: hostEffect(olds, news),
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
    const held = await heldBy(ctx, host, { owner, machine });
    // One that the machine still runs on is as it must be; one that it is off is given back by `up`.
    const still = held.some(({ leaving }) => leaving) ? cpusUsedBy(await inspect(ctx, host, machine)) : new Set();
    const cpus = held.filter(({ cpu, leaving }) => !leaving || !still.has(cpu)).map(({ cpu }) => cpu);
    const facts = known?.facts === undefined ? {} : { facts: known.facts };
    return cpus.length === 0
      ? undefined
      : { id: machine, inputs: { ...facts, host, owner, machine, cpus }, outputs: {} };
  },
  async update(ctx, _id, olds, news) {
    await take(ctx, news, olds);
    return {};
  },
  async delete(ctx, _id, state) {
    const { host, owner, machine } = state;
    const doing = `releasing the cores of ${machine}`;
    const seen = await inspect(ctx, host, machine);
    if (seen && isOurs(seen.inactive.mark, owner)) {
      const used = cpusUsedBy(seen);
      if (seen.inactive.vcpuPins.size === 0 && used.size > 0)
        throw new UserError(
          `${where(host)}: ${doing}: the machine ${machine} is not to be pinned any more, and still runs on CPUs ${formatCpus([...used])}, which stay leased: ` +
            "shut it down and start it (a reboot from inside is not enough), then run again",
        );
      if (used.size > 0)
        throw new UserError(
          `${where(host)}: ${doing}: the machine ${machine} of this stack is still on this host (${seen.running ? "running" : "shut off"}): ` +
            "its cores stay leased. Run `pulumi up`, which takes the machine over, and destroy again. Or, if it may go for good, on the host: " +
            `virsh destroy ${machine}; virsh undefine ${machine} --nvram; then destroy again`,
        );
    }
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

async function heldBy(ctx: Context, host: CoreLeaseInputs["host"], holder: Holder): Promise<Held[]> {
  const doing = `reading the leases of ${holder.machine}`;
  return parseHeld(await onHost(ctx, host, doing, seenScript(holder), { timeoutMs: 60_000 }));
}

/** CPUs that a machine's vCPUs are pinned to: now, for its next start, or by somebody behind libvirt's back. One that floats uses none of its own. */
function cpusUsedBy(seen: SeenDomain | undefined): ReadonlySet<number> {
  const pins = [seen?.inactive, seen?.live].flatMap((xml) => [...(xml?.vcpuPins.values() ?? [])]);
  const vcpus = (seen?.threads ?? []).filter(({ name, cpus }) => name.startsWith("CPU ") && cpus.length === 1);
  return new Set([...pins, ...vcpus.map(({ cpus }) => cpus)].flat());
}

/**
 * Gives back the CPUs that a machine was told to leave and has left. A lease ends here, after the machine has moved, and not when it is changed:
 * in between, and until the start of a machine that gets fewer vCPUs, it still runs on them.
 */
export async function giveUpLeft(
  ctx: Context,
  { host, owner, machine }: Pick<CoreLeaseInputs, "host" | "owner" | "machine">,
  before: string = machine,
): Promise<void> {
  const leaving = (await heldBy(ctx, host, { owner, machine })).filter((held) => held.leaving);
  if (leaving.length === 0) return;
  const used = await Promise.all([...new Set([machine, before])].map((name) => inspect(ctx, host, name)));
  const still = new Set(used.flatMap((seen) => [...cpusUsedBy(seen)]));
  const left = leaving.map(({ cpu }) => cpu).filter((cpu) => !still.has(cpu));
  const doing = `giving back CPUs ${formatCpus(left)} of ${machine}`;
  if (left.length > 0) await onHost(ctx, host, doing, giveUpScript({ owner, machine }, left));
  if (left.length === leaving.length) return;
  const kept = leaving.map(({ cpu }) => cpu).filter((cpu) => still.has(cpu));
  ctx.progress(`${machine}: CPUs ${formatCpus(kept)} stay leased to it until it runs there no more`);
}

/** All of these CPUs for this machine, or an error that names who has them and nothing taken. What `from` holds is handed over. */
export async function take(ctx: Context, lease: CoreLeaseInputs, from: CoreLeaseInputs = lease): Promise<void> {
  const doing = `leasing CPUs ${formatCpus(lease.cpus)} for ${lease.machine}`;
  const taken = (await onHost(ctx, lease.host, doing, takeScript(lease, from))).split("\n").filter(Boolean);
  if (taken.every((line) => line === LEAVING)) {
    if (taken.length > 0) await giveUpLeft(ctx, lease, from.machine);
    return;
  }
  const holders = taken.map((line) => {
    const [cpu, project, stack, machine, since, leaving] = line.split("\t");
    const until = leaving ? " until it is moved or restarted and `pulumi up --refresh` of its stack has seen it" : "";
    return `CPU ${cpu} by ${project}/${stack}/${machine} since ${since}${until}`;
  });
  throw new UserError(
    `${where(lease.host)}: ${doing}: held already: ${holders.join(", ")}. None was taken. ` +
      "Another stack's: keep these CPUs out of this one (hosts.<host>.reserved.cpus in the stack file); a lease ends when its stack releases it (if that stack is gone for good, remove the CPU's file in /var/lib/kvmesh/leases on the host)",
  );
}
