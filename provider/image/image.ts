import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { z } from "zod";
import { absolutePath, checkWith, endpoint, name, owner } from "../core/check";
import { changesOf, hostEffect } from "../core/diff";
import { UserError } from "../core/kind";
import type { Context, Kind, Seen } from "../core/kind";
import { without } from "../core/values";
import { importFile } from "../libvirt/import-file";
import { isOurs, markOf } from "../libvirt/mark";
import { onHost } from "../libvirt/script";
import { adopts, inspectFile, lost, refuseUnmounted } from "../libvirt/storage";
import { where } from "../transport/errors";
import { downloadScript, finishScript, hashScript, removeImageScript } from "./scripts";

const args = z.strictObject({
  host: endpoint,
  owner,
  name,
  storage: absolutePath,
  url: z
    .string()
    .regex(/^https?:\/\/[^\s"'\\]+$/, "must be an http or https address")
    .optional(),
  file: z.string().min(1).optional(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be "sha256:" and 64 hexadecimal digits in lower case'),
  format: z.enum(["qcow2", "raw"]),
});

type ImageInputs = z.infer<typeof args>;

interface ImageOutputs {
  /** Absolute path on the host. */
  readonly path: string;
  readonly virtualSizeBytes: number;
}

/** Between two reports of an upload: each is a line where the CLI has no terminal. */
const PROGRESS_MS = 2000;

/** A relative file is one of the checkout: the parent of dist/. */
const CHECKOUT = path.resolve(__dirname, "../../..");

/** A base image on one host. Its path holds its digest: what overlays it can never be given another content. */
export const imageKind: Kind<ImageInputs, ImageOutputs> = {
  token: "kvmesh:index:Image",
  args,
  outputs: { path: "stable", virtualSizeBytes: "stable" },
  check: checkWith(args, (inputs) =>
    inputs.url !== undefined && inputs.file !== undefined
      ? [{ property: "url", reason: "only one of url (the host downloads it) and file (uploaded from here) can be" }]
      : [],
  ),
  diff: (olds, news) =>
    // The digest says what it is; where it comes from (url, file) matters only when it is made.
    changesOf<Omit<ImageInputs, "url" | "file">>(olds, news, {
      host: hostEffect(olds, news),
      owner: "replace",
      name: "replace",
      storage: "replace",
      digest: "replace",
      format: "replace",
    }),

  async create(ctx, inputs) {
    const target = imagePath(inputs);
    const mark = markOf(inputs.owner, ctx.urn);
    const seen = await inspectFile(ctx, inputs.host, target);
    if (!adopts(inputs.host, target, seen, mark)) {
      const part = `${inputs.storage}/.${path.posix.basename(target)}.part`;
      await fetchTo(ctx, inputs, part, seen.freeBytes);
      ctx.progress(`checking the digest of image ${inputs.name}`);
      const sidecar = { schema: 1, mark, digest: inputs.digest, stat: "@STAT@" } as const;
      await onHost(ctx, inputs.host, `image ${inputs.name}`, finishScript(inputs, target, part, seen, sidecar), {
        timeoutMs: 1_800_000,
      });
    }
    const made = await inspectFile(ctx, inputs.host, target);
    return { id: target, outputs: { path: target, virtualSizeBytes: made.virtualSizeBytes } };
  },

  async read(ctx, id, known) {
    if (!known) return importImage(ctx, id);
    const seen = await inspectFile(ctx, known.host, id);
    if (!seen.exists) {
      refuseUnmounted(known.host, id, seen);
      return undefined;
    }
    const inputs = without(known, "path", "virtualSizeBytes");
    const outputs = { path: id, virtualSizeBytes: seen.virtualSizeBytes };
    if (lost(ctx, known.host, id, seen.sidecar?.mark, known.owner)) return undefined;
    // Written to behind our back: only then is all of it read.
    if (seen.stat === seen.sidecar?.stat) return { inputs, outputs };
    const digest = (await onHost(ctx, known.host, `hashing ${id}`, hashScript(id), { timeoutMs: 1_800_000 })).trim();
    return { inputs: { ...inputs, digest }, outputs };
  },

  update: (_ctx, _id, olds) => Promise.resolve({ path: olds.path, virtualSizeBytes: olds.virtualSizeBytes }),

  async delete(ctx, id, state) {
    const seen = await inspectFile(ctx, state.host, id);
    if (seen.exists && !isOurs(seen.sidecar?.mark, state.owner)) {
      ctx.warn(`${where(state.host)}: ${id} is not ours any more; it is left untouched`);
      return;
    }
    await onHost(ctx, state.host, `removing image ${state.name}`, removeImageScript(state.storage, id, seen));
  },
};

/** By "HOST:/path". Where it came from is known to nobody, and matters only when it is made; what it holds is its digest. */
async function importImage(ctx: Context, id: string): Promise<Seen<ImageInputs, ImageOutputs> | undefined> {
  const file = await importFile(ctx, id);
  if (!file) return undefined;
  const { host, owner, path: at, storage, seen } = file;
  const known = seen.sidecar?.stat === seen.stat ? seen.sidecar.digest : undefined;
  const digest = known ?? (await onHost(ctx, host, `hashing ${at}`, hashScript(at), { timeoutMs: 1_800_000 })).trim();
  const inputs = { host, owner, name: file.name, storage, digest, format: seen.format as ImageInputs["format"] };
  const name = file.name.replace(`-${digest.slice("sha256:".length, "sha256:".length + 12)}`, "");
  if (imagePath({ ...inputs, name }) !== at)
    throw new UserError(
      `${where(host)}: ${at} is no image of kvmesh, whose paths hold their digest (${path.posix.basename(imagePath(inputs))}): ` +
        "declare it, and `pulumi up` makes it; disks that overlay this one keep it",
    );
  return { id: at, inputs: { ...inputs, name }, outputs: { path: at, virtualSizeBytes: seen.virtualSizeBytes } };
}

/** "debian.qcow2" with digest sha256:0123456789ab… → "<storage>/debian-0123456789ab.qcow2". */
function imagePath(inputs: ImageInputs): string {
  const { name: stem, ext } = path.posix.parse(inputs.name);
  return `${inputs.storage}/${stem}-${inputs.digest.slice("sha256:".length, "sha256:".length + 12)}${ext}`;
}

async function fetchTo(ctx: Context, inputs: ImageInputs, part: string, freeBytes: number): Promise<void> {
  const { host, storage, url, file } = inputs;
  if (url === undefined && file === undefined) {
    throw new UserError(
      `${where(host)}: the image ${inputs.name} is not there, and it is not said where to get it: give url (the host downloads it) or file (uploaded from here)`,
    );
  }
  const folder = (): Promise<string> => onHost(ctx, host, `folder ${storage}`, `folder '${storage}'\n`);
  if (url !== undefined) {
    await folder();
    const onLine = (bytes: string): void =>
      ctx.progress(`downloading image ${inputs.name}: ${mebibytes(Number(bytes))}`);
    await onHost(ctx, host, `downloading image ${inputs.name}`, downloadScript(url, part), {
      timeoutMs: 7_200_000,
      onLine,
    });
    return;
  }
  const local = path.resolve(CHECKOUT, file ?? "");
  await checkLocal(ctx, local, inputs.digest);
  const { size } = fs.statSync(local);
  if (size > freeBytes) {
    throw new UserError(
      `${where(host)}: ${storage} has ${mebibytes(freeBytes)} free, the image ${local} needs ${mebibytes(size)}`,
    );
  }
  await folder();
  let last = 0;
  await ctx.transport.upload(host, local, part, (sent, total) => {
    if (sent < total && Date.now() - last < PROGRESS_MS) return;
    last = Date.now();
    ctx.progress(`uploading image ${inputs.name}: ${mebibytes(sent)} of ${mebibytes(total)}`);
  });
}

/** A wrong digest is found before anything crosses the network. */
async function checkLocal(ctx: Context, local: string, digest: string): Promise<void> {
  if (!fs.existsSync(local))
    throw new UserError(`the image file ${local} is not there: \`file\` is relative to the checkout`);
  ctx.progress(`checking the digest of ${local}`);
  const hash = createHash("sha256");
  for await (const chunk of fs.createReadStream(local, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  const found = `sha256:${hash.digest("hex")}`;
  if (found === digest) return;
  throw new UserError(
    `the image file ${local} has digest ${found}, the stack file wants ${digest}: it was changed or is not complete`,
  );
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
