/** Public SSH keys as text: type and base64, where the base64 names the type again and holds a key of that length. */

const HOST_KEY_TYPES = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
] as const;
const USER_KEY_TYPES = [...HOST_KEY_TYPES, "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"] as const;

/** "ssh-ed25519 AAAA… comment" → "ssh-ed25519 AAAA…". */
export function parseHostKey(text: string): string {
  const { type, blob } = split(text, HOST_KEY_TYPES);
  return `${type} ${blob}`;
}

/** One line of authorized_keys without options; its comment stays. */
export function parseAuthorizedKey(text: string): string {
  const { type, blob, comment } = split(text, USER_KEY_TYPES);
  return [type, blob, comment].filter((part) => part !== "").join(" ");
}

function split(text: string, types: readonly string[]): { type: string; blob: string; comment: string } {
  if (text.includes("PRIVATE KEY")) throw new Error("this is a private key: remove it, and give the .pub file's line");
  if (/^SHA256:/.test(text)) throw new Error("this is a key's fingerprint: give the key, as `ssh-keyscan` prints it");
  if (/[\r\n]/.test(text.trim())) throw new Error("a key is one line");
  const [type = "", blob = "", ...comment] = text.trim().split(/\s+/);
  if (!types.includes(type)) {
    if (types.includes(blob)) throw new Error(`leave out "${type}" before the key's type`);
    throw new Error(`a key begins with its type, one of ${types.join(", ")}`);
  }
  const bytes = Buffer.from(blob, "base64");
  if (blob === "" || bytes.toString("base64").replace(/=+$/, "") !== blob.replace(/=+$/, "")) {
    throw new Error("what follows the type is no base64: copy the whole line again");
  }
  const fields = readFields(bytes);
  if (fields === undefined) throw new Error("the key is cut off: copy the whole line again");
  const inside = fields[0]!.toString("latin1");
  if (inside !== type) {
    throw new Error(
      `the base64 holds ${types.includes(inside) ? `a key of type ${inside}` : "no such key"}: copy the line again`,
    );
  }
  if (type === "ssh-ed25519" && fields[1]?.length !== 32)
    throw new Error("the key is cut off: copy the whole line again");
  if (fields.length < 2) throw new Error("the key is cut off: copy the whole line again");
  return { type, blob, comment: comment.join(" ") };
}

/** SSH wire format: each field after its length in four bytes; undefined when the bytes end in the middle of one. */
function readFields(bytes: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) return undefined;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return undefined;
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields.length > 0 ? fields : undefined;
}
