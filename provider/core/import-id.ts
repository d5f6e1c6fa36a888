import type { Endpoint } from "../transport/transport";
import type { Owner } from "./check";
import { UserError } from "./kind";
import type { Context } from "./kind";

/**
 * The host that an import ID begins with, and what stands behind the colon: "osl1-a:web-0" or "osl1-a:/var/lib/kvmesh/web-0.qcow2".
 * Hosts are named, not addressed, so that the pinned key of the stack file is used.
 *
 * @param rest what stands behind the colon, in words.
 */
export function parseImportId(ctx: Context, id: string, rest: string): { host: Endpoint; rest: string } {
  const { hosts } = ctx.importing;
  const [, name, what] = /^([^:/]+):(.+)$/s.exec(id) ?? [];
  if (name === undefined || what === undefined)
    throw new UserError(`the import ID ${JSON.stringify(id)} must be HOST:${rest}, HOST being a name in kvmesh:hosts`);
  const host = hosts.get(name);
  if (host) return { host, rest: what };
  throw new UserError(
    `the import ID ${JSON.stringify(id)} begins with the host ${name}; ` +
      (hosts.size === 0
        ? "the provider knows no hosts: import into a stack whose file has kvmesh:hosts, or give the provider `hosts`"
        : `the provider's hosts are ${[...hosts.keys()].sort().join(", ")}`),
  );
}

/** Whose an imported resource becomes where it carries no mark of this stack's. */
export function importingOwner(ctx: Context): Owner {
  // urn:pulumi:<stack>::<project>::<type>::<name>
  const [head = "", project = ""] = ctx.urn.split("::");
  const stack = head.split(":")[2] ?? "";
  return {
    project,
    stack,
    cluster: ctx.importing.cluster ?? stack,
    environment: ctx.importing.environment ?? "development",
  };
}
