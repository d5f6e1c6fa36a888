import { differences } from "../core/diff";
import { UserError } from "../core/kind";
import type { Context, Seen } from "../core/kind";
import { without } from "../core/values";
import { importFile } from "../libvirt/import-file";
import { isOurs, markOf } from "../libvirt/mark";
import { onHost } from "../libvirt/script";
import { adopts, inspectFile, lost, refuseUnmounted } from "../libvirt/storage";
import type { Base, SeenFile, Sidecar } from "../libvirt/storage";
import { where } from "../transport/errors";
import type { Endpoint } from "../transport/transport";
import { baseOf, gibibytes, otherwise, requireUntouched } from "./disks";
import type { Disks, Remains } from "./disks";
import type { FileVolume, VolumeInputs, VolumeOutputs } from "./schema";
import { growScript, makeScript, markScript, removeVolumeScript } from "./scripts";

/** A disk in a directory pool: made under another name and renamed, so that it is never there half made. */
export const fileDisks: Disks<FileVolume> = {
  async create(ctx, inputs) {
    const path = `${inputs.storage}/${inputs.name}`;
    const mark = markOf(inputs.owner, ctx.urn);
    const sidecar: Sidecar = { schema: 1, mark, ...rawOf(inputs) };
    const seen = await inspectFile(ctx, inputs.host, path);
    const remains = adopts(inputs.host, path, seen, mark) ? remainsOf(inputs.host, path, seen) : undefined;
    const other = remains && otherwise(remains, inputs);
    if (remains && other === undefined) {
      if (inputs.onDestroy === "keep") ctx.warn(`disk ${inputs.name} was kept: what it holds is used again`);
      if (seen.sidecar?.kept) await onHost(ctx, inputs.host, `disk ${inputs.name}`, markScript(path, seen, sidecar));
      if (remains.bytes < inputs.capacityBytes) {
        await onHost(ctx, inputs.host, `growing disk ${inputs.name}`, growScript(inputs, path));
      }
      return { id: path, outputs: { path } };
    }
    const unless = remains && other !== undefined ? requireUntouched(remains, other) : "";
    checkRoom(ctx, inputs, seen.freeBytes, inputs.capacityBytes);
    await onHost(ctx, inputs.host, `disk ${inputs.name}`, makeScript(inputs, path, seen, sidecar, unless), {
      timeoutMs: 1_800_000,
    });
    return { id: path, outputs: { path } };
  },

  async read(ctx, id, known) {
    const seen = await inspectFile(ctx, known.host, id);
    if (!seen.exists) {
      refuseUnmounted(known.host, id, seen);
      return undefined;
    }
    if (lost(ctx, known.host, id, seen.sidecar?.mark, known.owner)) return undefined;
    const { bytes, format, base } = remainsOf(known.host, id, seen);
    // By hand, with what it holds: a plan that makes it anew would lose that.
    // What a raw disk was made from is noted since 0093 only.
    const imageKnown = format === "qcow2" || seen.sidecar?.raw !== undefined;
    if (format !== known.format || (imageKnown && base?.path !== known.base))
      ctx.warn(
        `${where(known.host)}: ${id} is ${format} from ${base?.path ?? "no image"}, declared is ${known.format} from ${known.base ?? "no image"}: it is left as it is`,
      );
    return { inputs: { ...without(known, "path"), capacityBytes: bytes }, outputs: { path: id } };
  },

  async update(ctx, id, olds, news) {
    const seen = await inspectFile(ctx, news.host, id);
    if (!seen.exists) throw new UserError(`${where(news.host)}: ${id} is gone: run \`pulumi refresh\``);
    if (!isOurs(seen.sidecar?.mark, olds.owner))
      throw new UserError(`${where(news.host)}: ${id} is not ours any more; it is left untouched`);
    const mark = markOf(news.owner, ctx.urn);
    if (differences("owner", olds.owner, news.owner).length > 0) {
      await onHost(
        ctx,
        news.host,
        `marking disk ${news.name}`,
        markScript(id, seen, { ...seen.sidecar, schema: 1, mark }),
      );
    }
    const more = news.capacityBytes - remainsOf(news.host, id, seen).bytes;
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

/** By "HOST:/path": what the file itself says, and of a raw one what was noted when it was made. */
async function importFileDisk(ctx: Context, id: string): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined> {
  const file = await importFile(ctx, id);
  if (!file) return undefined;
  const { host, owner, path, storage } = file;
  const { bytes, format, base } = remainsOf(host, path, file.seen);
  const from =
    base === undefined
      ? { onDestroy: "keep" as const }
      : { base: base.path, baseFormat: base.format, onDestroy: "remove" as const };
  const inputs = { host, owner, name: file.name, storage, capacityBytes: bytes, format, ...from };
  return { id: path, inputs, outputs: { path } };
}

function rawOf(inputs: FileVolume): Pick<Sidecar, "raw"> {
  return inputs.format === "raw" ? { raw: { base: baseOf(inputs) } } : {};
}

function remainsOf(host: Endpoint, path: string, seen: SeenFile): Remains {
  const file = { what: `${where(host)}: ${path}`, remove: `rm ${path} ${path}.kvmesh.json` };
  const { raw } = seen.sidecar ?? {};
  if (raw) return { ...file, bytes: seen.bytes, format: "raw", base: raw.base };
  const { backing, backingFormat = "raw", format, virtualSizeBytes } = seen;
  const base = backing === undefined ? undefined : { path: backing, format: backingFormat as Base["format"] };
  return { ...file, bytes: virtualSizeBytes, format: format as Base["format"], base };
}

/** A raw disk takes its space at once, so that a full folder is found now and not by a database. */
function checkRoom(ctx: Context, { host, storage, name, format }: FileVolume, free: number, wanted: number): void {
  if (free >= wanted) return;
  const what = `${where(host)}: ${storage} has ${gibibytes(free)} free, disk ${name} needs ${gibibytes(wanted)}`;
  if (format === "raw") throw new UserError(`${what}: free some space or make it smaller`);
  ctx.warn(`${what} when it is full: it is thin, and writes will fail when the folder is full`);
}
