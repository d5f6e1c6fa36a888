import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { reportFrom } from "../../provider/lvm/report";
import { taggedFrom, tagsOf } from "../../provider/lvm/tags";
import { domainKind } from "../../provider/domain/domain";
import { SshTransport } from "../../provider/transport/ssh";
import { volumeKind } from "../../provider/volume/volume";
import { probeHost } from "../../tools/facts";
import { testContext } from "../support/context";
import { failure } from "../support/failure";
import { exampleHostKey } from "../support/hosts";
import { SimulatedHost } from "../support/simulated-host";
import { groundOn } from "../support/storage-contract";
import { thinContract } from "../support/thin-contract";
import { thinMachine, thinVolume } from "../support/thin-inputs";

describe("a simulated host keeps the contract of thin pools", () => {
  let host: SimulatedHost;
  let transport: SshTransport;
  before(async () => {
    host = await SimulatedHost.start();
    host.addVolumeGroup("contract");
    transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 10, attempts: 2 });
  });
  after(async () => {
    transport.close();
    await host.stop();
  });

  thinContract(() => groundOn(host.endpoint, transport));
});

/** What a real host can't be made to do at the right moment. */
describe("a thin volume on a host of which a tool fails", () => {
  const size = 64 * 2 ** 20;

  it("is told to its machine by the next run when it had grown already, and does not count as gone", async () => {
    const host = await SimulatedHost.start();
    host.addVolumeGroup("contract");
    const transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 30, attempts: 1 });
    /** Calls with these words fail, until the returned function is called. */
    const broken = (tool: string, words: string, said: string): (() => void) => {
      const [file, real] = [host.path(`/bin/${tool}`), host.path(`/bin/${tool}.real`)];
      fs.renameSync(file, real);
      const text = `#!/bin/sh\ncase " $* " in ${words}) echo "  ${said}" >&2; exit 5 ;; esac\nexec ${tool}.real "$@"\n`;
      fs.writeFileSync(file, text, { mode: 0o755 });
      return () => fs.renameSync(real, file);
    };
    try {
      await host.shell("lvcreate -q -y --type thin-pool -L 512m -n machines contract");
      const ctx = testContext(transport, "thin-0.etcd");
      const data = (capacityBytes: number) => thinVolume(host.endpoint, { capacityBytes, onDestroy: "remove" });
      const { id, outputs } = await volumeKind.create(ctx, data(size));
      const machine = thinMachine(host.endpoint, "/var/lib/kvmesh", [{ path: id, target: "vdb" }]);
      const made = await domainKind.create(testContext(transport, "thin-0"), machine);
      const grow = () => volumeKind.update(ctx, id, { ...data(size), ...outputs }, data(2 * size));

      const resizes = broken("virsh", '*" blockresize "*', "error: the monitor does not answer");
      expect((await failure(grow())).message).to.contain("the monitor does not answer");
      expect((await failure(grow())).message, "again").to.contain("the monitor does not answer");
      resizes();
      await grow();
      await domainKind.delete(testContext(transport, "thin-0"), made.id, { ...machine, ...made.outputs });

      // The look before is a report; what the script sees under its lock is not.
      const looks = broken("lvs", '*"--reportformat"*) exec lvs.real "$@" ;; *', "Can't get lock for contract");
      const removal = () => volumeKind.delete(ctx, id, { ...data(2 * size), ...outputs });
      expect((await failure(removal())).message).to.contain("Can't get lock for contract");
      looks();
      expect((await host.shell("lvs --noheadings -o lv_name contract/thin-0.etcd")).stdout).to.contain("thin-0.etcd");
      await removal();
      await removal();

      const lists = broken("lvs", "*", "Can't get lock for contract");
      const probe = await failure(probeHost(host.endpoint, "/var/lib/kvmesh", transport));
      expect(probe.message).to.contain("can't be listed, `lvs` there says: Can't get lock for contract");
      lists();
    } finally {
      transport.close();
      await host.stop();
    }
  });
});

