import { createHash } from "node:crypto";
import { parse } from "yaml";
import { z } from "zod";
import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { parseImportId } from "../core/import-id";
import { UserError } from "../core/kind";
import type { Context, Kind, Seen } from "../core/kind";
import { inspect } from "../domain/inspect";
import { readSeed, seedFile } from "../domain/seed";
import { where } from "../transport/errors";
import { ed25519KeyPair } from "./key-pair";

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
  async create() {
    const pair = await ed25519KeyPair();
    const publicKey = pair.public.split(" ", 2).join(" ");
    return { id: fingerprint(publicKey), outputs: { privateKey: pair.private, publicKey } };
  },
  read: (ctx, id, known) =>
    known ? Promise.resolve({ inputs: { keepers: known.keepers }, outputs: known }) : importHostKey(ctx, id),
  update: (_ctx, _id, olds) => Promise.resolve({ privateKey: olds.privateKey, publicKey: olds.publicKey }),
  delete: () => Promise.resolve(),
};

/** By "HOST:MACHINE": the key that the machine was given in its cloud-init seed. */
async function importHostKey(ctx: Context, id: string): Promise<Seen<HostKeyInputs, HostKeyOutputs> | undefined> {
  const { host, rest: machine } = parseImportId(ctx, id, "MACHINE");
  const seen = await inspect(ctx, host, machine);
  const path = seen && seedFile(seen.inactive.root);
  const seed = path === undefined ? undefined : await readSeed(ctx, host, path);
  const keys = z
    .object({ ssh_keys: z.object({ ed25519_private: z.string(), ed25519_public: z.string() }) })
    .safeParse(seed && parse(seed.userData, { version: "1.1" }));
  if (!keys.success)
    throw new UserError(
      `${where(host)}: the seed of machine ${machine} holds no ed25519 host key: leave it out, and a new one is made`,
    );
  const { ed25519_private: privateKey, ed25519_public: line } = keys.data.ssh_keys;
  const publicKey = line.split(" ", 2).join(" ");
  return { id: fingerprint(publicKey), inputs: {}, outputs: { privateKey, publicKey } };
}

/** As `ssh-keygen -l` prints it: "SHA256:…" of the key in a public key line. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}
