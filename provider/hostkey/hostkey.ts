import { createHash } from "node:crypto";
import * as ssh2 from "ssh2";
import { z } from "zod";
import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import type { Kind } from "../core/kind";

const args = z.strictObject({ keepers: z.record(z.string(), z.string()).optional() });

type HostKeyInputs = z.infer<typeof args>;

export interface HostKeyOutputs {
  /** OpenSSH private key, PEM. */
  readonly privateKey: string;
  /** "ssh-ed25519 AAAA…", without a comment. */
  readonly publicKey: string;
}

/** An ed25519 host key pair, made here: no host is involved, so there is nothing to read or to remove. */
export const hostKeyKind: Kind<HostKeyInputs, HostKeyOutputs> = {
  token: "kvmesh:index:HostKey",
  args,
  secretOutputs: ["privateKey"],
  outputs: { privateKey: "stable", publicKey: "stable" },
  check: checkWith(args),
  diff: (olds, news) => changesOf<HostKeyInputs>(olds, news, { keepers: "replace" }),
  create() {
    const pair = ssh2.utils.generateKeyPairSync("ed25519");
    const publicKey = pair.public.split(" ", 2).join(" ");
    return Promise.resolve({ id: fingerprint(publicKey), outputs: { privateKey: pair.private, publicKey } });
  },
  read: (_ctx, _id, known) => Promise.resolve(known && { inputs: { keepers: known.keepers }, outputs: known }),
  update: (_ctx, _id, olds) => Promise.resolve({ privateKey: olds.privateKey, publicKey: olds.publicKey }),
  delete: () => Promise.resolve(),
};

/** As `ssh-keygen -l` prints it: "SHA256:…" of the key in a public key line. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}
