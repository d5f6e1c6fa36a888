import { posix } from "node:path";
import type { Owner } from "../core/check";
import { importingOwner, parseImportId } from "../core/import-id";
import { UserError } from "../core/kind";
import type { Context } from "../core/kind";
import { where } from "../transport/errors";
import type { Endpoint } from "../transport/transport";
import { isOurs, ownerOf } from "./mark";
import { inspectFile } from "./storage";
import type { SeenFile } from "./storage";

export interface ImportedFile {
  readonly host: Endpoint;
  readonly owner: Owner;
  readonly path: string;
  /** Folder and file name. */
  readonly storage: string;
  readonly name: string;
  readonly seen: SeenFile;
}

/**
 * The disk or image that the import ID "HOST:/path" means; undefined: it is not there. One of another stack is refused; one without
 * a mark is read, with a warning, because nothing of ours will touch it.
 */
export async function importFile(ctx: Context, id: string): Promise<ImportedFile | undefined> {
  const { host, rest: path } = parseImportId(ctx, id, "/PATH/OF/THE/FILE");
  if (!/^(\/(?!\.\.?(\/|$))[A-Za-z0-9._@+-]+)+$/.test(path))
    throw new UserError(`the import ID ${JSON.stringify(id)} holds no absolute path`);
  const seen = await inspectFile(ctx, host, path);
  if (!seen.exists) return undefined;
  const own = importingOwner(ctx);
  const mark = seen.sidecar?.mark;
  if (mark && !isOurs(mark, own)) {
    throw new UserError(`${where(host)}: ${path} belongs to stack ${mark.project}/${mark.stack}: it is left there`);
  }
  if (!mark) {
    ctx.warn(
      `${where(host)}: ${path} has no mark of kvmesh: it is imported, but nothing changes or removes it until its machine is adopted (docs/import.md)`,
    );
  }
  const owner = mark ? ownerOf(mark) : own;
  return { host, owner, path, storage: posix.dirname(path), name: posix.basename(path), seen };
}
