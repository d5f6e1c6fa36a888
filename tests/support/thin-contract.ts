/**
 * What a host must do with logical volumes in a thin pool, simulated or real: on the simulated host (provider-thin-volume.test.ts) and on a
 * kernel with a real thin pool (tests/lab/thin-volume.test.ts). The host has a volume group `contract` with 1 GiB of room or more, and nothing in it.
 */
import { expect } from "chai";
import { domainKind } from "../../provider/domain/domain";
import { tenancyKind } from "../../provider/tenancy/tenancy";
import type { VolumeInputs } from "../../provider/volume/schema";
import { volumeKind } from "../../provider/volume/volume";
import { probeHost } from "../../tools/facts";
import { testContext } from "./context";
import type { TestContext } from "./context";
import { failure } from "./failure";
import type { Ground } from "./storage-contract";
import { owner, thinMachine, thinPool, thinVolume } from "./thin-inputs";

const MIB = 1024 * 1024;
const storage = "/var/lib/kvmesh-contract-thin";
const image = `${storage}/image.raw`;
const path = "/dev/contract/thin-0.etcd";

export function thinContract(ground: () => Ground): void {
  describe("disks in a thin pool", () => {
    const volume = (change: Partial<VolumeInputs> = {}): VolumeInputs => thinVolume(ground().endpoint, change);
    const system = (change: Partial<VolumeInputs> = {}): VolumeInputs =>
      volume({ name: "thin-0", base: image, baseFormat: "raw", onDestroy: "remove", ...change });
    const context = (name = "thin-0.etcd"): TestContext => ({
      ...testContext(ground().transport),
      urn: `urn:pulumi:test::contract::kvmesh:nodes:CarvedMachine$kvmesh:index:Volume::${name}`,
    });
    const shell = (script: string): Promise<string> => ground().shell(script);
    const create = (inputs: VolumeInputs, ctx = context(inputs.name)) => volumeKind.create(ctx, inputs);
    const read = async (inputs: VolumeInputs, ctx = context(inputs.name)) =>
      volumeKind.read(ctx, `/dev/contract/${inputs.name}`, { ...inputs, path: `/dev/contract/${inputs.name}` });
    const remove = (inputs: VolumeInputs, ctx = context(inputs.name)) =>
      volumeKind.delete(ctx, `/dev/contract/${inputs.name}`, { ...inputs, path: `/dev/contract/${inputs.name}` });
    const refused = async (inputs: VolumeInputs): Promise<string> => (await failure(create(inputs))).message;
    const names = (): Promise<string> =>
      shell("LVM_SUPPRESS_FD_WARNINGS=1 lvs --noheadings -o lv_name contract | tr -d ' ' | sort | tr '\\n' ' '").then(
        (text) => text.trim(),
      );
    const tags = (name: string): Promise<string> =>
      shell(`LVM_SUPPRESS_FD_WARNINGS=1 lvs --noheadings -o lv_tags contract/${name} | tr -d ' '`);
    /** UUID and content: the same volume, with what was written to it. */
    const identity = (): Promise<string> =>
      shell(`lvs --noheadings -o lv_uuid contract/thin-0.etcd | tr -d ' '; head -c 9 ${path}`);
    const digest = (file: string, bytes: number): Promise<string> => shell(`head -c ${bytes} ${file} | sha256sum`);
    let written: string;

    before(async () => {
      await shell(`lvcreate -q -y --type thin-pool -L 512m -n machines contract >/dev/null 2>&1
mkdir -p ${storage}; head -c 3000000 /dev/urandom >${image}; truncate -s 16M ${image}`);
    });
    after(async () => {
      await shell(`rm -r ${storage}; lvremove -q -y contract/machines >/dev/null 2>&1`);
    });

    it("are made with their mark, blank, and read as they are declared", async () => {
      const { id, outputs } = await create(volume());
      expect([id, outputs]).to.deep.equal([path, { path, extentBytes: 4 * MIB }]);
      expect(await read(volume())).to.deep.equal({ inputs: volume(), outputs });
      expect(await tags("thin-0.etcd")).to.equal(
        [
          "kvmesh,kvmesh:cluster=test,kvmesh:condition=ready,kvmesh:environment=development,kvmesh:project=contract,kvmesh:stack=test",
          "kvmesh:urn=urn:pulumi:test::contract::kvmesh:nodes:CarvedMachine+24kvmesh:index:Volume::thin-0.etcd",
        ].join(),
      );
      expect(await shell(`head -c ${4 * MIB} ${path} | tr -d '\\0' | wc -c`)).to.equal("0");
      await shell(`printf word-4711 | dd of=${path} conv=notrunc status=none; sync ${path}`);
      written = await identity();
      // A run that was killed after it was made, before the state was written.
      await create(volume());
      expect(await identity()).to.equal(written);
    });

    it("get their image whole, and its holes take no room", async () => {
      await create(system());
      expect(await digest("/dev/contract/thin-0", 16 * MIB)).to.equal(await digest(image, 16 * MIB));
      expect(Number(await shell("lvs --noheadings -o data_percent contract/thin-0"))).to.be.within(3, 10);
      expect(await tags("thin-0")).to.contain("kvmesh:condition=ready");
      await shell(`printf written | dd of=/dev/contract/thin-0 conv=notrunc status=none; sync /dev/contract/thin-0`);
      const used = await digest("/dev/contract/thin-0", 16 * MIB);
      await create(system());
      expect(await digest("/dev/contract/thin-0", 16 * MIB), "what the machine wrote stays").to.equal(used);
    });

    it("that a killed run left half written are not there, and are made anew", async () => {
      await shell(`lvchange -q --deltag kvmesh:condition=ready --addtag kvmesh:condition=writing --deltag kvmesh:environment=development --addtag kvmesh:environment=staging contract/thin-0 >/dev/null 2>&1
dd if=/dev/urandom of=/dev/contract/thin-0 conv=notrunc status=none bs=1M seek=60 count=4; sync /dev/contract/thin-0`);
      expect(await read(system())).to.equal(undefined);
      await create(system());
      expect(await digest("/dev/contract/thin-0", 16 * MIB)).to.equal(await digest(image, 16 * MIB));
      expect(await shell("tail -c 8388608 /dev/contract/thin-0 | tr -d '\\0' | wc -c"), "nothing of before").to.equal(
        "0",
      );
      expect(await tags("thin-0")).to.contain("kvmesh:condition=ready");
    });

    it("that a killed run made from another image, or larger, are made anew, unless they may hold something", async () => {
      const other = system({ base: `${storage}/other.raw` });
      await shell(`head -c 2000000 /dev/urandom >${storage}/other.raw; truncate -s 16M ${storage}/other.raw`);
      await shell("lvextend -q -L 72m contract/thin-0 >/dev/null 2>&1");
      expect((await read(system()))?.inputs.capacityBytes).to.equal(72 * MIB);
      await create(other);
      expect(await digest("/dev/contract/thin-0", 16 * MIB)).to.equal(await digest(`${storage}/other.raw`, 16 * MIB));
      expect((await read(other))?.inputs, "of the declared size").to.deep.equal(other);
      await shell("printf written | dd of=/dev/contract/thin-0 conv=notrunc status=none; sync /dev/contract/thin-0");
      const used = await digest("/dev/contract/thin-0", 16 * MIB);
      expect(await refused(system())).to.contain(
        `/dev/contract/thin-0 is there from before made from the image ${storage}/other.raw (raw), declared is the image ${image} (raw), and it was written to since. It is left untouched: declare what it is, or, if nothing on it is needed, on the host: lvremove contract/thin-0`,
      );
      expect(await digest("/dev/contract/thin-0", 16 * MIB)).to.equal(used);
      await remove(other);
      await create(system());
    });

    it("are not left half made when the image can't be written", async () => {
      const before = await names();
      expect(await refused(system({ name: "thin-1", base: `${storage}/none` }))).to.contain("is not on this host");
      expect(await refused(system({ name: "thin-1", capacityBytes: 8 * MIB }))).to.contain(
        "a disk of 8388608 is too small for it",
      );
      // An image that is not what it is declared to be.
      await shell(`head -c 1048576 /dev/urandom >${storage}/bad.qcow2`);
      await failure(create(system({ name: "thin-1", base: `${storage}/bad.qcow2`, baseFormat: "qcow2" })));
      expect(await names()).to.equal(before);
    });

    it("grow in place, also under a running machine, and never shrink", async () => {
      const machine = thinMachine(ground().endpoint, storage, [
        { path: "/dev/contract/thin-0", target: "vda" },
        { path, target: "vdb", serial: "etcd" },
      ]);
      const { id, outputs } = await domainKind.create(context("machine"), machine);
      try {
        expect((await domainKind.read(context("machine"), id, { ...machine, ...outputs }))?.inputs).to.deep.equal(
          machine,
        );
        const inUse = await failure(remove(system()));
        expect(inUse.message).to.contain("/dev/contract/thin-0 is in use: is its machine still running?");
        const grown = volume({ capacityBytes: 97 * MIB, owner: { ...owner, environment: "staging" } });
        expect(volumeKind.diff({ ...volume(), path }, grown).map(({ effect }) => effect)).to.deep.equal([
          "live",
          "live",
        ]);
        await volumeKind.update(context(), path, { ...volume(), path }, grown);
        expect((await read(grown))?.inputs, "whole extents are no drift").to.deep.equal(grown);
        expect(await shell(`blockdev --getsize64 ${path}`)).to.equal(String(100 * MIB));
        expect(await tags("thin-0.etcd")).to.contain("kvmesh:environment=staging");
        expect(await identity()).to.equal(written);
        await volumeKind.update(context(), path, { ...grown, path }, volume({ capacityBytes: 97 * MIB }));
      } finally {
        await domainKind.delete(context("machine"), id, { ...machine, ...outputs });
      }
      expect(volumeKind.refuses?.({ ...volume(), path }, volume({ capacityBytes: 32 * MIB }))).to.contain(
        "has 64MiB, declared are 32MiB: a disk that may hold data does not shrink",
      );
    });

    it("stay when they are destroyed, and are had again; smaller ones are refused", async () => {
      const destroyed = context();
      const kept = volume({ capacityBytes: 97 * MIB });
      await remove(kept, destroyed);
      expect(destroyed.warnings.join()).to.contain(`disk ${path} is kept with all that it holds`);
      expect(destroyed.warnings.join()).to.contain("lvremove contract/thin-0.etcd");
      expect(await tags("thin-0.etcd")).to.contain("kvmesh:condition=kept");
      expect(await refused(volume())).to.contain(
        `${path} is there from before with 100MiB, declared are 64MiB. It is left untouched: declare what it is`,
      );
      const tenancy = context("tenancy");
      const inputs = tenancyKind.check({ host: ground().endpoint, owner, storage, machines: [] }).inputs;
      const left = await failure(tenancyKind.delete(tenancy, "x", inputs));
      expect(left.message).to.contain("/dev/contract/thin-0").and.to.contain("lvremove -y contract/thin-0");
      expect(tenancy.warnings.join()).to.contain(`kept, as declared: ${path}`);
      const again = context();
      await create(kept, again);
      expect(again.warnings.join()).to.contain("was kept: what it holds is used again");
      expect(await identity()).to.equal(written);
      expect(await tags("thin-0.etcd")).to.contain("kvmesh:condition=ready");
    });

    it("of somebody else under the same name are refused and left as they are", async () => {
      await shell(
        "lvcreate -q -y -V 8m --thinpool contract/machines -n foreign --addtag theirs >/dev/null 2>&1; printf theirs | dd of=/dev/contract/foreign conv=notrunc status=none",
      );
      const foreign = volume({ name: "foreign", onDestroy: "remove" });
      expect(await refused(foreign)).to.contain("/dev/contract/foreign is there already and was not made by kvmesh");
      await shell(
        "lvchange -q --addtag kvmesh --addtag kvmesh:project=contract --addtag kvmesh:stack=other --addtag kvmesh:urn=x contract/foreign >/dev/null 2>&1",
      );
      expect(await refused(foreign)).to.contain("belongs to stack contract/other");
      const deleted = context("foreign");
      await remove(foreign, deleted);
      expect(deleted.warnings.join()).to.contain("is not ours any more; it is left untouched");
      expect(await read(foreign, deleted)).to.equal(undefined);
      const grown = volume({ name: "foreign", onDestroy: "remove", capacityBytes: 96 * MIB });
      const untouched = await failure(
        volumeKind.update(
          context("foreign"),
          "/dev/contract/foreign",
          { ...foreign, path: "/dev/contract/foreign" },
          grown,
        ),
      );
      expect(untouched.message).to.contain("is not ours any more; it is left untouched");
      expect(
        await shell(
          "head -c 6 /dev/contract/foreign; lvs --noheadings --units b --nosuffix -o lv_size contract/foreign",
        ),
      ).to.match(/^theirs\s+8388608$/);
      await shell(
        "lvchange -q --deltag kvmesh --deltag kvmesh:project=contract --deltag kvmesh:stack=other --deltag kvmesh:urn=x contract/foreign >/dev/null 2>&1",
      );
    });

    it("are refused before anything is made where the pool has no room, is another thing, or would show what others held", async () => {
      const before = await names();
      const wanted = (change: Partial<NonNullable<VolumeInputs["thinPool"]>>, capacityBytes = 400 * MIB) =>
        volume({ name: "thin-2", onDestroy: "remove", capacityBytes, thinPool: { ...thinPool, ...change } });
      expect(await refused(wanted({}))).to.match(
        /the thin pool contract\/machines has 0.5 GiB, and its volumes already have 0.2 GiB: 0.4 GiB more is too much. Make the pool larger/,
      );
      expect(await refused(wanted({ overcommit: 1.1 }))).to.contain("is too much for an overcommit of 1.1");
      expect(await refused(wanted({ name: "none" }))).to.contain("the volume group has no thin pool none");
      expect(await refused(wanted({ name: "foreign" }))).to.contain("contract/foreign is no thin pool but thin");
      expect(await refused(wanted({ volumeGroup: "nothing" }))).to.match(
        /the volume group nothing can't be read on this host \(.*Volume group "nothing" not found/s,
      );
      await shell("lvchange -q --zero n contract/machines >/dev/null 2>&1");
      expect(await refused(wanted({}, 8 * MIB))).to.contain(
        "would show what others held: lvchange --zero y contract/machines",
      );
      await shell("lvchange -q --zero y contract/machines >/dev/null 2>&1");
      expect(await names()).to.equal(before);

      const grown = volume({ capacityBytes: 600 * MIB });
      const tooMuch = await failure(
        volumeKind.update(context(), path, { ...volume({ capacityBytes: 97 * MIB }), path }, grown),
      );
      expect(tooMuch.message).to.contain("more is too much");
      // `lvrename` of the pool: the next plan must not make its volumes anew.
      const renamed = context();
      const elsewhere = volume({ capacityBytes: 97 * MIB, thinPool: { ...thinPool, name: "other" } });
      expect((await read(elsewhere, renamed))?.inputs).to.deep.equal(elsewhere);
      expect(renamed.warnings.join()).to.contain(
        "in the thin pool machines, declared is contract/other: it is left as it is",
      );
      const over = wanted({ overcommit: 2 });
      await create(over);
      await remove(over);
      expect(await names()).to.equal(before);
    });

    it("that are made side by side are not all promised the same room", async () => {
      const side = [0, 1, 2].map((i) => volume({ name: `side-${i}`, onDestroy: "remove", capacityBytes: 150 * MIB }));
      const made = await Promise.allSettled(side.map((inputs) => create(inputs)));
      expect(made.filter(({ status }) => status === "fulfilled")).to.have.length(2);
      for (const inputs of side) await remove(inputs);
    });

    it("are imported by their path", async () => {
      const importing: TestContext = {
        ...context(),
        importing: { hosts: new Map([["there", ground().endpoint]]), cluster: "test" },
      };
      const seen = await volumeKind.read(importing, `there:${path}`, undefined);
      const outputs = { path, extentBytes: 4 * MIB };
      expect(seen).to.deep.equal({ id: path, inputs: volume({ capacityBytes: 100 * MIB }), outputs });
      const found = { ...seen!.inputs, ...outputs };
      const declared = volume({ capacityBytes: 97 * MIB });
      expect(volumeKind.diff(found, declared), "its size in whole extents").to.deep.equal([]);
      expect(volumeKind.refuses?.(found, declared)).to.equal(undefined);
      expect(volumeKind.refuses?.(found, volume({ capacityBytes: 96 * MIB }))).to.contain("Declare 100MiB; or");
      const of = { path: "/dev/contract/thin-0", extentBytes: 4 * MIB };
      const made = { id: "/dev/contract/thin-0", inputs: system(), outputs: of };
      expect(await volumeKind.read(importing, "there:/dev/contract/thin-0", undefined), "with its image").to.deep.equal(
        made,
      );
      const pool = await failure(volumeKind.read(importing, "there:/dev/contract/machines", undefined));
      expect(pool.message).to.contain("is of the type thin-pool: only a thin volume is imported");
    });

    it("and their pool are in the host's facts", async () => {
      const facts = await probeHost(ground().endpoint, storage, ground().transport);
      const [pool, ...others] = facts.thinPools;
      expect(others).to.deep.equal([]);
      expect(pool).to.deep.include({
        volumeGroup: "contract",
        name: "machines",
        bytes: 512 * MIB,
        extentBytes: 4 * MIB,
        foreignBytes: 8 * MIB,
      });
      expect(pool!.dataPercent).to.be.within(0.5, 20);
      expect(pool!.metadataPercent).to.be.within(1, 50);
    });

    it("go for good when they are told to, twice without harm, and no process of LVM's holds our lock", async () => {
      await shell("lvremove -q -y contract/foreign >/dev/null 2>&1");
      for (const inputs of [system(), volume({ onDestroy: "remove", capacityBytes: 97 * MIB })]) {
        await remove(inputs);
        await remove(inputs);
        expect(await read(inputs)).to.equal(undefined);
      }
      expect(await names()).to.equal("machines");
      expect(await shell("flock -n /run/lock/kvmesh.lock echo free || echo held")).to.equal("free");
    });
  });
}
