export interface KeyPair {
  /** OpenSSH private key, PEM. */
  readonly private: string;
  /** "ssh-ed25519 AAAA…". */
  readonly public: string;
}

/**
 * A new ed25519 key pair. ssh2 drops leading zero bytes of the public key (lib/keygen.js of 1.17.0), so that one pair of 256 is a
 * malformed one, with which no sshd starts: such a pair is thrown away.
 */
export async function ed25519KeyPair(): Promise<KeyPair> {
  // Loaded when it is used: a preview makes no keys.
  const { default: ssh2 } = await import("ssh2");
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync("ed25519");
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}
