import { z } from "zod";
import { absolutePath, checkWith, endpoint, name, owner } from "../core/check";
import type { CheckFailure } from "../core/kind";

export const volumeArgs = z.strictObject({
  host: endpoint,
  owner,
  name,
  storage: absolutePath,
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

export const checkVolume = checkWith(volumeArgs, ({ base, baseFormat, onDestroy }) => {
  const failures: CheckFailure[] = [];
  if (base !== undefined && baseFormat === undefined) {
    const reason = "must be given with base: guessing it lets a guest choose what its disk is";
    failures.push({ property: "baseFormat", reason });
  }
  if (base !== undefined && onDestroy === "keep") {
    const reason = "keep is for disks of data: one that is made from an image is made again from it";
    failures.push({ property: "onDestroy", reason });
  }
  return failures;
});
