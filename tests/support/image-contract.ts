/** Images that are not what they should be, on a host that is simulated or real: a part of the contract (contract.ts). */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { imageKind } from "../../provider/image/image";
import { volumeKind } from "../../provider/volume/volume";
import { testContext } from "./context";
import { failure } from "./failure";
import type { Ground } from "./storage-contract";

const owner = { project: "contract", stack: "test", cluster: "test", environment: "development" } as const;
const storage = "/var/lib/kvmesh-contract-image";

export function imageContract(ground: () => Ground): void {
  describe("an image that is not what it should be", () => {
    let folder: string;
    let file: string;
    let digest: string;
    before(() => {
      folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-images-"));
      file = path.join(folder, "base.raw");
      fs.writeFileSync(file, Buffer.alloc(1024 * 1024, "image"));
      digest = `sha256:${createHash("sha256").update(fs.readFileSync(file)).digest("hex")}`;
    });
    after(() => fs.rmSync(folder, { recursive: true, force: true }));

    const create = (change: object): Promise<unknown> => {
      const inputs = {
        host: ground().endpoint,
        owner,
        name: "base.raw",
        storage,
        file,
        digest,
        format: "raw",
        ...change,
      };
      return imageKind.create(testContext(ground().transport, "image"), imageKind.check(inputs).inputs);
    };
    const left = (): Promise<string> =>
      ground().shell(`ls -A ${storage} 2>/dev/null; ls -d ${storage} 2>/dev/null || true`);

    it("by its digest is refused before anything crosses to the host", async () => {
      const error = await failure(create({ digest: `sha256:${"0".repeat(64)}` }));
      expect(error.message).to.contain(`has digest ${digest}, the stack file wants sha256:0000`);
      expect(error.message).to.contain("it was changed or is not complete");
      expect(await left()).to.equal("");
    });

    it("because it was cut short is refused the same", async () => {
      const short = path.join(folder, "short.raw");
      fs.writeFileSync(short, fs.readFileSync(file).subarray(0, 500_000));
      expect((await failure(create({ file: short }))).message).to.contain("it was changed or is not complete");
      expect(await left()).to.equal("");
    });

    it("by its format is refused on the host, and nothing of it stays", async () => {
      const error = await failure(create({ format: "qcow2", name: "base.qcow2" }));
      expect(error.message).to.contain("the image is raw, the stack file says qcow2");
      expect(await left()).to.equal("");
    });
  });

  it("a pool that was switched off, or undefined, is had again by the next disk", async () => {
    const { endpoint, transport, shell } = ground();
    const inputs = { host: endpoint, owner, storage, capacityBytes: 1024 * 1024, format: "qcow2" };
    const pool = `virsh -q pool-info ${path.posix.basename(storage)} | sed -n 's/^State: *//p'`;
    const off = [
      `virsh -q pool-destroy ${path.posix.basename(storage)}`,
      `virsh -q pool-undefine ${path.posix.basename(storage)}`,
    ];
    const made: [string, ReturnType<typeof volumeKind.check>["inputs"]][] = [];
    for (const [i, before] of [[], off.slice(0, 1), off].entries()) {
      if (before.length > 0) await shell(`{ ${before.join("; ")}; } >/dev/null`);
      const volume = volumeKind.check({ ...inputs, name: `disk-${i}.qcow2` }).inputs;
      made.push([(await volumeKind.create(testContext(transport, `disk-${i}`), volume)).id, volume]);
      expect(await shell(pool)).to.equal("running");
    }
    for (const [id, volume] of made) await volumeKind.delete(testContext(transport), id, { ...volume, path: id });
    expect(await shell(`ls -d ${storage} 2>/dev/null || true`)).to.equal("");
  });
}
