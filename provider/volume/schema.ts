import { z } from "zod";
import { absolutePath, checkWith, endpoint, name, owner } from "../core/check";
import type { CheckFailure } from "../core/kind";

/** A name of LVM's: no path, no option, and what it keeps for its own volumes is for LVM to refuse. */
const lvmName = z
  .string()
  .regex(
    /^(?!\.\.?$)[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,99}$/,
    "must be a name of LVM: letters, digits and '_', '+', '.', '-', no '-' at its start",
  );

const thinPool = z.strictObject({
  volumeGroup: lvmName,
  name: lvmName,
  /** The volumes of the pool may together have so many times its size. */
  overcommit: z.number().min(1).max(100).default(1),
});

export const volumeArgs = z.strictObject({
  host: endpoint,
  owner,
  name,
  storage: absolutePath.optional(),
  thinPool: thinPool.optional(),
  capacityBytes: z
    .int()
    .min(1024 * 1024)
    .multipleOf(512, "must be a multiple of 512 bytes"),
  format: z.enum(["qcow2", "raw"]),
  base: absolutePath.optional(),
  baseFormat: z.enum(["qcow2", "raw"]).optional(),
  onDestroy: z.enum(["keep", "remove"]).default("remove"),
});

export type VolumeInputs = z.infer<typeof volumeArgs>;

export interface VolumeOutputs {
  readonly path: string;
  /** Of a logical volume, whose size is a whole multiple of it. */
  readonly extentBytes?: number;
}

/** A file in a directory pool. */
export type FileVolume = VolumeInputs & { readonly storage: string };

/** A logical volume in a thin pool of LVM. */
export type ThinVolume = VolumeInputs & { readonly thinPool: z.infer<typeof thinPool> };

/** Check has made sure that it is the one or the other. */
export function isThin(volume: VolumeInputs): volume is ThinVolume {
  return volume.thinPool !== undefined;
}

export const checkVolume = checkWith(volumeArgs, (inputs) => {
  const { base, baseFormat, onDestroy } = inputs;
  const failures: CheckFailure[] = [];
  if (base !== undefined && baseFormat === undefined) {
    const reason = "must be given with base: guessing it lets a guest choose what its disk is";
    failures.push({ property: "baseFormat", reason });
  }
  if (base !== undefined && onDestroy === "keep") {
    const reason = "keep is for disks of data: one that is made from an image is made again from it";
    failures.push({ property: "onDestroy", reason });
  }
  if ((inputs.storage === undefined) === (inputs.thinPool === undefined)) {
    failures.push({ property: "storage", reason: "a disk is in a folder or in a thin pool: give storage or thinPool" });
  }
  if (inputs.thinPool !== undefined && inputs.format !== "raw") {
    failures.push({ property: "format", reason: "a logical volume is raw: it is thin by its pool" });
  }
  const reserved = inputs.thinPool && reservedIn(inputs.name);
  if (reserved !== undefined) {
    failures.push({ property: "name", reason: `LVM keeps ${reserved} for volumes of its own: choose another name` });
  }
  return failures;
});

/** What LVM's names may not begin with or hold (lvm(8), "VALID NAMES"). */
function reservedIn(text: string): string | undefined {
  const inside = /_(cdata|cmeta|corig|cvol|iorig|mimage|mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|wcorig)/;
  return /^(snapshot|pvmove)/.exec(text)?.[0] ?? inside.exec(text)?.[0];
}
