import { expect } from "chai";
import { dataDisks } from "../../components/nodes/data-disk";
import { machineRequests } from "../../components/nodes/machine-requests";
import { place, PlacementError } from "../../components/nodes/placement";
import { checkThinPools, diskBytes } from "../../components/nodes/thin-pools";
import { problemsOf, specOf, STACK_FACTS } from "../support/stack";

const at = "pools.control.disks";

describe("data disks in the stack file", () => {
  it("are raw, kept and not mounted unless told otherwise", () => {
    const [control] = specOf({ [at]: [{ name: "etcd", size: "20GiB" }] }).pools;
    expect(control).to.have.deep.property("disks", [
      { name: "etcd", size: 20 * 2 ** 30, format: "raw", onDestroy: "keep" },
    ]);
    const [bare] = specOf({}).pools;
    expect(bare).to.have.deep.property("disks", []);
  });

  it("have a file of their own that no machine's name can be, and a target each", () => {
    const disks = [
      { name: "etcd", size: "20GiB", mount: { path: "/var/lib/etcd" } },
      {
        name: "logs",
        size: "1TiB",
        format: "qcow2",
        onDestroy: "remove",
        mount: { path: "/var/log/pods", filesystem: "xfs" },
      },
    ];
    const [control] = specOf({ [at]: disks }).pools;
    if (control?.source !== "hosts") throw new Error("not carved");
    const named = dataDisks("dev-control-0", control, 0).map(({ fullName, target, mount }) => [
      fullName,
      target,
      mount?.filesystem,
    ]);
    expect(named).to.deep.equal([
      ["dev-control-0.etcd", "vdb", "ext4"],
      ["dev-control-0.logs", "vdc", "xfs"],
    ]);
  });

  it("are refused with each fault at its path", () => {
    const disks = [
      { name: "etcd", size: "20GiB", mount: { path: "/var/lib/etcd" } },
      { name: "etcd", size: "1000B", mount: { path: "/var/lib/etcd/member" } },
    ];
    expect(problemsOf({ [at]: disks })).to.deep.equal([
      'pools.control.disks[1].name: found "etcd"; another disk of this pool has this name',
      'pools.control.disks[1].size: found "1000B"; give at least 1MiB, in whole sectors of 512 bytes',
      'pools.control.disks[1].mount.path: found "/var/lib/etcd/member"; disk etcd is mounted at /var/lib/etcd already',
    ]);
    const malformed = [
      { name: "a-name-longer-than-a-serial", size: "1GiB", mount: { path: "/var/$(reboot)" }, format: "vmdk" },
    ];
    expect(problemsOf({ [at]: malformed })).to.deep.equal([
      'pools.control.disks[0].name: found "a-name-longer-than-a-serial"; a disk\'s name is its serial: lower-case letters, digits and hyphens, at most 20',
      'pools.control.disks[0].format: found "vmdk"; give one of raw, qcow2.',
      'pools.control.disks[0].mount.path: found "/var/$(reboot)"; give an absolute path of letters, digits, dot, underscore and hyphen',
    ]);
  });

  describe("that are block devices", () => {
    const device = (change: object = {}): object => ({
      host: "a",
      id: "/dev/disk/by-id/nvme-one",
      serial: "S1",
      ...change,
    });
    const etcd = (...devices: readonly object[]): object => ({ name: "etcd", devices });
    const facts = (use = ""): typeof STACK_FACTS => ({
      ...STACK_FACTS,
      disks: [
        {
          ...{ name: "nvme0n1", transport: "nvme", rotational: false, model: "M", serial: "S1" },
          ...{ bytes: 100 * 2 ** 30, byId: "/dev/disk/by-id/nvme-one", use },
        },
      ],
    });
    const worker = (...disks: readonly object[]) => ({ "pools.worker.disks": disks });

    it("go to the machine of their place in the list, which is placed on their host", () => {
      const [control] = specOf({ [at]: [etcd(device())] }).pools;
      if (control?.source !== "hosts") throw new Error("not carved");
      expect(dataDisks("dev-control-0", control, 0)[0]).to.deep.include({ target: "vdb", device: device() });
      const both = { ...control, hosts: ["a", "b"], count: 2 };
      const hosts = machineRequests([both], "dev").map((request) => request.hosts);
      expect(hosts).to.deep.equal([["a"], ["a", "b"]]);
    });

    it("are refused with each fault at its path", () => {
      const none = problemsOf({ [at]: [{ name: "etcd" }] });
      expect(none).to.deep.equal([
        "pools.control.disks[0].size: missing: give the size of a file, or the devices of the machines",
      ]);
      const options = problemsOf({ [at]: [{ ...etcd(device()), format: "qcow2", onDestroy: "remove" }] });
      expect(options).to.deep.equal([
        'pools.control.disks[0].format: found "qcow2"; a device is raw: leave it out',
        'pools.control.disks[0].onDestroy: found "remove"; a device is never wiped: leave it out, or write keep',
      ]);
      expect(problemsOf(worker(etcd(device({ host: "aa" }))))).to.deep.equal([
        'pools.worker.disks[0].devices: found "1 devices"; give one for each of the 2 machines',
        'pools.worker.disks[0].devices[0].host: found "aa"; no such host. The hosts are a.',
      ]);
      expect(problemsOf({ [at]: [etcd(device({ id: "/dev/sdb", serial: "a b " }))] })).to.deep.equal([
        'pools.control.disks[0].devices[0].id: found "/dev/sdb"; give a stable name of the device, such as /dev/disk/by-id/nvme-…: a disk or a partition',
        'pools.control.disks[0].devices[0].serial: found "a b "; give the serial number that `lsblk -o NAME,SERIAL` shows for the disk',
      ]);
    });

    it("can be system disks, on the host where the machine's other devices are", () => {
      const [control] = specOf({
        "pools.control.diskDevices": [device()],
        [at]: [etcd(device({ id: "/dev/disk/by-id/two", serial: "S2" }))],
      }).pools;
      if (control?.source !== "hosts") throw new Error("not carved");
      expect(machineRequests([{ ...control, hosts: ["a", "b"] }], "dev")[0]!.hosts).to.deep.equal(["a"]);
      expect(diskBytes({ ...control, disks: [] })).to.equal(0);
      expect(problemsOf({ "pools.worker.diskDevices": [device()] })).to.deep.equal([
        'pools.worker.diskDevices: found "1 devices"; give one for each of the 2 machines',
      ]);
      expect(problemsOf({ "pools.control.diskDevices": [device()], [at]: [etcd(device())] })).to.deep.equal([
        'pools.control.disks[0].devices[0].id: found "/dev/disk/by-id/nvme-one"; machine 0 of pool control has it as its system disk already: a device is one machine\'s',
      ]);
      expect(
        problemsOf({ "pools.control.disk": "101GiB", "pools.control.diskDevices": [device()] }, facts()),
      ).to.deep.equal([
        'pools.control.diskDevices[0].id: found "/dev/disk/by-id/nvme-one"; the facts of a say that it has 107374182400 bytes, fewer than the size 101GiB of this disk',
      ]);
    });

    it("are one machine's in the whole stack, by whatever name, and not beside their partitions", () => {
      const part = (n: number) => device({ id: `/dev/disk/by-id/nvme-one-part${n}` });
      expect(problemsOf(worker(etcd(part(1), part(2))))).to.deep.equal([]);
      for (const second of [device({ id: "/dev/disk/by-id/wwn-7" }), part(1)]) {
        const problems = problemsOf({
          [at]: [etcd(device())],
          ...worker(etcd(second, device({ serial: "S2", id: "/dev/disk/by-id/x" }))),
        });
        expect(problems).to.deep.equal([
          `pools.worker.disks[0].devices[0].id: found ${JSON.stringify((second as { id: string }).id)}; machine 0 of pool control has it as its disks[0] already: a device is one machine's`,
        ]);
      }
    });

    it("are compared with the host's facts", () => {
      const found = (disk: object, use?: string) => problemsOf({ [at]: [disk] }, facts(use));
      expect(found({ ...etcd(device()), size: "100GiB" })).to.deep.equal([]);
      expect(found({ ...etcd(device()), size: "101GiB" })).to.deep.equal([
        'pools.control.disks[0].devices[0].id: found "/dev/disk/by-id/nvme-one"; the facts of a say that it has 107374182400 bytes, fewer than the size 101GiB of this disk',
      ]);
      expect(found(etcd(device({ serial: "S2" })))).to.deep.equal([
        'pools.control.disks[0].devices[0].serial: found "S2"; the facts of a say that this disk has S1',
      ]);
      expect(found(etcd(device({ id: "/dev/disk/by-id/nvme-two", serial: "S2" })))).to.deep.equal([
        'pools.control.disks[0].devices[0].serial: found "S2"; the facts of a have no disk with this serial number, but S1: correct it, or probe the host again',
      ]);
      expect(found(etcd(device()), "mounted on /")).to.deep.equal([
        'pools.control.disks[0].devices[0].id: found "/dev/disk/by-id/nvme-one"; the facts of a say that it is mounted on /: the host needs it itself',
      ]);
    });
  });

  describe("in a thin pool", () => {
    const lvm = { volumeGroup: "nvme", thinPool: "machines" };
    const GIB = 2 ** 30;
    const facts: typeof STACK_FACTS = {
      ...STACK_FACTS,
      thinPools: [
        { volumeGroup: "nvme", name: "machines", bytes: 200 * GIB, metadataBytes: GIB, foreignBytes: 20 * GIB },
      ],
    };
    const thin = { "hosts.a.lvm": lvm, "pools.control.storage": "lvm-thin", "pools.worker.storage": "lvm-thin" };

    it("are refused with each fault at its path", () => {
      expect(specOf(thin, [], facts).hosts[0]!.lvm).to.deep.equal({ ...lvm, overcommit: 1 });
      expect(problemsOf({ "pools.worker.storage": "lvm-thin" }, facts)).to.deep.equal([
        'pools.worker.storage: found "lvm-thin"; these hosts of the pool have no thin pool: a. Give each its lvm.volumeGroup and lvm.thinPool, or the pool other hosts',
      ]);
      const [unknown] = problemsOf({ ...thin, "hosts.a.lvm": { ...lvm, thinPool: "other" } }, facts);
      expect(unknown).to.contain(
        'hosts.a.lvm.thinPool: found "nvme/other"; the facts of this host (facts/a.json) have no such thin pool, they know nvme/machines: correct it',
      );
      expect(problemsOf(thin)[0]).to.contain("they know none").and.contain("npm run facts -- a");
      const disks = [{ name: "etcd", size: "1GiB", format: "qcow2" }];
      expect(problemsOf({ ...thin, [at]: disks }, facts)).to.deep.equal([
        'pools.control.disks[0].format: found "qcow2"; a logical volume is raw: leave it out',
      ]);
    });

    it("that are together larger than the pool are refused before anything is planned, unless told", () => {
      const check = (changes: object): void => {
        const { hosts, pools } = specOf({ ...thin, ...changes }, [], facts);
        checkThinPools(hosts, pools, "dev", place(hosts, machineRequests(pools, "dev")));
      };
      // 3 × 40 GiB of 180 GiB.
      check({});
      check({ [at]: [{ name: "etcd", size: "60GiB" }] });
      const more = { [at]: [{ name: "etcd", size: "61GiB" }] };
      expect(() => check(more)).to.throw(
        PlacementError,
        "host a: the disks of its machines are 181.0 GiB together, and its thin pool nvme/machines has 200.0 GiB, of which 180.0 GiB may be this stack's",
      );
      check({ ...more, "hosts.a.lvm": { ...lvm, overcommit: 1.5 } });
      // LVM makes whole extents, and the host would refuse what exceeds the pool by one of them.
      const odd = {
        [at]: [
          { name: "etcd", size: "61439MiB" },
          { name: "odd", size: "1MiB" },
        ],
      };
      expect(() => check(odd)).to.throw(PlacementError, "the disks of its machines are 180.1 GiB together");
      check({ ...more, "pools.worker.storage": "directory" });
    });
  });
});
