import { UserError } from "../core/kind";
import type { Context, Seen } from "../core/kind";
import { quote } from "../core/quote";
import type { Base } from "../libvirt/storage";
import type { VolumeInputs, VolumeOutputs } from "./schema";

/** Where a volume is, in a folder or in a thin pool, decides how it is made and looked at; the rest is the kind's. */
export interface Disks<V extends VolumeInputs> {
  create(ctx: Context, inputs: V): Promise<{ readonly id: string; readonly outputs: VolumeOutputs }>;
  read(ctx: Context, id: string, known: V & VolumeOutputs): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined>;
  update(ctx: Context, id: string, olds: VolumeInputs & VolumeOutputs, news: V): Promise<VolumeOutputs>;
  delete(ctx: Context, id: string, state: V & VolumeOutputs): Promise<void>;
  /** By "HOST:/path". */
  import(ctx: Context, id: string): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined>;
}

export function baseOf({ base, baseFormat }: VolumeInputs): Base | undefined {
  return base === undefined ? undefined : { path: base, format: baseFormat ?? "raw" };
}

/** A disk of this very resource that is there before it is made: left by a run that was cut short or a lost state, or kept. */
export interface Remains {
  /** "host: path". */
  readonly what: string;
  readonly bytes: number;
  readonly format: "qcow2" | "raw";
  readonly base?: Base | undefined;
  /** Command that removes it on its host. */
  readonly remove: string;
}

/** How it is another disk than the declared one, in words; undefined: it is what is declared, or smaller, and is had again. */
export function otherwise({ bytes, format, base }: Remains, inputs: VolumeInputs): string | undefined {
  const declared = baseOf(inputs);
  const image = (of: Base | undefined): string => (of ? `the image ${of.path} (${of.format})` : "no image");
  if (format !== inputs.format) return `as ${format}, declared is ${inputs.format}`;
  if (image(base) !== image(declared)) return `made from ${image(base)}, declared is ${image(declared)}`;
  return bytes > inputs.capacityBytes ? `with ${size(bytes)}, declared are ${size(inputs.capacityBytes)}` : undefined;
}

/**
 * Part of a script, with `f` the disk: ends it unless a disk that is another one than declared surely holds nothing of a machine's, so that
 * it may be made anew: no machine has it, and it reads as the image that it was made from.
 *
 * @throws UserError for a disk without an image: nothing tells what it holds.
 */
export function requireUntouched({ what, format, base, remove }: Remains, other: string): string {
  const found = `${what} is there from before ${other}`;
  const remedy = `It is left untouched: declare what it is, or, if nothing on it is needed, on the host: ${remove}`;
  if (base === undefined) throw new UserError(`${found}. ${remedy}`);
  return `found=${quote(found)}
remedy=${quote(remedy)}
machines=$(v list --all --uuid)
for u in $machines; do
  if { v domblklist "$u"; v domblklist --inactive "$u"; } | awk -v f="$f" '$2 == f { found = 1 } END { exit !found }'; then
    fail "$found, and it is a disk of the machine $(v domname "$u"). $remedy"
  fi
done
old=${quote(base.path)}
[ -e "$old" ] || fail "$found, and its image is gone, so that nobody can tell whether it was written to. $remedy"
code=0
said=$(qemu-img compare -f ${quote(format)} -F ${quote(base.format)} "$f" "$old" 2>&1) || code=$?
[ "$code" -ne 1 ] || fail "$found, and it was written to since. $remedy"
[ "$code" = 0 ] || fail "$found, and it can't be compared with its image ($said). $remedy"
`;
}

/** Exact, as the stack file takes it. */
export function size(bytes: number): string {
  if (bytes % 2 ** 30 === 0) return `${bytes / 2 ** 30}GiB`;
  return bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20}MiB` : `${bytes}B`;
}

export function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
