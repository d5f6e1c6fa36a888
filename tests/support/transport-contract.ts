/** How scripts and files get to a host, simulated or real: a part of the contract (contract.ts). */
import { expect } from "chai";
import { SshTransport } from "../../provider/transport/ssh";
import { MIB, sha256, storage } from "./contract-machine";
import { failure } from "./failure";
import type { Ground } from "./storage-contract";

/** The host under test, and how its connection is broken. */
export interface TransportGround extends Ground {
  /** Shell text that ends the SSH connection in which it runs, the first time that it runs. */
  readonly dropOnce: () => string;
  readonly identityFile: string;
  /** A file of this computer: data, a hole of 3 MiB, data. */
  readonly image: string;
}

export function transportContract(ground: () => TransportGround): void {
  it("runs scripts with their input, output and exit code, and nothing of them in the list of processes", async () => {
    const { endpoint, transport } = ground();
    const script = `cat; printf '%s' "$(ps -ww -eo args 2>/dev/null | grep -c [n]ever-in-arguments || true)" >&2; exit 7 # never-in-arguments`;
    const result = await transport.script(endpoint, script, { stdin: "a 'quoted' $line\n" });
    expect(result).to.deep.equal({ code: 7, stdout: "a 'quoted' $line\n", stderr: "0" });
  });

  it("goes on after the connection was ended in the middle of a script, and says that it tries again", async () => {
    const { endpoint, dropOnce, transport } = ground();
    const said: string[] = [];
    const progress = (message: string): void => void said.push(message);
    const script = `${dropOnce()}\necho done`;
    const result = await transport.script(endpoint, script, { idempotent: true, progress });
    expect(result).to.deep.include({ code: 0, stdout: "done\n" });
    expect(said.join()).to.match(/connection broke while a command ran; attempt 2 of 2 in 1 s/);
  });

  it("runs many scripts side by side over one connection, and no session is refused", async () => {
    const { endpoint, identityFile } = ground();
    const once = new SshTransport({ identityFile, connectTimeoutSeconds: 10, attempts: 1 });
    try {
      const all = Array.from({ length: 60 }, (_, i) => once.script(endpoint, `echo ${i}`));
      expect((await Promise.all(all)).map(({ stdout }) => Number(stdout))).to.deep.equal(all.map((_, i) => i));
    } finally {
      once.close();
    }
  });

  it("ends a command that takes too long, with all its children", async () => {
    const { endpoint, transport, shell } = ground();
    const error = await failure(transport.script(endpoint, "sleep 321.5 & wait", { timeoutMs: 1000 }));
    expect(error.message).to.contain("not done after 1 s");
    expect(await shell("ps -eo args | grep -c '[s]leep 321.5' || true")).to.equal("0");
  });

  it("writes files with their mode, and keeps holes in uploads", async () => {
    const { endpoint, transport, shell, image } = ground();
    await shell(`mkdir -p ${storage}`);
    await transport.writeFile(endpoint, `${storage}/note`, "words\n", 0o640);
    expect(await shell(`cat ${storage}/note; stat -c %a ${storage}/note`)).to.equal("words\n640");
    await transport.upload(endpoint, image, `${storage}/upload`);
    expect(await shell(`sha256sum ${storage}/upload | cut -d' ' -f1`)).to.equal(sha256(image));
    const [size, blocks] = (await shell(`stat -c '%s %b' ${storage}/upload`)).split(" ").map(Number);
    expect(size).to.equal(4 * MIB + 4096);
    expect((blocks ?? 0) * 512).to.be.below(3 * MIB);
    await shell(`rm ${storage}/note ${storage}/upload; rmdir ${storage}`);
  });
}
