import * as fs from "node:fs";
import * as ssh2 from "ssh2";
import { UserError } from "../core/kind";
import { messageOf } from "./errors";

/** What ssh2 needs to log in: a private key, or the address of an agent. */
export function credentials(identityFile: string | undefined): { privateKey?: Buffer; agent?: string } {
  if (identityFile === undefined) {
    const agent = process.env["SSH_AUTH_SOCK"];
    if (agent) return { agent };
    throw new UserError(
      "no way to log in: set ssh.identityFile in the stack file (provider setting identityFile), or start an SSH agent (SSH_AUTH_SOCK is empty)",
    );
  }
  let privateKey: Buffer;
  try {
    privateKey = fs.readFileSync(identityFile);
  } catch (error) {
    throw new UserError(`the private key ${identityFile} can't be read: ${messageOf(error)}`);
  }
  const parsed = ssh2.utils.parseKey(privateKey);
  if (!(parsed instanceof Error)) return { privateKey };
  const encrypted = /encrypted|passphrase/i.test(parsed.message);
  throw new UserError(
    encrypted
      ? `the private key ${identityFile} has a passphrase: add it to the SSH agent and leave identityFile out`
      : `${identityFile} is no private key that can be used: ${parsed.message}`,
  );
}
