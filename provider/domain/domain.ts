import { randomUUID } from "node:crypto";
import { UserError } from "../core/kind";
import type { Context, Kind } from "../core/kind";
import { giveUpLeft } from "../corelease/corelease";
import { without } from "../core/values";
import { isOurs, markOf, refusal } from "../libvirt/mark";
import { onHost } from "../libvirt/script";
import { where } from "../transport/errors";
import { diffDomain } from "./changes";
import { needsRestart, pendingRestart, seenInputs, unmodelled } from "./drift";
import { importDomain } from "./import";
import { inspect } from "./inspect";
import { inTurn } from "./restart";
import { requireMoreMemory } from "./room";
import { pluggingOf } from "./plugging";
import { refuseUnfit } from "./production";
import { checkDomain, domainArgs } from "./schema";
import type { DomainInputs, DomainOutputs } from "./schema";
import { applyScript, removeScript, seedDigest } from "./scripts";
import { grace, SHUTDOWN_TIMEOUT_MS } from "./shutdown";
import type { SeenDomain } from "./inspect";
import { domainXml } from "./xml";

/** A running libvirt machine that this stack made; one without its mark is never changed or removed. */
export const domainKind: Kind<DomainInputs, DomainOutputs> = {
  token: "kvmesh:index:Domain",
  args: domainArgs,
  outputs: { uuid: "stable", running: "volatile", unmodelled: "volatile" },
  // It holds its name, its addresses and its cores.
  deleteBeforeReplace: true,
  check: checkDomain,
  diff: diffDomain,

  async create(ctx, inputs) {
    refuseUnfit(inputs);
    const seen = await inspect(ctx, inputs.host, inputs.name);
    if (seen) {
      const refused = refusal(`machine ${inputs.name}`, seen.inactive.mark, markOf(inputs.owner, ctx.urn));
      if (refused) throw new UserError(`${where(inputs.host)}: ${refused}`);
      ctx.warn(`machine ${inputs.name} was made by an interrupted run; it is taken over as it is (${seen.uuid})`);
    }
    const uuid = seen?.uuid ?? randomUUID();
    await apply(ctx, inputs, uuid, seen);
    // One that takes the place of another may need fewer cores than that had.
    await giveUpLeft(ctx, { ...inputs, machine: inputs.name });
    return { id: uuid, outputs: { uuid, running: true, unmodelled: [] } };
  },

  async read(ctx, id, known) {
    if (!known) return importDomain(ctx, id);
    const seen = await inspect(ctx, known.host, known.name);
    if (!seen) {
      // Taken for gone it would be made a second time, on the same disks.
      const renamed = await inspect(ctx, known.host, id);
      if (!renamed) return undefined;
      const { name } = renamed.inactive;
      throw new UserError(
        `${where(known.host)}: machine ${known.name} was renamed to ${name} by hand: rename it back, on the host: virsh shutdown ${name}; virsh domrename ${name} ${known.name}`,
      );
    }
    const foreign = notOurs(known, id, seen);
    if (foreign !== undefined) {
      ctx.warn(`${where(known.host)}: ${foreign}`);
      // Imported and not adopted yet: it is what was imported, and stays in state.
      if (seen.uuid !== id || seen.inactive.mark) return undefined;
    }
    const pending = pendingRestart(seen);
    if (pending.length > 0)
      ctx.warn(`${known.name}: changed in the definition, not yet in the running machine: ${pending.join(", ")}`);
    const inputs = without(known, "uuid", "running", "unmodelled");
    return {
      inputs: seenInputs(inputs, seen),
      outputs: { uuid: seen.uuid, running: seen.running, unmodelled: unmodelled(inputs, seen) },
    };
  },

  async update(ctx, id, olds, news) {
    refuseUnfit(news);
    const seen = await inspect(ctx, news.host, news.name);
    if (!seen)
      throw new UserError(
        `${where(news.host)}: machine ${news.name} is gone: run \`pulumi refresh\`, then \`pulumi up\` makes it anew`,
      );
    const foreign = notOurs(olds, id, seen);
    if (foreign !== undefined) throw new UserError(`${where(news.host)}: ${foreign}; it is left untouched`);
    const reboot = diffDomain(olds, news).filter((change) => change.effect === "reboot");
    const { live } = seen;
    if (reboot.length > 0 && live && news.restart?.when === "needed") {
      await inTurn(ctx, news, async () => {
        // Before anything is changed: a machine that is shut down and can't start any more is an outage.
        const room = requireMoreMemory(news, live);
        if (room !== "") await onHost(ctx, news.host, `restarting machine ${news.name}`, room);
        await apply(ctx, news, id, seen);
        const now = await inspect(ctx, news.host, news.name);
        return now !== undefined && needsRestart(news, now);
      });
      await giveUpLeft(ctx, { ...news, machine: news.name });
      return { uuid: id, running: true, unmodelled: [] };
    }
    await apply(ctx, news, id, seen);
    await giveUpLeft(ctx, { ...news, machine: news.name });
    if (reboot.length > 0 && live) {
      const names = reboot.map((change) => change.property).join(", ");
      ctx.warn(
        `${news.name}: ${names}: takes effect when the machine is shut down and started again (a reboot from inside is not enough)`,
      );
    }
    return { uuid: id, running: true, unmodelled: [] };
  },

  async delete(ctx, id, state) {
    const seen = await inspect(ctx, state.host, state.name);
    const foreign = seen && notOurs(state, id, seen);
    if (foreign !== undefined) {
      ctx.warn(`${where(state.host)}: ${foreign}; it is left untouched`);
      return;
    }
    await onHost(ctx, state.host, `removing machine ${state.name}`, removeScript(state, id, grace(ctx)), {
      timeoutMs: SHUTDOWN_TIMEOUT_MS,
      onLine: (line) => {
        ctx.progress(line);
      },
    });
  },
};

/** Why the machine that is there is not this resource's to change; undefined: it is. */
function notOurs({ name, owner }: DomainInputs, id: string, seen: SeenDomain): string | undefined {
  const { mark } = seen.inactive;
  if (seen.uuid !== id) return `${name} is now another machine (${seen.uuid}), which is not ours`;
  if (isOurs(mark, owner)) return undefined;
  if (mark) return `machine ${name} belongs to stack ${mark.project}/${mark.stack} now`;
  return `machine ${name} has no mark of kvmesh: adopt it first (npm run adopt), or take it out of the state`;
}

/** Brings a machine to its inputs: defines it, starts it, pins it, plugs devices. `seen`: what is there now. */
async function apply(ctx: Context, inputs: DomainInputs, uuid: string, seen: SeenDomain | undefined): Promise<void> {
  const digest = seedDigest(inputs.cloudInit);
  const xml = domainXml(inputs, { uuid, mark: markOf(inputs.owner, ctx.urn), seedDigest: digest });
  // A machine that was never defined may have left a seed of an interrupted run; one that is defined has the seed of its digest.
  const seed = seen?.inactive.seedDigest !== digest;
  ctx.progress(seen ? `changing machine ${inputs.name}` : `defining and starting machine ${inputs.name}`);
  const script = applyScript(inputs, {
    xml,
    uuid,
    seed,
    fresh: seen === undefined,
    plugging: seen?.live && pluggingOf(inputs, seen.live),
  });
  const left = await onHost(ctx, inputs.host, `machine ${inputs.name}`, script);
  for (const line of left.split("\n").filter(Boolean)) ctx.warn(`${inputs.name}: ${line}`);
}
