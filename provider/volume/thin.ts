import type { Owner } from "../core/check";
import { differences } from "../core/diff";
import { importingOwner, parseImportId } from "../core/import-id";
import { UserError } from "../core/kind";
import type { Context, Seen } from "../core/kind";
import { without } from "../core/values";
import { isOurs, markOf, ownerOf, refusal } from "../libvirt/mark";
import { onHost } from "../libvirt/script";
import { lost } from "../libvirt/storage";
import { reportFrom, wholeExtents } from "../lvm/report";
import type { LogicalVolume } from "../lvm/report";
import { taggedFrom } from "../lvm/tags";
import type { Tagged } from "../lvm/tags";
import { where } from "../transport/errors";
import type { Endpoint } from "../transport/transport";
import { otherwise, requireUntouched } from "./disks";
import type { Disks, Remains } from "./disks";
import type { ThinVolume, VolumeInputs, VolumeOutputs } from "./schema";
import { growThinScript, lookScript, makeThinScript, markThinScript, pathOf, removeThinScript } from "./thin-scripts";

/** The volume as it is, and whose. */
interface Found {
  readonly lv: LogicalVolume;
  /** Undefined: it is not of kvmesh. */
  readonly tagged: Tagged | undefined;
}

interface Look {
  /** Undefined: it is not there. */
  readonly found: Found | undefined;
  /** Undefined: the group has no volume at all. */
  readonly extentBytes: number | undefined;
}

/**
 * A logical volume in a thin pool of LVM, with its mark in LVM's own metadata: it is never there without one. One that was not written to
 * its end counts as not there, and is made anew by the resource that it was for.
 */
export const thinDisks: Disks<ThinVolume> = {
  async create(ctx, inputs) {
    const { host, owner, name } = inputs;
    const path = pathOf(inputs);
    const mark = markOf(owner, ctx.urn);
    const { found, extentBytes } = await look(ctx, inputs);
    const outputs = { path, extentBytes };
    if (found) {
      const refused = refusal(path, found.tagged?.mark, mark);
      if (refused !== undefined) throw new UserError(`${where(host)}: ${refused}`);
    }
    const whole = found?.tagged?.condition === "writing" ? undefined : found;
    const remains = whole && remainsOf(inputs, path, whole);
    const other = remains && (otherPool(inputs, whole) ?? otherwise(remains, inputs));
    if (whole && other === undefined) {
      const { lv, tagged } = whole;
      if (inputs.onDestroy === "keep") ctx.warn(`disk ${name} was kept: what it holds is used again`);
      if (tagged?.condition === "kept")
        await onHost(ctx, host, `disk ${name}`, markThinScript(inputs, lv, { ...tagged, mark, condition: "ready" }));
      if (lv.bytes < inputs.capacityBytes) await grow(ctx, inputs);
      return { id: path, outputs };
    }
    const before = found && {
      lv: found.lv,
      unless: remains && other !== undefined ? requireUntouched(remains, other) : "",
    };
    if (inputs.base !== undefined) ctx.progress(`writing the image to ${path}`);
    await onHost(ctx, host, `disk ${name}`, makeThinScript(inputs, mark, before), { timeoutMs: 1_800_000 });
    return { id: path, outputs };
  },

  async read(ctx, id, known) {
    const { found, extentBytes } = await look(ctx, known);
    if (!found || found.tagged?.condition === "writing") return undefined;
    if (lost(ctx, known.host, id, found.tagged?.mark, known.owner)) return undefined;
    const { lv } = found;
    if (lv.health !== "") ctx.warn(`${where(known.host)}: ${id} is not well: LVM says ${lv.health}`);
    if (!lv.active)
      ctx.warn(`${where(known.host)}: ${id} is not active, and its machine can't start: lvchange -ay ${lvName(lv)}`);
    // A pool that was renamed, say: a plan that makes its volumes anew would lose what they hold.
    const moved = otherPool(known, found);
    if (moved !== undefined) ctx.warn(`${where(known.host)}: ${id} is ${moved}: it is left as it is`);
    const capacityBytes = bytesAs(known.capacityBytes, lv);
    return {
      inputs: { ...without(known, "path", "extentBytes"), capacityBytes },
      outputs: { path: id, extentBytes },
    };
  },

  async update(ctx, id, olds, news) {
    const { found, extentBytes } = await look(ctx, news);
    if (!found) throw new UserError(`${where(news.host)}: ${id} is gone: run \`pulumi refresh\``);
    const { lv, tagged } = found;
    if (!tagged || !isOurs(tagged.mark, olds.owner))
      throw new UserError(`${where(news.host)}: ${id} is not ours any more; it is left untouched`);
    if (differences("owner", olds.owner, news.owner).length > 0) {
      const mark = markOf(news.owner, ctx.urn);
      await onHost(ctx, news.host, `marking disk ${news.name}`, markThinScript(news, lv, { ...tagged, mark }));
    }
    // Also when it has grown already: a run may have ended before the machine was told.
    if (lv.bytes < news.capacityBytes || olds.capacityBytes < news.capacityBytes) await grow(ctx, news);
    return { path: id, extentBytes };
  },

  async delete(ctx, id, state) {
    const { found } = await look(ctx, state);
    if (!found) return;
    const { lv, tagged } = found;
    if (!tagged || !isOurs(tagged.mark, state.owner)) {
      ctx.warn(`${where(state.host)}: ${id} is not ours any more; it is left untouched`);
      return;
    }
    if (state.onDestroy === "keep") {
      const kept: Tagged = { ...tagged, condition: "kept" };
      await onHost(ctx, state.host, `keeping disk ${state.name}`, markThinScript(state, lv, kept));
      ctx.warn(
        `${where(state.host)}: disk ${id} is kept with all that it holds; the next \`pulumi up\` of the same machine has it again. ` +
          `To remove it for good, on the host: lvremove ${lvName(lv)}`,
      );
      return;
    }
    await onHost(ctx, state.host, `removing disk ${state.name}`, removeThinScript(state, lv));
  },

  import: importThin,
};

