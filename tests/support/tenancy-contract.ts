/** What is found on a host of a stack whose state does not know it, simulated or real: a part of the contract (contract.ts). */
import { expect } from "chai";
import { CLAIMS } from "../../provider/blockdevice/scripts";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import { tenancyKind } from "../../provider/tenancy/tenancy";
import { volumeKind } from "../../provider/volume/volume";
import { testContext } from "./context";
import { failure } from "./failure";
import type { Ground } from "./storage-contract";

const MIB = 1024 * 1024;
const owner = { project: "contract", stack: "tenant", cluster: "test", environment: "development" } as const;
const storage = "/var/lib/kvmesh-contract-tenant";
const disk = `${storage}/tenant-0.qcow2`;
const kept = `${storage}/tenant-0.etcd.raw`;

export function tenancyContract(ground: () => Ground): void {
  describe("a stack's tenancy", () => {
    const volume = (name: string, onDestroy: "keep" | "remove") =>
      volumeKind.check({
        ...{ host: ground().endpoint, owner, name, storage, onDestroy },
        ...{ capacityBytes: MIB, format: name.endsWith("raw") ? "raw" : "qcow2" },
      }).inputs;
    const context = (kind = "Volume", name = "tenant-0") => ({
      ...testContext(ground().transport),
      urn: `urn:pulumi:tenant::contract::kvmesh:index:${kind}::${name}`,
    });
    const tenancy = (machines: readonly string[]) =>
      tenancyKind.check({ host: ground().endpoint, owner, storage, machines }).inputs;
    let message: string;

    it("does not end while a machine, a disk or a lease is there that no state knows of, and lists them", async () => {
      await tenancyKind.delete(context(), "x", tenancy([]));
      const lease = { host: ground().endpoint, owner, machine: "tenant-0", cpus: [1] };
      await coreLeaseKind.create(context(), lease);
      await volumeKind.create(context(), volume("tenant-0.qcow2", "remove"));
      const data = volume("tenant-0.etcd.raw", "keep");
      await volumeKind.create(context("Volume", "tenant-0.etcd"), data);
      const machine = domainKind.check({
        ...{ host: ground().endpoint, owner, name: "tenant-0", type: "qemu", vcpus: 1, vcpuPins: [1] },
        ...{ emulatorPin: [], ioThreadPin: [], memoryBytes: 64 * MIB, interfaces: [], storage, autostart: false },
        disks: [{ type: "file", path: disk, format: "qcow2", target: "vda" }],
        cloudInit: { userData: "#cloud-config\n", metaData: "", networkConfig: "version: 2\n" },
      }).inputs;
      await domainKind.create(context("Domain"), machine);
      const unfinished = (await failure(tenancyKind.delete(context(), "x", tenancy(["tenant-0"])))).message;
      expect(unfinished, "a disk that was not told to stay").to.contain(`${kept},`);

      await volumeKind.delete(context("Volume", "tenant-0.etcd"), kept, { ...data, path: kept });
      // Claims are files that BlockDevice writes: tests/lab/block-device.test.ts.
      const line = (state: string, name: string): string =>
        ["contract", "tenant", "tenant-0", "wal", "2026-11-22T00:00:00Z", state, `/dev/disk/by-id/${name}`].join("\\t");
      await ground().shell(
        `mkdir -p ${CLAIMS}; cd ${CLAIMS}; printf '${line("ready", "a")}\\n' >SERIAL-A; printf '${line("released", "b")}\\tx\\n' >SERIAL-B`,
      );
      const ctx = context();
      message = (await failure(tenancyKind.delete(ctx, "x", tenancy(["tenant-0"])))).message;
      expect(message).to.contain(
        `of stack contract/tenant there is left what its state does not know: machine tenant-0 (running), ${disk}, the lease of CPUs 1 to tenant-0, the claim of /dev/disk/by-id/a for the disk wal of tenant-0. Run`,
      );
      expect(ctx.warnings.join()).to.match(/kept, as declared: \/var\/lib\/kvmesh-contract-tenant\/tenant-0.etcd.raw$/);
    });

    it("warns on refresh of machines that are not declared, and not of those that are or of other stacks'", async () => {
      const declared = context();
      await tenancyKind.read(declared, "x", tenancy(["tenant-0"]));
      expect(declared.warnings).to.deep.equal([]);
      const another = context();
      const other = { ...tenancy([]), owner: { ...owner, stack: "other" } };
      await tenancyKind.read(another, "x", other);
      expect(another.warnings).to.deep.equal([]);
      const forgotten = context();
      expect((await tenancyKind.read(forgotten, "x", tenancy([])))?.inputs).to.deep.equal(tenancy([]));
      expect(forgotten.warnings.join()).to.contain(
        `of no machine that it declares here: machine tenant-0 (running), ${disk}, the lease of CPUs 1 to tenant-0, the claim of /dev/disk/by-id/a for the disk wal of tenant-0.`,
      );
    });

    it("ends when the commands that it gives have been run, and leaves the disk that was told to stay", async () => {
      const commands = /on the host: (.*); then destroy again/.exec(message)?.[1] ?? "false";
      await ground().shell(`set -e; ${commands}`);
      const ctx = context();
      await tenancyKind.delete(ctx, "x", tenancy([]));
      expect(ctx.warnings.join()).to.contain(`kept, as declared: ${kept}`);
      expect(await ground().shell(`cd ${storage}; ls`)).to.equal("tenant-0.etcd.raw\ntenant-0.etcd.raw.kvmesh.json");
      expect(await ground().shell(`cd ${CLAIMS}; ls; rm SERIAL-B; rmdir ${CLAIMS}`), "given back: nobody's").to.equal(
        "SERIAL-B",
      );
      expect(await ground().shell("virsh -q list --all --name | grep -x tenant-0 || true")).to.equal("");

      // Had again, it is no longer one that nobody needs.
      const data = volume("tenant-0.etcd.raw", "keep");
      await volumeKind.create(context("Volume", "tenant-0.etcd"), data);
      expect((await failure(tenancyKind.delete(context(), "x", tenancy([])))).message).to.contain(kept);
      await volumeKind.delete(context("Volume", "tenant-0.etcd"), kept, { ...data, path: kept, onDestroy: "remove" });
      await tenancyKind.delete(context(), "x", tenancy([]));
      expect(await ground().shell(`ls -d ${storage} 2>/dev/null || true`)).to.equal("");
    });
  });
}
