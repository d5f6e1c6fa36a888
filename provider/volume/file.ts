import { differences } from "../core/diff";
import { UserError } from "../core/kind";
import type { Context, Seen } from "../core/kind";
import { without } from "../core/values";
import { importFile } from "../libvirt/import-file";
import { isOurs, markOf } from "../libvirt/mark";
import { onHost } from "../libvirt/script";
import { adopts, inspectFile, lost, refuseUnmounted } from "../libvirt/storage";
import type { SeenFile } from "../libvirt/storage";
import { where } from "../transport/errors";
import { gibibytes, refuseSmaller } from "./disks";
import type { Disks } from "./disks";
import type { FileVolume, VolumeInputs, VolumeOutputs } from "./schema";
import { growScript, makeScript, markScript, removeVolumeScript } from "./scripts";

/** A disk in a directory pool: made under another name and renamed, so that it is never there half made. */
export const fileDisks: Disks<FileVolume> = {
  async create(ctx, inputs) {
    const path = `${inputs.storage}/${inputs.name}`;
    const mark = markOf(inputs.owner, ctx.urn);
    const seen = await inspectFile(ctx, inputs.host, path);
    if (adopts(inputs.host, path, seen, mark)) {
      refuseOther(inputs, path, seen);
      if (inputs.onDestroy === "keep") ctx.warn(`disk ${inputs.name} was kept: what it holds is used again`);
      if (seen.sidecar?.kept)
        await onHost(ctx, inputs.host, `disk ${inputs.name}`, markScript(path, seen, { schema: 1, mark }));
      if (seen.virtualSizeBytes < inputs.capacityBytes) {
        await onHost(ctx, inputs.host, `growing disk ${inputs.name}`, growScript(inputs, path));
      }
      return { id: path, outputs: { path } };
    }
    checkRoom(ctx, inputs, seen.freeBytes, inputs.capacityBytes);
    await onHost(ctx, inputs.host, `disk ${inputs.name}`, makeScript(inputs, path, seen, { schema: 1, mark }), {
      timeoutMs: 1_800_000,
    });
    return { id: path, outputs: { path } };
  },

  async read(ctx, id, known) {
    const seen = await inspectFile(ctx, known.host, id);
    if (!seen.exists) {
      refuseUnmounted(ctx, known.host, id, seen);
      return undefined;
    }
    if (lost(ctx, known.host, id, seen.sidecar?.mark, known.owner)) return undefined;
    const inputs = without(known, "path");
    const overlays = inputs.format === "qcow2" && inputs.base !== undefined;
    return {
      inputs: {
        ...inputs,
        capacityBytes: seen.virtualSizeBytes,
        format: seen.format as FileVolume["format"],
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
    const mark = markOf(news.owner, ctx.urn);
    if (differences("owner", olds.owner, news.owner).length > 0) {
      await onHost(ctx, news.host, `marking disk ${news.name}`, markScript(id, seen, { schema: 1, mark }));
    }
    const more = news.capacityBytes - seen.virtualSizeBytes;
    if (more > 0) {
      checkRoom(ctx, news, seen.freeBytes, more);
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
    if (state.onDestroy === "keep") {
      if (!seen.sidecar || !seen.exists) return;
      await onHost(
        ctx,
        state.host,
        `keeping disk ${state.name}`,
        markScript(id, seen, { ...seen.sidecar, kept: true }),
      );
      ctx.warn(
        `${where(state.host)}: disk ${id} is kept with all that it holds; the next \`pulumi up\` of the same machine has it again. ` +
          `To remove it for good, on the host: rm ${id} ${id}.kvmesh.json`,
      );
      return;
    }
    await onHost(ctx, state.host, `removing disk ${state.name}`, removeVolumeScript(state.storage, id, seen));
  },

  import: importFileDisk,
};

/** By "HOST:/path": what the file itself says. Which image a raw disk was copied from is known to nobody. */
async function importFileDisk(ctx: Context, id: string): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined> {
  const file = await importFile(ctx, id);
  if (!file) return undefined;
  const { host, owner, path, storage, seen } = file;
  const inputs = {
    ...{ host, owner, name: file.name, storage },
    ...{ capacityBytes: seen.virtualSizeBytes, format: seen.format as FileVolume["format"] },
    ...(seen.backing === undefined
      ? { onDestroy: "keep" as const }
      : {
          base: seen.backing,
          baseFormat: (seen.backingFormat ?? "raw") as FileVolume["format"],
          onDestroy: "remove" as const,
        }),
  };
  return { id: path, inputs, outputs: { path } };
}

/** A kept disk of this resource that is not what it is declared to be now. */
function refuseOther(inputs: FileVolume, path: string, seen: SeenFile): void {
  const what = `${where(inputs.host)}: ${path} is there from before`;
  if (seen.format !== inputs.format)
    throw new UserError(
      `${what} as ${seen.format}, declared is ${inputs.format}: declare ${seen.format}, or remove it`,
    );
  refuseSmaller(inputs, what, seen.virtualSizeBytes);
}

/** A raw disk takes its space at once, so that a full folder is found now and not by a database. */
function checkRoom(ctx: Context, { host, storage, name, format }: FileVolume, free: number, wanted: number): void {
  if (free >= wanted) return;
  const what = `${where(host)}: ${storage} has ${gibibytes(free)} free, disk ${name} needs ${gibibytes(wanted)}`;
  if (format === "raw") throw new UserError(`${what}: free some space or make it smaller`);
  ctx.warn(`${what} when it is full: it is thin, and writes will fail when the folder is full`);
}
