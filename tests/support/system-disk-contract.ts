/** What a host must do with disks that are made from an image, simulated or real: a part of the contract (contract.ts). */
import { expect } from "chai";
import { domainKind } from "../../provider/domain/domain";
import type { VolumeInputs } from "../../provider/volume/schema";
import { volumeKind } from "../../provider/volume/volume";
import { testContext } from "./context";
import { floatingMachine, MIB, owner } from "./contract-machine";
import { failure } from "./failure";
import type { Ground } from "./storage-contract";

const storage = "/var/lib/kvmesh-contract-system";

export function systemDiskContract(ground: () => Ground): void {
  describe("system disks", () => {
    const images = "/var/lib/kvmesh-contract-images";
    const system = (format: "qcow2" | "raw", change: Partial<VolumeInputs> = {}): VolumeInputs =>
      volumeKind.check({
        ...{ host: ground().endpoint, owner, name: `contract-2.${format}`, storage, capacityBytes: 16 * MIB, format },
        ...{ base: `${images}/old.raw`, baseFormat: "raw" },
        ...change,
      }).inputs;
    const disk = (format: string): string => `${storage}/contract-2.${format}`;
    const create = (inputs: VolumeInputs) => volumeKind.create(testContext(ground().transport, "contract-2"), inputs);
    const read = async (inputs: VolumeInputs, ctx = testContext(ground().transport, "contract-2")) =>
      (await volumeKind.read(ctx, disk(inputs.format), { ...inputs, path: disk(inputs.format) }))?.inputs;

    before(() =>
      ground().shell(
        `mkdir -p ${images}; cd ${images}; for i in old new; do { echo "the $i image"; head -c 70000 /dev/zero; echo end; } >$i.raw; truncate -s 1M $i.raw; done`,
      ),
    );
    after(() => ground().shell(`rm -r ${images}`));

    it("that somebody enlarged are never made anew for that, but refused with the size to declare", async () => {
      for (const format of ["qcow2", "raw"] as const) {
        const { id, outputs } = await create(system(format));
        await ground().shell(`qemu-img resize -q -f ${format} ${id} ${24 * MIB}`);
        const seen = await read(system(format));
        expect(seen).to.deep.equal(system(format, { capacityBytes: 24 * MIB }));
        const found = { ...seen!, ...outputs };
        expect(volumeKind.diff(found, system(format)).map(({ effect }) => effect)).to.deep.equal(["live"]);
        expect(volumeKind.refuses?.(found, system(format))).to.contain(
          `disk contract-2.${format} has 24MiB, declared are 16MiB: a disk that may hold data does not shrink, and is not made anew for its size. Declare 24MiB`,
        );
        expect(volumeKind.diff(found, system(format, { capacityBytes: 24 * MIB }))).to.deep.equal([]);
      }
    });

    it("whose image somebody changed under them stay, with a word about it", async () => {
      const changed = testContext(ground().transport, "contract-2");
      const declared = system("qcow2", { capacityBytes: 24 * MIB, base: `${images}/new.raw` });
      expect(await read(declared, changed)).to.deep.equal(declared);
      expect(changed.warnings.join()).to.contain(
        `from ${images}/old.raw, declared is qcow2 from ${images}/new.raw: it is left as it is`,
      );
    });

    it("of a run that was cut short are made anew from another image, unless they may hold something", async () => {
      for (const format of ["qcow2", "raw"] as const) {
        const wanted = system(format, { base: `${images}/new.raw` });
        const holds = async (): Promise<string> =>
          ground().shell(
            `qemu-img compare -f ${format} -F raw ${disk(format)} ${images}/new.raw >/dev/null && echo new || echo other`,
          );
        expect(await holds()).to.equal("other");
        await create(wanted);
        expect(await holds(), "nobody wrote to it").to.equal("new");
        expect(await read(wanted), "and it has the declared size").to.deep.equal(wanted);
        await ground().shell(
          `printf hello >${images}/guest; qemu-img convert -n -f raw -O ${format} ${images}/guest ${disk(format)}`,
        );
        expect((await create(wanted)).id, "the same image: had again").to.equal(disk(format));
        expect(await holds()).to.equal("other");
        for (const [change, how] of [
          [
            { base: `${images}/old.raw` },
            `made from the image ${images}/new.raw (raw), declared is the image ${images}/old.raw (raw)`,
          ],
          [{ base: `${images}/new.raw`, capacityBytes: 8 * MIB }, "with 16MiB, declared are 8MiB"],
        ] as const) {
          expect((await failure(create(system(format, change)))).message).to.contain(
            `${disk(format)} is there from before ${how}, and it was written to since. It is left untouched: declare what it is, or, if nothing on it is needed, on the host: rm ${disk(format)}`,
          );
        }
      }
    });

    it("that a machine has are not made anew", async () => {
      const disks = [{ type: "file", path: disk("raw"), format: "raw", target: "vda" }];
      const machine = floatingMachine(ground().endpoint, { name: "contract-2", storage, disks });
      const ctx = testContext(ground().transport, "machine");
      const { id, outputs } = await domainKind.create(ctx, machine);
      expect((await failure(create(system("raw")))).message).to.contain(
        "and it is a disk of the machine contract-2. It is",
      );
      await domainKind.delete(ctx, id, { ...machine, ...outputs });
    });

    it("whose image is gone are not made anew", async () => {
      await ground().shell(`rm ${images}/new.raw`);
      for (const format of ["qcow2", "raw"] as const) {
        expect((await failure(create(system(format)))).message).to.contain(
          "its image is gone, so that nobody can tell",
        );
        await volumeKind.delete(testContext(ground().transport), disk(format), {
          ...system(format),
          path: disk(format),
        });
      }
      expect(await ground().shell(`ls -d ${storage} 2>/dev/null || true`)).to.equal("");
    });
  });
}
