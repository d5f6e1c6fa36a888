import { z } from "zod";
import { absolutePath, checkWith, endpoint, name, owner, text } from "../core/check";
import { changesOf, hostEffect } from "../core/diff";
import { PartialError, UserError } from "../core/kind";
import type { Change, CheckFailure, Context, Kind } from "../core/kind";
import { without } from "../core/values";
import { onHost } from "../libvirt/script";
import { where } from "../transport/errors";
import { CLAIMS, releaseScript, seenScript, takeScript, writeScript } from "./scripts";
import type { TakeOptions } from "./scripts";

const args = z.strictObject({
  host: endpoint,
  owner,
  machine: name,
  disk: name,
  device: text(
    /^\/dev\/disk\/by-[a-z]+\/(?!\.\.?$)[A-Za-z0-9._@+:-]+$/,
    "a stable name of the device, below /dev/disk/by-id or another /dev/disk/by-*",
  ),
  serial: z
    .string()
    .regex(/^[\w.:-]([\w .:-]{0,98}[\w.:-])?$/, "must be the serial number that `lsblk -o SERIAL` shows for the disk"),
  minBytes: z.int().min(1).optional(),
  base: absolutePath.optional(),
  baseFormat: z.enum(["qcow2", "raw"]).optional(),
});

export type BlockDeviceInputs = z.infer<typeof args>;

export interface BlockDeviceOutputs {
  readonly path: string;
  readonly sizeBytes: number;
  /** `claimed`; or, in words, what a refresh found instead. */
  readonly condition: string;
}

const CLAIMED = "claimed";
const UNWRITTEN = "the image was not written to its end";

/**
 * A block device of a host that is one machine's disk: claimed on the host when it is what was declared and nobody's, and given back as it
 * is. Nothing here ever wipes a device; only an image is written over one, once, when the claim is new.
 */
export const blockDeviceKind: Kind<BlockDeviceInputs, BlockDeviceOutputs> = {
  token: "kvmesh:index:BlockDevice",
  args,
  outputs: { path: "stable", sizeBytes: "stable", condition: "volatile" },
  // The machine that runs on the old one must be gone before, and the new one may be the same device under another name.
  deleteBeforeReplace: true,
  check: checkWith(args, ({ base, baseFormat }) => {
    const failures: CheckFailure[] = [];
    if (base !== undefined && baseFormat === undefined)
      failures.push({
        property: "baseFormat",
        reason: "must be given with base: guessing it lets a guest choose what its disk is",
      });
    return failures;
  }),
  diff: diffBlockDevice,

  async create(ctx, inputs) {
    const sizeBytes = await claim(ctx, inputs);
    return { id: `${inputs.machine}.${inputs.disk}`, outputs: { path: inputs.device, sizeBytes, condition: CLAIMED } };
  },

  async read(ctx, _id, known) {
    if (!known)
      throw new UserError("a block device is not imported: declare it, and `pulumi up` claims it on its host");
    const stdout = await onHost(ctx, known.host, `looking at ${known.device}`, seenScript(known), {
      timeoutMs: 60_000,
    });
    const found = new Map(stdout.split("\n").map((line) => [line.split("\t")[0], line.split("\t").slice(1)] as const));
    const [serial = "", size] = found.get("device") ?? [];
    const state = found.get("claim")?.[0];
    if (known.condition === UNWRITTEN && state !== "writing") return undefined;
    const { path, sizeBytes } = known;
    return {
      inputs: without(known, "path", "sizeBytes", "condition"),
      outputs: {
        path,
        sizeBytes: size === undefined ? sizeBytes : Number(size),
        condition: conditionOf(known.serial, size === undefined ? undefined : serial, state),
      },
    };
  },

  async update(ctx, _id, olds, news) {
    const sizeBytes = await claim(ctx, news, { before: olds, known: olds.condition !== UNWRITTEN });
    return { path: news.device, sizeBytes, condition: CLAIMED };
  },

  async delete(ctx, _id, state) {
    await onHost(ctx, state.host, `giving ${state.device} back`, releaseScript(state));
    ctx.warn(
      `${where(state.host)}: ${state.device} is given back with all that it holds: nothing was wiped. ` +
        `The same disk of the same machine may have it again; anybody else must wipe it first`,
    );
  },
};

function conditionOf(declared: string, serial: string | undefined, state: string | undefined): string {
  if (serial === undefined) return "the device is gone";
  if (serial !== declared) return `the device has the serial number ${serial === "" ? "(none)" : serial}`;
  if (state === "writing") return UNWRITTEN;
  return state === "claimed" || state === "ready" ? CLAIMED : "the claim on the host is gone";
}

/** Claims the device, and writes the image when that is to be done; its size in bytes. */
async function claim(ctx: Context, inputs: BlockDeviceInputs, options: TakeOptions = {}): Promise<number> {
  const doing = `claiming ${inputs.device} for ${inputs.machine}`;
  const [state, ...rest] = (await onHost(ctx, inputs.host, doing, takeScript(inputs, options))).trim().split("\t");
  if (state === "held") {
    const [project, stack, machine, disk, since] = rest;
    throw new UserError(
      `${where(inputs.host)}: ${doing}: held already by ${project}/${stack}/${machine} as its disk ${disk} since ${since}. ` +
        `Give the machine another device; a claim ends when its stack releases it (if that stack is gone for good, remove the device's file in ${CLAIMS} on the host)`,
    );
  }
  const [again, size] = rest;
  if (state !== "writing") {
    if (again === "again")
      ctx.warn(`${where(inputs.host)}: ${inputs.device} was ${inputs.machine}'s before: what it holds is used again`);
    return Number(size);
  }
  ctx.progress(`writing the image to ${inputs.device}`);
  try {
    await onHost(ctx, inputs.host, `writing the image to ${inputs.device}`, writeScript(inputs), {
      timeoutMs: 1_800_000,
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const outputs: BlockDeviceOutputs = { path: inputs.device, sizeBytes: Number(size), condition: UNWRITTEN };
    throw new PartialError(error.message, `${inputs.machine}.${inputs.disk}`, { ...outputs });
  }
  return Number(size);
}

function diffBlockDevice(olds: BlockDeviceInputs & BlockDeviceOutputs, news: BlockDeviceInputs): Change[] {
  const other = {
    effect: "replace",
    reason: "another device: what the old one holds stays there and is not copied",
  } as const;
  const renamed = { effect: "replace", reason: "the claim is for another disk" } as const;
  const changes = changesOf<BlockDeviceInputs>(olds, news, {
    host: hostEffect(olds, news),
    owner: "live",
    machine: renamed,
    disk: renamed,
    device: olds.serial === news.serial ? { effect: "replace", reason: "the same disk by another name" } : other,
    serial: other,
    minBytes: "live",
    base: { effect: "replace", reason: "the device is written anew from the image" },
    baseFormat: "replace",
  });
  if (olds.condition === CLAIMED) return changes;
  return [...changes, { property: "condition", effect: "live", reason: `${olds.condition}: it is claimed again` }];
}