async function look(ctx: Context, { host, thinPool, name }: ThinVolume): Promise<Look> {
  return lookAt(ctx, host, thinPool.volumeGroup, name);
}

/** The whole group is read: a volume that is not in it is gone, and a group that is not there is an error and not a disk that is gone. */
async function lookAt(ctx: Context, host: Endpoint, volumeGroup: string, name: string): Promise<Look> {
  const doing = `looking at ${volumeGroup}/${name}`;
  const report = reportFrom(await onHost(ctx, host, doing, lookScript(volumeGroup), { timeoutMs: 60_000 }));
  const lv = report.find((one) => one.name === name);
  return { found: lv && { lv, tagged: taggedFrom(lv.tags) }, extentBytes: report[0]?.extentBytes };
}

/** After a change of marks the volume is seen anew, because the script compares what was seen. */
async function grow(ctx: Context, volume: ThinVolume): Promise<void> {
  const { found } = await look(ctx, volume);
  if (!found) throw new UserError(`${where(volume.host)}: ${pathOf(volume)} is gone: run \`pulumi refresh\``);
  await onHost(ctx, volume.host, `growing disk ${volume.name}`, growThinScript(volume, found.lv));
}

function remainsOf({ host, capacityBytes }: ThinVolume, path: string, { lv, tagged }: Found): Remains {
  return {
    what: `${where(host)}: ${path}`,
    bytes: bytesAs(capacityBytes, lv),
    format: "raw",
    base: tagged?.base,
    remove: `lvremove ${lvName(lv)}`,
  };
}

function otherPool({ thinPool: { volumeGroup, name } }: ThinVolume, { lv: { pool } }: Found): string | undefined {
  if (pool === name) return undefined;
  return `in ${pool === "" ? "no thin pool" : `the thin pool ${pool}`}, declared is ${volumeGroup}/${name}`;
}

/** LVM makes volumes of whole extents: what was asked for may be a little less than what is there. */
function bytesAs(declared: number, { bytes, extentBytes }: LogicalVolume): number {
  return wholeExtents(declared, extentBytes) === bytes ? declared : bytes;
}

function lvName({ volumeGroup, name }: LogicalVolume): string {
  return `${volumeGroup}/${name}`;
}

/** By "HOST:/dev/GROUP/NAME". Which image it was copied from its tags say, when it is of kvmesh. */
async function importThin(ctx: Context, id: string): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined> {
  const { host, rest: path } = parseImportId(ctx, id, "/dev/GROUP/NAME");
  const [, volumeGroup, name] = /^\/dev\/([A-Za-z0-9_+.-]+)\/([A-Za-z0-9_+.-]+)$/.exec(path) ?? [];
  if (volumeGroup === undefined || name === undefined)
    throw new UserError(`the import ID ${JSON.stringify(id)} names no logical volume: /dev/GROUP/NAME`);
  const { found, extentBytes } = await lookAt(ctx, host, volumeGroup, name);
  if (!found) return undefined;
  const { lv, tagged } = found;
  if (lv.type !== "thin")
    throw new UserError(`${where(host)}: ${path} is of the type ${lv.type}: only a thin volume is imported as a disk`);
  const own = importingOwner(ctx);
  const owner = ownerOfFound(ctx, `${where(host)}: ${path}`, tagged, own);
  const inputs: ThinVolume = {
    ...{ host, owner, name, thinPool: { volumeGroup, name: lv.pool, overcommit: 1 } },
    ...{ capacityBytes: lv.bytes, format: "raw" },
    ...(tagged?.base === undefined
      ? { onDestroy: "keep" }
      : { base: tagged.base.path, baseFormat: tagged.base.format, onDestroy: "remove" }),
  };
  return { id: path, inputs, outputs: { path, extentBytes } };
}

/** One of another stack is refused; one without a mark is read, with a warning, because nothing of ours will touch it. */
function ownerOfFound(ctx: Context, what: string, tagged: Tagged | undefined, own: Owner): Owner {
  if (!tagged) {
    ctx.warn(`${what} has no mark of kvmesh: it is imported, but nothing changes or removes it`);
    return own;
  }
  if (isOurs(tagged.mark, own)) return ownerOf(tagged.mark);
  throw new UserError(`${what} belongs to stack ${tagged.mark.project}/${tagged.mark.stack}: it is left there`);
}
