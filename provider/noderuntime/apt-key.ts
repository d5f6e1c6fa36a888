import { UserError } from "../core/kind";

/**
 * The keys of a repository's Release.key, once every one of them is pinned. What comes back is written from what was read here, so
 * that the machine's apt trusts nothing that was not looked at.
 *
 * @param text the armored file.
 * @param pinned fingerprints of primary keys, 40 or 64 hexadecimal digits in upper case.
 * @param from where the file comes from, for messages.
 */
export async function pinnedKeys(text: string, pinned: readonly string[], from: string): Promise<string> {
  const { readKeys } = await import("openpgp");
  const keys = await readKeys({ armoredKeys: text }).catch((error: unknown) => {
    throw new UserError(`${from} is no OpenPGP key (${(error as Error).message}); nothing was installed`);
  });
  const found = keys.map((key) => key.getFingerprint().toUpperCase());
  const strangers = found.filter((fingerprint) => !pinned.includes(fingerprint));
  if (found.length === 0 || strangers.length > 0) {
    throw new UserError(
      `${from} has the key ${strangers.join(", ") || "(none)"}, and pinned is ${pinned.join(", ")}; nothing was installed. ` +
        "If the repository is really signed with that key now, write its fingerprint into kubernetes.packages.keyFingerprints",
    );
  }
  return keys.map((key) => key.toPublic().armor()).join("\n");
}
