/** What a host must do with a machine of UEFI firmware, simulated or real: a part of the contract (contract.ts). */
import { expect } from "chai";
import { domainKind } from "../../provider/domain/domain";
import type { DomainInputs, DomainOutputs } from "../../provider/domain/schema";
import { testContext, type TestContext } from "./context";
import { floatingMachine, MIB } from "./contract-machine";
import type { Ground } from "./storage-contract";

const storage = "/var/lib/kvmesh-contract-efi";

export function firmwareContract(ground: () => Ground): void {
  describe("a machine with UEFI firmware", () => {
    const context = (): TestContext => testContext(ground().transport, "efi");
    const machine = (firmware: "efi" | "bios"): DomainInputs =>
      floatingMachine(
        ground().endpoint,
        {
          name: "contract-efi",
          storage,
          disks: [{ type: "file", path: `${storage}/empty.raw`, format: "raw", target: "vda" }],
        },
        { firmware, memoryBytes: 256 * MIB, restart: { when: "needed" } },
      );
    const variables = (): Promise<string> => ground().shell("ls /var/lib/libvirt/qemu/nvram 2>/dev/null || true");
    let id: string;
    let made: DomainInputs & DomainOutputs;

    before(() => ground().shell(`mkdir -p ${storage} && truncate -s 1M ${storage}/empty.raw`));
    after(() => ground().shell(`rm -r ${storage}`));

    it("starts with a firmware of the host's choice and variables of its own, and reads back as declared", async () => {
      const ctx = context();
      const { id: uuid, outputs } = await domainKind.create(ctx, machine("efi"));
      id = uuid;
      made = { ...machine("efi"), ...outputs };
      expect(await domainKind.read(ctx, id, made)).to.deep.equal({ inputs: machine("efi"), outputs });
      expect(outputs).to.deep.equal({ uuid: id, running: true, unmodelled: [] });
      expect(ctx.warnings).to.deep.equal([]);
      expect(await ground().shell("virsh domstate contract-efi")).to.equal("running");
      expect(await variables()).to.equal("contract-efi_VARS.fd");
    });

    it("changes to BIOS and back by a restart", async () => {
      const ctx = context();
      for (const firmware of ["bios", "efi"] as const) {
        const known = { ...made, firmware: firmware === "bios" ? "efi" : "bios" } as typeof made;
        await domainKind.update(ctx, id, known, machine(firmware));
        expect((await domainKind.read(ctx, id, { ...made, firmware }))?.inputs).to.deep.equal(machine(firmware));
        const loaders = await ground().shell("virsh dumpxml contract-efi | grep -c pflash || true");
        expect(loaders === "0" ? "bios" : "efi", "of the running machine").to.equal(firmware);
      }
      expect(ctx.warnings).to.deep.equal([]);
    });

    it("takes its variables with it when it is removed", async () => {
      await domainKind.delete(context(), id, made);
      expect(await variables()).to.equal("");
      // As after a change to BIOS: no definition names them any more.
      await ground().shell("touch /var/lib/libvirt/qemu/nvram/contract-efi_VARS.fd");
      await domainKind.delete(context(), id, made);
      expect(await variables()).to.equal("");
      expect(await domainKind.read(context(), id, made)).to.equal(undefined);
    });
  });
}
