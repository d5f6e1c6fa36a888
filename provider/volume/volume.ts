import { z } from "zod";
import { absolutePath, checkWith, endpoint, name, owner } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError } from "../core/kind";
import type { Change, Context, Kind, Seen } from "../core/kind";
import { without } from "../core/values";
import { importFile } from "../libvirt/import-file";
import { isOurs, markOf } from "../libvirt/mark";
import { onHost } from "../libvirt/script";
import { adopts, inspectFile } from "../libvirt/storage";
import { where } from "../transport/errors";
import { growScript, makeScript, removeVolumeScript } from "./scripts";

const args = z.strictObject({
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
});

export type VolumeInputs = z.infer<typeof args>;

interface VolumeOutputs {
  readonly path: string;
}

/** A disk in a directory pool: made under another name and renamed, so that it is never there half made. */
export const volumeKind: Kind<VolumeInputs, VolumeOutputs> = {
  token: "kvmesh:index:Volume",
  args,
  outputs: { path: "stable" },
  // The new one has the same path.
  deleteBeforeReplace: true,
  check: checkWith(args, (inputs) =>
    inputs.base !== undefined && inputs.baseFormat === undefined
      ? [
          {
            property: "baseFormat",
            reason: "must be given with base: guessing it lets a guest choose what its disk is",
          },
        ]
      : [],
  ),
  diff: diffVolume,

  async create(ctx, inputs) {
    const path = `${inputs.storage}/${inputs.name}`;
    const mark = markOf(inputs.owner, ctx.urn);
    const seen = await inspectFile(ctx, inputs.host, path);
    if (adopts(inputs.host, path, seen, mark)) {
      if (seen.virtualSizeBytes < inputs.capacityBytes) {
        await onHost(ctx, inputs.host, `growing disk ${inputs.name}`, growScript(inputs, path));
      }
      return { id: path, outputs: { path } };
    }
    if (seen.freeBytes < inputs.capacityBytes) {
      const what = `${where(inputs.host)}: ${inputs.storage} has ${gibibytes(seen.freeBytes)} free for disk ${inputs.name} of ${gibibytes(inputs.capacityBytes)}`;
      if (inputs.format === "raw") throw new UserError(`${what}: free some space or make it smaller`);
      ctx.warn(`${what}: it is thin, and writes will fail when the folder is full`);
    }
    await onHost(ctx, inputs.host, `disk ${inputs.name}`, makeScript(inputs, path, seen, { schema: 1, mark }), {
      timeoutMs: 1_800_000,
    });
    return { id: path, outputs: { path } };
  },

  async read(ctx, id, known) {
    if (!known) return importVolume(ctx, id);
    const seen = await inspectFile(ctx, known.host, id);
    if (!seen.exists) return undefined;
    if (!isOurs(seen.sidecar?.mark, known.owner)) {
      ctx.warn(`${where(known.host)}: ${id} is there, but not ours any more`);
      return undefined;
    }
    const inputs = without(known, "path");
    const overlays = inputs.format === "qcow2" && inputs.base !== undefined;
    return {
      inputs: {
        ...inputs,
        capacityBytes: seen.virtualSizeBytes,
        format: seen.format as VolumeInputs["format"],
        ...(overlays ? { base: seen.backing } : {}),
      },
      outputs: { path: id },
    };
  },

  async update(ctx, id, olds, news) {
    const seen = await inspectFile(ctx, news.host, id);
    if (!seen.exists) throw new UserError(`${where(news.host)}: ${id} is gone: run \`pulumi refresh\``);
    if (!isOurs(seen.sidecar?.mark, olds.owner))
      throw new UserError(`${where(news.host)}: ${id} is not ours any more; it is left untouched`);
    if (seen.virtualSizeBytes < news.capacityBytes) {
      await onHost(ctx, news.host, `growing disk ${news.name}`, growScript(news, id));
    }
    return { path: id };
  },

  async delete(ctx, id, state) {
    const seen = await inspectFile(ctx, state.host, id);
    if (seen.exists && !isOurs(seen.sidecar?.mark, state.owner)) {
      ctx.warn(`${where(state.host)}: ${id} is not ours any more; it is left untouched`);
      return;
    }
    await onHost(ctx, state.host, `removing disk ${state.name}`, removeVolumeScript(state.storage, id, seen));
  },
};

/** By "HOST:/path": what the file itself says. Which image a raw disk was copied from is known to nobody. */
async function importVolume(ctx: Context, id: string): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined> {
  const file = await importFile(ctx, id);
  if (!file) return undefined;
  const { host, owner, path, storage, seen } = file;
  const inputs = {
    ...{ host, owner, name: file.name, storage },
    ...{ capacityBytes: seen.virtualSizeBytes, format: seen.format as VolumeInputs["format"] },
    ...(seen.backing === undefined
      ? {}
      : { base: seen.backing, baseFormat: (seen.backingFormat ?? "raw") as VolumeInputs["format"] }),
  };
  return { id: path, inputs, outputs: { path } };
}

/** Growing is live; anything else makes another disk. */
function diffVolume(olds: VolumeInputs & VolumeOutputs, news: VolumeInputs): Change[] {
  return changesOf<VolumeInputs>(olds, news, {
    host: "record",
    owner: "replace",
    name: "replace",
    storage: "replace",
    capacityBytes: news.capacityBytes < olds.capacityBytes ? "replace" : "live",
    format: "replace",
    base: "replace",
    baseFormat: "replace",
  });
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
