import { posix } from "node:path";
import { importingOwner, parseImportId } from "../core/import-id";
import { UserError } from "../core/kind";
import type { Context, Seen } from "../core/kind";
import { isObject } from "../core/values";
import { isOurs, ownerOf } from "../libvirt/mark";
import { where } from "../transport/errors";
import type { Endpoint } from "../transport/transport";
import { unmodelled } from "./drift";
import { inspect } from "./inspect";
import type { SeenDomain } from "./inspect";
import { readSeed, seedFile } from "./seed";
import { domainArgs } from "./schema";
import type { DomainInputs, DomainOutputs } from "./schema";
import { inputsOf } from "./unmodelled";
import type { Owner } from "../core/check";

/** A machine as arguments of ours, with what they can't hold. */
export interface ReadMachine {
  readonly inputs: DomainInputs;
  /** What our arguments can't hold, and what they would add: paths in its XML. */
  readonly unmodelled: readonly string[];
}

/** `pulumi import` of a machine by "HOST:NAME" or "HOST:UUID". Reads only; a machine without our mark is read, but `up` does not touch it. */
export async function importDomain(ctx: Context, id: string): Promise<Seen<DomainInputs, DomainOutputs> | undefined> {
  const { host, rest } = parseImportId(ctx, id, "MACHINE (its name or UUID)");
  const seen = await inspect(ctx, host, rest);
  if (!seen) return undefined;
  const { name, mark } = seen.inactive;
  const owner = importingOwner(ctx);
  if (mark && !isOurs(mark, owner)) {
    throw new UserError(
      `${where(host)}: machine ${name} belongs to stack ${mark.project}/${mark.stack}: it is left there`,
    );
  }
  if (!mark) {
    ctx.warn(
      `machine ${name} has no mark of kvmesh: it is imported, but nothing changes or removes it until it is adopted (docs/import.md)`,
    );
  }
  const read = await readMachine(ctx, host, mark ? ownerOf(mark) : owner, seen);
  if (read.unmodelled.length > 0) ctx.warn(unmodelledText(name, read.unmodelled));
  return {
    id: seen.uuid,
    inputs: read.inputs,
    outputs: { uuid: seen.uuid, running: seen.running, unmodelled: read.unmodelled },
    // A seed holds a machine's private host key.
    secretInputs: ["cloudInit"],
  };
}

export function unmodelledText(name: string, paths: readonly string[]): string {
  return `machine ${name}: unmodelled: ${paths.join(", ")}; kvmesh would drop them (or add what it is without) on the next change`;
}

/** The arguments that come nearest to a machine, whoever made it. */
export async function readMachine(ctx: Context, host: Endpoint, owner: Owner, seen: SeenDomain): Promise<ReadMachine> {
  const seed = seedFile(seen.inactive.root);
  const cloudInit = seed === undefined ? undefined : await readSeed(ctx, host, seed);
  const disk = seen.inactive.disks.find(({ path }) => path.startsWith("/"));
  const storage = posix.dirname(seed ?? disk?.path ?? "/var/lib/kvmesh/-");
  const surroundings = {
    ...{ host, owner, storage, autostart: seen.autostart },
    ...(cloudInit === undefined ? {} : { cloudInit }),
  };
  const inputs = nearest(inputsOf(seen.inactive, surroundings), where(host));
  return { inputs, unmodelled: unmodelled(inputs, seen) };
}

/** Values that no argument takes are left out, for the default; what can't be left out goes with the thing that it belongs to. */
function nearest(raw: DomainInputs, at: string): DomainInputs {
  const inputs = structuredClone(raw) as unknown as Record<string, unknown>;
  for (let round = 0; round < 4; round++) {
    const result = domainArgs.safeParse(inputs);
    if (result.success) return result.data;
    for (const { path, message } of result.error.issues) {
      if (!leaveOut(inputs, path))
        throw new UserError(`${at}: machine ${raw.name} can't be imported: ${path.join(".")} ${message}`);
    }
    for (const list of [inputs["disks"], inputs["interfaces"]] as unknown[][])
      list.splice(0, list.length, ...list.filter((item) => item !== undefined));
  }
  throw new UserError(`${at}: machine ${raw.name} can't be imported: it is too different from what kvmesh makes`);
}

/** False: the path is of a required argument. The second time, the list's item itself goes. */
function leaveOut(inputs: Record<string, unknown>, path: readonly PropertyKey[]): boolean {
  const [first, index, field] = path;
  const list = inputs[String(first)];
  if (Array.isArray(list) && typeof index === "number" && (first === "disks" || first === "interfaces")) {
    const item = list[index] as unknown;
    if (isObject(item) && field !== undefined && String(field) in item) Reflect.deleteProperty(item, field);
    else list[index] = undefined;
    return true;
  }
  if (
    path.length !== 1 ||
    !["ioThreads", "firmware", "maxMemoryBytes", "hugepageBytes", "numaNode"].includes(String(first))
  )
    return false;
  return Reflect.deleteProperty(inputs, first!);
}
