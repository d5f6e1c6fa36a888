import { changesOf, hostEffect } from "../core/diff";
import type { Effect } from "../core/diff";
import { UserError } from "../core/kind";
import type { Change, Kind, Seen } from "../core/kind";
import { wholeExtents } from "../lvm/report";
import { where } from "../transport/errors";
import { fileDisks } from "./file";
import { checkVolume, isThin, volumeArgs } from "./schema";
import type { VolumeInputs, VolumeOutputs } from "./schema";
import { size } from "./disks";
import type { Disks } from "./disks";
import { thinDisks } from "./thin";

/** A disk: a file in a directory pool, or a logical volume in a thin pool. */
export const volumeKind: Kind<VolumeInputs, VolumeOutputs> = {
  token: "kvmesh:index:Volume",
  args: volumeArgs,
  outputs: { path: "stable", extentBytes: "optional" },
  // The new one has the same path.
  deleteBeforeReplace: true,
  check: checkVolume,
  diff: diffVolume,
  refuses: tooSmall,
  create: (ctx, inputs) => disksOf(inputs).create(ctx, inputs),
  read(ctx, id, known): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined> {
    if (known) return disksOf(known).read(ctx, id, known);
    return /^[^:/]+:\/dev\//.test(id) ? thinDisks.import(ctx, id) : fileDisks.import(ctx, id);
  },
  update: (ctx, id, olds, news) => disksOf(news).update(ctx, id, olds, news),
  delete: (ctx, id, state) => disksOf(state).delete(ctx, id, state),
};

function disksOf(volume: VolumeInputs): Disks<VolumeInputs> {
  return isThin(volume) ? thinDisks : fileDisks;
}

/**
 * Growing is live; anything else makes another disk. Not so a smaller size: somebody may have enlarged the disk by hand, and no plan may lose
 * what it holds for that.
 *
 * @throws UserError for a disk that is kept: another one under its name would come up empty, or not at all.
 */
function diffVolume(olds: VolumeInputs & VolumeOutputs, news: VolumeInputs): Change[] {
  const changes = changesOf<VolumeInputs>(olds, news, {
    host: hostEffect(olds, news),
    owner: "live",
    // Where it is comes first: a name that is another one in another place is no reason of its own.
    storage: "replace",
    thinPool: poolChange(olds, news),
    name: "replace",
    capacityBytes:
      news.capacityBytes < olds.capacityBytes ? { effect: "live", reason: "no disk is made smaller: refused" } : "live",
    format: "replace",
    base: "replace",
    baseFormat: "replace",
    onDestroy: "record",
  }).filter(({ property }) => property !== "capacityBytes" || !sameExtents(olds, news));
  const replaced = changes.find((change) => change.effect === "replace")?.property;
  if (olds.onDestroy !== "keep" || replaced === undefined) return changes;
  const property = replaced.split(".", 1)[0] as keyof VolumeInputs;
  const [before, after] = [olds, news].map((of) => {
    if (property === "host") return where(of.host);
    return of[property] === undefined ? "none" : JSON.stringify(of[property]);
  });
  throw new UserError(
    `disk ${olds.name} is kept (onDestroy: keep), and ${property} changes from ${before} to ${after}, which needs another disk. ` +
      "Put it back; or give the new disk another name, copy what this one holds, and remove this one",
  );
}

/** What LVM makes of both is one size: an import sees what it made. */
function sameExtents(olds: VolumeInputs & VolumeOutputs, news: VolumeInputs): boolean {
  const { extentBytes } = olds;
  if (extentBytes === undefined) return false;
  return wholeExtents(olds.capacityBytes, extentBytes) === wholeExtents(news.capacityBytes, extentBytes);
}

function tooSmall(olds: VolumeInputs & VolumeOutputs, news: VolumeInputs): string | undefined {
  if (news.capacityBytes >= olds.capacityBytes || sameExtents(olds, news)) return undefined;
  const another =
    olds.onDestroy === "keep"
      ? "give a smaller one another name, copy what this one holds, and remove this one"
      : "if what it holds may go, have it made anew: `pulumi up --replace` with its URN";
  return (
    `disk ${olds.name} has ${size(olds.capacityBytes)}, declared are ${size(news.capacityBytes)}: a disk that may hold data does not shrink, ` +
    `and is not made anew for its size. Declare ${size(olds.capacityBytes)}; or, ${another}`
  );
}

function poolChange({ thinPool: old }: VolumeInputs, { thinPool }: VolumeInputs): Effect {
  return old?.volumeGroup === thinPool?.volumeGroup && old?.name === thinPool?.name ? "record" : "replace";
}
