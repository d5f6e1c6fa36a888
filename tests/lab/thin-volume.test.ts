import { SshTransport } from "../../provider/transport/ssh";
import { groundOn } from "../support/storage-contract";
import { thinContract } from "../support/thin-contract";
import { startThinGuest, type ThinGuest } from "../support/thin-guest";

if (process.platform === "linux" && process.getuid?.() === 0) {
  describe("a real thin pool keeps the contract", () => {
    let guest: ThinGuest;
    let transport: SshTransport;
    before(async () => {
      guest = await startThinGuest((line) => void process.stdout.write(`    ${line}\n`));
      transport = new SshTransport({ identityFile: guest.identityFile, connectTimeoutSeconds: 10, attempts: 2 });
      await guest.ready(transport);
    });
    after(async () => {
      transport.close();
      await guest.stop();
    });

    thinContract(() => groundOn(guest.endpoint, transport));
  });
} else {
  describe("a real thin pool keeps the contract", () => {
    it.skip("needs root on Linux for an emulated machine");
  });
}
