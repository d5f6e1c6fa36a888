/** What a host must do with disks, simulated or real: a part of the contract (contract.ts). */
import { expect } from "chai";
import { domainKind } from "../../provider/domain/domain";
import type { SshTransport } from "../../provider/transport/ssh";
import type { Endpoint } from "../../provider/transport/transport";
import { volumeKind } from "../../provider/volume/volume";
import type { VolumeInputs } from "../../provider/volume/schema";
import { testContext } from "./context";
import { floatingMachine, MIB, owner } from "./contract-machine";
import { failure } from "./failure";

/** The host under test, once it runs. */
export interface Ground {
  readonly endpoint: Endpoint;
  readonly transport: SshTransport;
  /** Runs a script on it that must succeed; its output. */
  readonly shell: (script: string) => Promise<string>;
}

export function groundOn(endpoint: Endpoint, transport: SshTransport): Ground {
  return {
    endpoint,
    transport,
    async shell(script) {
      const result = await transport.script(endpoint, script);
      expect(result.code, result.stderr).to.equal(0);
      return result.stdout.trim();
    },
  };
}

const storage = "/var/lib/kvmesh-contract-data";

export function storageContract(ground: () => Ground): void {
  describe("disks of data", () => {
    const volume = (change: Partial<VolumeInputs> = {}): VolumeInputs =>
      volumeKind.check({
        host: ground().endpoint,
        owner,
        name: "contract-1.etcd.raw",
        storage,
        capacityBytes: 16 * MIB,
        format: "raw",
        onDestroy: "keep",
        ...change,
      }).inputs;
    const context = (name = "contract-1.etcd") => testContext(ground().transport, name);
    const path = `${storage}/contract-1.etcd.raw`;
    /** Inode and content: the same file, with what was written to it. */
    const identity = (): Promise<string> => ground().shell(`stat -c %i ${path}; head -c 9 ${path}`);
    let written: string;

    it("take their space at once when they are raw", async () => {
      const { id, outputs } = await volumeKind.create(context(), volume());
      expect(id).to.equal(path);
      expect(await volumeKind.read(context(), id, { ...volume(), ...outputs })).to.deep.equal({
        inputs: volume(),
        outputs: { path },
      });
      const [size, blocks] = (await ground().shell(`stat -c '%s %b' ${path}`)).split(" ").map(Number);
      expect({ size, taken: (blocks ?? 0) * 512 >= 16 * MIB }).to.deep.equal({ size: 16 * MIB, taken: true });
      await ground().shell(`printf 'word-4711' | dd of=${path} conv=notrunc status=none`);
      written = await identity();
      expect(written.endsWith("\nword-4711")).to.equal(true);
    });

    it("do not count as gone where their folder's file system is not mounted, and do when only they are away", async () => {
      const known = { ...volume(), path };
      await ground().shell(`mv ${storage} ${storage}.away; mkdir ${storage}`);
      const unmounted = await failure(volumeKind.read(context(), path, known));
      await ground().shell(`rmdir ${storage}`);
      const missing = await failure(volumeKind.read(context(), path, known));
      await ground().shell(`mv ${storage}.away ${storage}`);
      for (const { message } of [unmounted, missing])
        expect(message).to.contain("is the folder's file system mounted? It does not count as gone");
      await ground().shell(`mv ${path} ${path}.away`);
      expect(await volumeKind.read(context(), path, known)).to.equal(undefined);
      await ground().shell(`mv ${path}.away ${path}`);
      expect(await identity()).to.equal(written);
    });

    it("are the same file, with what it holds, in a machine that replaces another", async () => {
      const system = volume({ name: "contract-1.qcow2", format: "qcow2", onDestroy: "remove" });
      const machine = floatingMachine(
        ground().endpoint,
        {
          name: "contract-1",
          storage,
          disks: [
            { type: "file", path: `${storage}/contract-1.qcow2`, format: "qcow2", target: "vda" },
            { type: "file", path, format: "raw", target: "vdb", serial: "etcd" },
          ],
        },
        { cloudInit: { userData: "#cloud-config\n", metaData: "", networkConfig: "version: 2\n" } },
      );
      for (let generation = 0; generation < 2; generation++) {
        const disk = await volumeKind.create(context("contract-1"), system);
        const { id, outputs } = await domainKind.create(context("machine"), machine);
        expect((await domainKind.read(context("machine"), id, { ...machine, ...outputs }))?.inputs).to.deep.equal(
          machine,
        );
        await domainKind.delete(context("machine"), id, { ...machine, ...outputs });
        await volumeKind.delete(context("contract-1"), disk.id, { ...system, ...disk.outputs });
        expect(await identity()).to.equal(written);
      }
    });

    it("stay when they are destroyed, with their mark and a word about it, and are had again", async () => {
      const destroyed = context();
      await volumeKind.delete(destroyed, path, { ...volume(), path });
      expect(destroyed.warnings.join()).to.contain(`disk ${path} is kept with all that it holds`);
      expect(destroyed.warnings.join()).to.contain(`rm ${path} ${path}.kvmesh.json`);
      expect(await identity()).to.equal(written);

      const again = context();
      expect((await volumeKind.create(again, volume())).id).to.equal(path);
      expect(again.warnings.join()).to.contain("was kept: what it holds is used again");
      expect(await identity()).to.equal(written);
    });

    it("do not shrink and do not become another disk, before or after a destroy", async () => {
      /** What the preview says. */
      const plan = (change: Partial<VolumeInputs>): string | undefined => {
        try {
          volumeKind.diff({ ...volume(), path }, volume(change));
          return volumeKind.refuses?.({ ...volume(), path }, volume(change));
        } catch (error) {
          return String(error);
        }
      };
      const refusals = [
        [
          { capacityBytes: 8 * MIB },
          "has 16MiB, declared are 8MiB: a disk that may hold data does not shrink",
          "with 16MiB, declared are 8MiB",
        ],
        [{ format: "qcow2" }, 'format changes from "raw" to "qcow2"', "as raw, declared is qcow2"],
        [
          { base: "/image", baseFormat: "raw", onDestroy: "remove" },
          "base changes from none",
          "made from no image, declared is the image /image (raw)",
        ],
      ] as const;
      for (const [change, planned, found] of refusals) {
        expect(plan(change)).to.contain(planned);
        const { message } = await failure(volumeKind.create(context(), volume(change)));
        expect(message).to.contain(`${path} is there from before ${found}. It is left untouched`);
        expect(message).to.contain(`rm ${path} ${path}.kvmesh.json`);
      }
      expect(await identity()).to.equal(written);
    });

    it("are what they were made as, whatever a guest writes into them", async () => {
      const forged = volume({ name: "forged.raw", onDestroy: "remove" });
      const { id, outputs } = await volumeKind.create(context("forged"), forged);
      await ground().shell(`qemu-img create -q -f qcow2 ${storage}/header.qcow2 ${2 ** 40}
cat ${storage}/header.qcow2 | dd of=${id} conv=notrunc status=none; rm ${storage}/header.qcow2`);
      const seen = context("forged");
      expect((await volumeKind.read(seen, id, { ...forged, ...outputs }))?.inputs).to.deep.equal(forged);
      expect(seen.warnings).to.deep.equal([]);
      expect((await volumeKind.create(context("forged"), forged)).id).to.equal(id);
      await volumeKind.delete(context("forged"), id, { ...forged, ...outputs });
    });

    it("grow in place, and change their owner's name without being touched", async () => {
      const staging = volume({ capacityBytes: 32 * MIB, owner: { ...owner, environment: "staging" } });
      expect(volumeKind.diff({ ...volume(), path }, staging)).to.deep.equal([
        { property: "owner.environment", effect: "live" },
        { property: "capacityBytes", effect: "live" },
      ]);
      await volumeKind.update(context(), path, { ...volume(), path }, staging);
      expect((await volumeKind.read(context(), path, { ...staging, path }))?.inputs).to.deep.equal(staging);
      expect(await identity()).to.equal(written);
      expect(await ground().shell(`cat ${path}.kvmesh.json`)).to.contain('"environment":"staging"');
    });

    it("of somebody else under the same name are refused and left as they are", async () => {
      const { shell } = ground();
      const foreign = volume({ name: "foreign.raw" });
      const before = await shell(
        `cd ${storage}; printf theirs >foreign.raw; stat -c '%i %Y' foreign.raw; cat foreign.raw`,
      );
      const seen = (): Promise<string> => shell(`cd ${storage}; stat -c '%i %Y' foreign.raw; cat foreign.raw`);
      expect((await failure(volumeKind.create(context(), foreign))).message).to.contain(
        "was not made by kvmesh; it is left untouched",
      );
      expect(await seen()).to.equal(before);
      // Imported and not adopted: it stays in the state.
      const known = { ...foreign, path: `${storage}/foreign.raw` };
      const unmarked = context();
      expect((await volumeKind.read(unmarked, known.path, known))?.outputs).to.deep.equal({ path: known.path });
      expect(unmarked.warnings.join()).to.contain("foreign.raw has no mark of kvmesh: adopt its machine");
      const mark = JSON.stringify({ schema: 1, mark: { ...owner, stack: "other", urn: context().urn } });
      await shell(`printf %s '${mark}' >${storage}/foreign.raw.kvmesh.json`);
      expect((await failure(volumeKind.create(context(), foreign))).message).to.contain(
        "belongs to stack contract/other",
      );
      const others = context();
      expect(await volumeKind.read(others, known.path, known)).to.equal(undefined);
      expect(others.warnings.join()).to.contain("foreign.raw belongs to stack contract/other now");
      const deleted = context();
      await volumeKind.delete(deleted, `${storage}/foreign.raw`, {
        ...foreign,
        onDestroy: "remove",
        path: `${storage}/foreign.raw`,
      });
      expect(deleted.warnings.join()).to.contain("is not ours any more; it is left untouched");
      expect(await seen()).to.equal(before);
      await shell(`rm ${storage}/foreign.raw*`);
    });

    it("that have no room are refused before anything is made; a thin one is warned of", async () => {
      const huge = { name: "huge.raw", capacityBytes: 2 ** 49 } as const;
      const before = await ground().shell(`ls -A ${storage}`);
      const error = await failure(volumeKind.create(context("huge"), volume(huge)));
      expect(error.message).to.match(
        /\/var\/lib\/kvmesh-contract-data has [\d.]+ GiB free, disk huge.raw needs 524288.0 GiB: free some space/,
      );
      expect(await ground().shell(`ls -A ${storage}`)).to.equal(before);
      const thin = context("huge");
      const { id } = await volumeKind.create(thin, volume({ ...huge, format: "qcow2" }));
      expect(thin.warnings.join()).to.contain("it is thin, and writes will fail when the folder is full");
      await volumeKind.delete(thin, id, { ...volume({ ...huge, format: "qcow2", onDestroy: "remove" }), path: id });
      expect(await ground().shell(`ls -A ${storage}`)).to.equal(before);
    });

    it("go for good when they are told to", async () => {
      await volumeKind.delete(context(), path, { ...volume({ onDestroy: "remove" }), path });
      expect(await ground().shell(`ls -d ${storage} 2>/dev/null || true`)).to.equal("");
    });
  });
}
