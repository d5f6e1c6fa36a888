import { createHash } from "node:crypto";
import type { ServerHostKeyAlgorithm } from "ssh2";
import { UserError } from "../core/kind";
import type { Endpoint } from "./transport";
import { where } from "./errors";

const ALGORITHMS: readonly ServerHostKeyAlgorithm[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
];

/** Every algorithm, the pinned key's own first: a server that has that key shows it, and any other key is seen and named. */
export function hostKeyAlgorithms(pinned: string): ServerHostKeyAlgorithm[] {
  const type = pinned.split(" ")[0] ?? "";
  const own = ALGORITHMS.filter((name) => (type === "ssh-rsa" ? name.startsWith("rsa-") : name === type));
  return [...own, ...ALGORITHMS.filter((name) => !own.includes(name))];
}

export function isPinned(key: Buffer, pinned: string): boolean {
  return key.equals(Buffer.from(pinned.split(" ")[1] ?? "", "base64"));
}

export function hostKeyError(at: Endpoint, found: Buffer): UserError {
  const pinned = Buffer.from(at.hostKey.split(" ")[1] ?? "", "base64");
  return new UserError(
    `${where(at)} shows another host key than the pinned one, so nothing was sent to it. ` +
      `Found ${typeOf(found)} ${sha256(found)}, pinned ${at.hostKey.split(" ")[0]} ${sha256(pinned)}. ` +
      `Either the machine was installed anew, or someone is in between: run \`ssh-keygen -lf ${keyFile(typeOf(found))}\` on its console, ` +
      "and change hostKey in the stack file only when that shows the fingerprint found here.",
  );
}

/** Where OpenSSH keeps the server's key of this type. */
function keyFile(type: string): string {
  const kind = type.startsWith("ecdsa") ? "ecdsa" : type === "ssh-rsa" ? "rsa" : "ed25519";
  return `/etc/ssh/ssh_host_${kind}_key.pub`;
}

/** As `ssh-keygen -l` prints it. */
export function sha256(blob: Buffer): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** A public key blob starts with its type: 4 bytes of length, then the name. */
function typeOf(blob: Buffer): string {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  return length > 0 && length < 64 ? blob.toString("ascii", 4, 4 + length) : "key";
}
