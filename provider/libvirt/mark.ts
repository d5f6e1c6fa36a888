import { createHash } from "node:crypto";
import type { Owner } from "../core/check";

/** Who made something on a host: what has another mark, or none, is never changed or removed. */
export interface Mark {
  readonly project: string;
  readonly stack: string;
  readonly cluster: string;
  readonly environment: string;
  /** The resource that it belongs to; two resources of one stack never share a machine or a file. */
  readonly urn: string;
}

export function markOf(owner: Owner, urn: string): Mark {
  return {
    project: owner.project,
    stack: owner.stack,
    cluster: owner.cluster,
    environment: owner.environment,
    urn: printable(urn),
  };
}

/** Names of resources may hold anything; an attribute of XML comes back with spaces for line breaks, and may hold no control character. */
function printable(urn: string): string {
  return urn.replace(/\p{Surrogate}/gu, "?").replace(/[^\x20-\x7e]/gu, encodeURIComponent);
}

/** Whose mark it is, as resources' inputs say it. */
export function ownerOf({ project, stack, cluster, environment }: Mark): Owner {
  return { project, stack, cluster, environment: environment as Owner["environment"] };
}

/** A mark belongs to the stack, not to the URN: aliases rename resources without a word to the host. */
export function isOurs(mark: Mark | undefined, owner: Owner): boolean {
  return mark !== undefined && mark.project === owner.project && mark.stack === owner.stack;
}

/** Why something found on a host can't be taken; undefined: it is what an interrupted run of this very resource made. */
export function refusal(what: string, mark: Mark | undefined, wanted: Mark): string | undefined {
  if (!mark)
    return `${what} is there already and was not made by kvmesh; it is left untouched. Choose another name, or remove it yourself`;
  if (mark.project !== wanted.project || mark.stack !== wanted.stack) {
    return `${what} is there already and belongs to stack ${mark.project}/${mark.stack}; it is left untouched. Choose another name`;
  }
  if (mark.urn === wanted.urn) return undefined;
  return `${what} is there already as ${mark.urn} of this stack: if the resource was renamed in the program, give it an alias`;
}

export function sha256(text: string): string {
  return `sha256:${createHash("sha256").update(text, "utf8").digest("hex")}`;
}
