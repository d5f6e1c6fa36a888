import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { reportFrom } from "../../provider/lvm/report";
import { taggedFrom, tagsOf } from "../../provider/lvm/tags";
import { SshTransport } from "../../provider/transport/ssh";
import { volumeKind } from "../../provider/volume/volume";
import { exampleHostKey } from "../support/hosts";
import { SimulatedHost } from "../support/simulated-host";
import { thinContract } from "../support/thin-contract";

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
  const shell = async (script: string): Promise<string> => {
    const result = await transport.script(host.endpoint, script);
    expect(result.code, result.stderr).to.equal(0);
    return result.stdout.trim();
  };

  thinContract(() => ({ endpoint: host.endpoint, transport, shell }));
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
    for (const urn of ["a b", "+24", "é\u2028%", "$(x),y@z", "x".repeat(900)]) {
      const tags = tagsOf({ mark: { ...owner, urn }, condition: "kept" });
      for (const tag of tags) expect(tag).to.match(/^[A-Za-z0-9_+./=!:#&-]{1,1024}$/);
      expect(taggedFrom(["theirs", ...tags])).to.deep.equal({ mark: { ...owner, urn }, condition: "kept" });
    }
    expect(() => tagsOf({ mark: { ...owner, urn: "x".repeat(1024) }, condition: "ready" })).to.throw("LVM takes 1024");
  });
});
