import { UserError } from "../core/kind";
import type { Context, Seen } from "../core/kind";
import type { VolumeInputs, VolumeOutputs } from "./schema";

/** Where a volume is, in a folder or in a thin pool, decides how it is made and looked at; the rest is the kind's. */
export interface Disks<V extends VolumeInputs> {
  create(ctx: Context, inputs: V): Promise<{ readonly id: string; readonly outputs: VolumeOutputs }>;
  read(ctx: Context, id: string, known: V & VolumeOutputs): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined>;
  update(ctx: Context, id: string, olds: VolumeInputs, news: V): Promise<VolumeOutputs>;
  delete(ctx: Context, id: string, state: V & VolumeOutputs): Promise<void>;
  /** By "HOST:/path". */
  import(ctx: Context, id: string): Promise<Seen<VolumeInputs, VolumeOutputs> | undefined>;
}

/** @param what "host: path is there from before". */
export function refuseSmaller({ onDestroy, capacityBytes }: VolumeInputs, what: string, bytes: number): void {
  if (onDestroy !== "keep" || bytes <= capacityBytes) return;
  const sizes = `with ${gibibytes(bytes)}, declared are ${gibibytes(capacityBytes)}`;
  throw new UserError(`${what} ${sizes}: a disk that holds data does not shrink; declare its size, or remove it`);
}

export function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
