import { UnreachableError, UserError } from "../core/kind";
import type { Endpoint } from "./transport";

/** The connection broke while a command ran: whether it finished is not known. */
export class DroppedError extends UnreachableError {}

/** The server refused every credential. Final for a command; waited out while a machine boots and its keys are being written. */
export class LoginError extends UserError {}

/** "root@203.0.113.5:22 (through ops@bastion:22)". */
export function where(at: Endpoint): string {
  const own = `${at.user}@${at.address}:${at.port}`;
  return at.bastion ? `${own} (through ${at.bastion.user}@${at.bastion.address}:${at.bastion.port})` : own;
}

/** What to say of anything that was thrown: never a stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
