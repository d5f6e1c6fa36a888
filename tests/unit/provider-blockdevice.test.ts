import * as fs from "node:fs";
import { expect } from "chai";
import { blockDeviceKind } from "../../provider/blockdevice/kind";
import type { BlockDeviceInputs, BlockDeviceOutputs } from "../../provider/blockdevice/kind";
import { SshTransport } from "../../provider/transport/ssh";
import { testContext } from "../support/context";
import { failure } from "../support/failure";
import { SimulatedHost } from "../support/simulated-host";

const MIB = 2 ** 20;
const id = "ata-DISK_S1";
const device = `/dev/disk/by-id/${id}`;

/** What loop devices can't show without a device mapper, and over SSH; the rest is in tests/lab/block-device.test.ts. */
describe("block devices of a simulated host", () => {
  let host: SimulatedHost;
  let transport: SshTransport;
  const inputs = (change: Partial<BlockDeviceInputs> = {}): BlockDeviceInputs =>
    blockDeviceKind.check({
      host: host.endpoint,
      owner: { project: "shop", stack: "dev", cluster: "dev", environment: "development" },
      ...{ machine: "dev-control-0", disk: "etcd", device, serial: "S1", ...change },
    }).inputs;
  const take = (change: Partial<BlockDeviceInputs> = {}) =>
    blockDeviceKind.create(testContext(transport), inputs(change));
  const state = (change: Partial<BlockDeviceOutputs> = {}): BlockDeviceInputs & BlockDeviceOutputs => ({
    ...inputs(),
    ...{ path: device, sizeBytes: 8 * MIB, condition: "claimed", ...change },
  });
  const holders = (): string => host.path("/sys/class/block/sdb/holders");

  before(async () => {
    host = await SimulatedHost.start();
    transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 10, attempts: 2 });
  });
  after(async () => {
    transport.close();
    await host.stop();
  });
  beforeEach(() => {
    fs.rmSync(host.path("/dev"), { recursive: true, force: true });
    fs.rmSync(host.path("/sys/class/block"), { recursive: true, force: true });
    fs.rmSync(host.path("/libvirt/devices"), { recursive: true, force: true });
    fs.rmSync(host.path("/var/lib/kvmesh/devices"), { recursive: true, force: true });
    fs.rmSync(host.path("/proc/swaps"), { force: true });
    host.addDevice({ name: "sdb", id, serial: "S1", bytes: 8 * MIB });
  });

  it("are claimed in a file that says for whom, and read back without a change", async () => {
    const { outputs } = await take();
    expect(host.read("/var/lib/kvmesh/devices/S1")).to.match(
      /^shop\tdev\tdev-control-0\tetcd\t\d{4}-\d\d-\d\dT[\d:]+Z\tclaimed\t\/dev\/disk\/by-id\/ata-DISK_S1\n$/,
    );
    const seen = await blockDeviceKind.read(testContext(transport), "x", { ...inputs(), ...outputs });
    expect(seen).to.deep.equal({ inputs: inputs(), outputs });
    expect(blockDeviceKind.diff({ ...inputs(), ...outputs }, inputs())).to.deep.equal([]);
  });

  it("are refused while LVM or RAID holds them, also when they are claimed", async () => {
    fs.writeFileSync(`${holders()}/dm-3`, "");
    const said = `${device}: /dev/sdb is part of dm-3 (LVM, RAID or device mapper): take it out of that first`;
    expect((await failure(take())).message).to.contain(said);
    expect(host.exists("/var/lib/kvmesh/devices/S1")).to.equal(false);
    fs.rmSync(`${holders()}/dm-3`);
    await take();
    fs.writeFileSync(`${holders()}/md0`, "");
    expect((await failure(take())).message).to.contain("/dev/sdb is part of md0");
  });

  it("are refused while the host swaps to them or has them mounted", async () => {
    host.write("/proc/swaps", "Filename\t\t\t\tType\n/dev/sdb                 partition\t1048572\t0\t-2\n");
    expect((await failure(take())).message).to.contain("/dev/sdb is swap of this host: swapoff it");
    host.write("/proc/swaps", "");
    host.write("/proc/77/mountinfo", "36 35 8:16 / /data rw,noatime shared:1 - ext4 /dev/sdb rw\n");
    expect((await failure(take())).message).to.contain("/dev/sdb is mounted on /data: unmount it there");
    // A file system of several devices has a number of its own.
    host.write("/proc/77/mountinfo", "36 35 0:48 / /pool rw shared:1 - btrfs /dev/sdb rw\n");
    expect((await failure(take())).message).to.contain("/dev/sdb is mounted on /pool");
    fs.rmSync(host.path("/proc/77"), { recursive: true });
    await take();
  });

  it("that were given back are had again only as long as nobody else put something on them", async () => {
    await take();
    host.sign("sdb", "ext4 1111");
    await blockDeviceKind.delete(testContext(transport), "x", state());
    const again = testContext(transport);
    await blockDeviceKind.create(again, inputs());
    expect(again.warnings.join()).to.contain("what it holds is used again");
    await blockDeviceKind.delete(testContext(transport), "x", state());
    host.sign("sdb", "ext4 2222");
    expect((await failure(take())).message).to.contain("left there by shop/dev/dev-control-0");
    host.sign("sdb", "");
    await take({ machine: "dev-control-1" });
    expect(host.read("/var/lib/kvmesh/devices/S1")).to.contain("\tdev-control-1\t");
  });

  it("that a killed run wrote from another image are refused, and what may be on them is left", async () => {
    for (const name of ["old", "new"]) host.write(`/var/lib/kvmesh/${name}.raw`, `the ${name} image`);
    const from = (name: string) => ({ base: `/var/lib/kvmesh/${name}.raw`, baseFormat: "raw" as const });
    await take(from("old"));
    await take(from("old"));
    const content = (): string => fs.readFileSync(host.path("/dev/sdb"), "utf8").slice(0, 13);
    expect(content()).to.equal("the old image");
    expect((await failure(take(from("new")))).message).to.contain(
      `${device} is this machine's, written from the image raw:/var/lib/kvmesh/old.raw, declared is raw:/var/lib/kvmesh/new.raw; its machine may have run. It is left untouched`,
    );
    expect((await failure(take())).message).to.contain("declared is none");
    expect(content()).to.equal("the old image");
    // One that is replaced as declared is given back first.
    await blockDeviceKind.delete(testContext(transport), "x", { ...state(), ...from("old") });
    await take(from("new"));
    expect(content()).to.equal("the new image");
  });

  it("take no path that changes with the next boot, and no image without its format", () => {
    const failures = (change: object): readonly string[] =>
      blockDeviceKind.check({ ...inputs(), ...change }).failures.map(({ property, reason }) => `${property} ${reason}`);
    expect(failures({ device: "/dev/sdb" })).to.deep.equal([
      'device must be a stable name of the device, below /dev/disk/by-id or another /dev/disk/by-*, found "/dev/sdb"',
    ]);
    expect(failures({ device: "/dev/disk/by-id/.." })).to.have.length(1);
    expect(failures({ serial: "$(reboot)" })[0]).to.contain("must be the serial number that `lsblk -o SERIAL` shows");
    expect(failures({ base: "/var/lib/kvmesh/base.qcow2" })[0]).to.contain("baseFormat must be given with base");
  });

  it("say in the plan what another device means", () => {
    const effects = (change: Partial<BlockDeviceInputs>): readonly string[] =>
      blockDeviceKind
        .diff(state(), inputs(change))
        .map(({ property, effect, reason }) => `${property} ${effect}: ${reason}`);
    expect(effects({ serial: "S2", device: "/dev/disk/by-id/b" })).to.deep.equal([
      "device replace: another device: what the old one holds stays there and is not copied",
      "serial replace: another device: what the old one holds stays there and is not copied",
    ]);
    expect(effects({ device: "/dev/disk/by-id/wwn-1" })).to.deep.equal([
      "device replace: the same disk by another name",
    ]);
    expect(effects({ minBytes: MIB })).to.deep.equal(["minBytes live: undefined"]);
  });
});