describe("a volume that moves between folder and thin pool", () => {
  const owner = { project: "shop", stack: "dev", cluster: "dev", environment: "development" };
  const host = { address: "192.0.2.1", hostKey: exampleHostKey() };
  const check = (change: object) => {
    const size = { capacityBytes: 2 ** 30, format: "raw" };
    return volumeKind.check({ host, owner, name: "web-0.etcd", ...size, ...change });
  };
  const file = { storage: "/var/lib/kvmesh", name: "web-0.etcd.raw" };
  const thin = { thinPool: { volumeGroup: "nvme", name: "machines" } };
  const planned = (before: object, after: object) =>
    volumeKind.diff({ ...check(before).inputs, path: "/x" }, check(after).inputs);

  it("is another disk, and is refused in the preview when it is kept", () => {
    expect(planned(file, thin).map(({ property, effect }) => [property, effect])).to.deep.equal([
      ["storage", "replace"],
      ["thinPool", "replace"],
      ["name", "replace"],
    ]);
    const keep = { onDestroy: "keep" };
    expect(() => planned({ ...file, ...keep }, { ...thin, ...keep })).to.throw(
      'disk web-0.etcd.raw is kept (onDestroy: keep), and storage changes from "/var/lib/kvmesh" to none, which needs another disk',
    );
    const other = { thinPool: { volumeGroup: "sata", name: "machines" } };
    expect(() => planned({ ...thin, ...keep }, { ...other, ...keep })).to.throw("and thinPool changes from");
    const over = { thinPool: { ...thin.thinPool, overcommit: 2 } };
    expect(planned({ ...thin, ...keep }, { ...over, ...keep })).to.deep.equal([
      { property: "thinPool.overcommit", effect: "record" },
    ]);
  });

  it("is in one of them, raw in a thin pool, and not by a name of LVM's own", () => {
    const faults = (change: object) => check(change).failures.map(({ property }) => property);
    expect(faults({ ...file, ...thin })).to.deep.equal(["storage"]);
    expect(faults({})).to.deep.equal(["storage"]);
    expect(faults({ ...thin, format: "qcow2" })).to.deep.equal(["format"]);
    for (const name of ["snapshot-w-0", "pvmove-0", "a_tmeta"])
      expect(faults({ ...thin, name })).to.deep.equal(["name"]);
    expect(faults({ thinPool: { volumeGroup: "-v", name: "a/b" } })).to.deep.equal([
      "thinPool.volumeGroup",
      "thinPool.name",
    ]);
  });
});

describe("LVM's report", () => {
  it("of a real thin pool is read, with the mark on a volume", () => {
    // Of LVM 2.03.31, in the guest of tests/lab/thin-volume.test.ts.
    const recorded = path.resolve(__dirname, "../../../tests/fixtures/lvs.json");
    const [pool, , data, ...more] = reportFrom(fs.readFileSync(recorded, "utf8"));
    expect(more).to.deep.equal([]);
    expect(pool).to.deep.include({
      ...{ volumeGroup: "contract", name: "machines", type: "thin-pool", bytes: 512 * 2 ** 20, tags: [], pool: "" },
      ...{ dataPercent: 0.57, metadataPercent: 11.04, metadataBytes: 4 * 2 ** 20, extentBytes: 4 * 2 ** 20 },
      ...{ active: true, health: "", zeroing: true },
    });
    expect(data).to.deep.include({ name: "thin-0.etcd", pool: "machines", type: "thin", metadataPercent: undefined });
    const tagged = taggedFrom(data!.tags)!;
    expect(tagged).to.deep.equal({
      condition: "ready",
      mark: {
        ...{ project: "contract", stack: "test", cluster: "test", environment: "development" },
        urn: "urn:pulumi:test::contract::kvmesh:nodes:CarvedMachine$kvmesh:index:Volume::thin-0.etcd",
      },
    });
    expect(tagsOf(tagged)).to.deep.equal(data!.tags);
  });

  it("that is none is refused with what was printed", () => {
    expect(() => reportFrom("  LV   VG\n")).to.throw("lvs printed no report in JSON");
  });

  it("has tags that LVM takes, whatever the names hold", () => {
    const owner = { project: "p", stack: "s", cluster: "c", environment: "staging" };
    const base = { path: "/var/lib/kvmesh/debian-13.qcow2", format: "qcow2" } as const;
    for (const urn of ["a b", "+24", "é\u2028%", "$(x),y@z", "x".repeat(900)]) {
      const tags = tagsOf({ mark: { ...owner, urn }, condition: "kept", base });
      for (const tag of tags) expect(tag).to.match(/^[A-Za-z0-9_+./=!:#&-]{1,1024}$/);
      expect(taggedFrom(["theirs", ...tags])).to.deep.equal({ mark: { ...owner, urn }, condition: "kept", base });
    }
    expect(() => tagsOf({ mark: { ...owner, urn: "x".repeat(1024) }, condition: "ready" })).to.throw("LVM takes 1024");
  });
});
