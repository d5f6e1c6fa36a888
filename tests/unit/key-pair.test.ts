import { expect } from "chai";
import * as ssh2 from "ssh2";
import { ed25519KeyPair } from "../../provider/hostkey/key-pair";

describe("a host key pair", () => {
  it("is well-formed every time: one of 256 would not be", async () => {
    for (let i = 0; i < 1500; i++) {
      const pair = await ed25519KeyPair();
      expect(ssh2.utils.parseKey(pair.private)).not.to.be.instanceOf(Error);
      // Two lengths of four bytes, the type's eleven letters and the key's 32 bytes.
      expect(Buffer.from(pair.public.split(" ")[1]!, "base64")).to.have.length(51);
    }
  });
});
