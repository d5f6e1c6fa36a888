import { expect } from "chai";
import { dataDisks } from "../../components/nodes/data-disk";
import { problemsOf, specOf } from "../support/stack";

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
    const named = dataDisks("dev-control-0", control).map(({ fullName, target, mount }) => [
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
});
