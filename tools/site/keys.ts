import * as fs from "node:fs";
import * as path from "node:path";
import { run } from "./run";

/** "ssh-ed25519 AAAA…" without its comment, from the text of a .pub file. */
export function withoutComment(publicKey: string): string {
  return publicKey.trim().split(/\s+/).slice(0, 2).join(" ");
}

/** Makes an ed25519 key pair (private part 0600) unless it is there; returns the public key without a comment. */
export async function ensureKey(file: string): Promise<string> {
  if (!fs.existsSync(`${file}.pub`)) {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    fs.rmSync(file, { force: true });
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file]);
  }
  return withoutComment(fs.readFileSync(`${file}.pub`, "utf8"));
}
