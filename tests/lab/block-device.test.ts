import { execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { expect } from "chai";
import { blockDeviceKind } from "../../provider/blockdevice/kind";
import type { BlockDeviceInputs, BlockDeviceOutputs } from "../../provider/blockdevice/kind";
import { PartialError } from "../../provider/core/kind";
import { testContext } from "../support/context";
import { failure } from "../support/failure";
import { guard } from "../support/guard";
import { LocalMachine } from "../support/local-machine";

/** Loop devices and mounts take root on Linux. */
const isRoot = process.getuid?.() === 0 && process.platform === "linux";
const MIB = 2 ** 20;
const owner = { project: "shop", stack: "dev", cluster: "dev", environment: "development" } as const;

(isRoot ? describe : describe.skip)(
  `block devices on real loop devices${isRoot ? "" : " (needs root on Linux)"}`,
  function () {
    this.timeout(60_000);
    let machine: LocalMachine;
    let loop: string;
    let device: string;

    const sh = (script: string): string => execFileSync("sh", ["-ec", script], { encoding: "utf8" });
    /** Two partitions of 20 MiB, as an MBR has them. */
    const partitionTable = (): string => {
      const mbr = Buffer.alloc(512);
      for (const i of [0, 1]) {
        mbr[450 + 16 * i] = 0x83;
        mbr.writeUInt32LE(2048 + i * 40_960, 454 + 16 * i);
        mbr.writeUInt32LE(40_960, 458 + 16 * i);
      }
      mbr.writeUInt16LE(0xaa55, 510);
      return `echo ${mbr.toString("base64")} | base64 -d | dd of=${loop} conv=notrunc status=none`;
    };
    const digest = (): string => sh(`sha256sum <${loop}`);
    const inputs = (change: Partial<BlockDeviceInputs> = {}): BlockDeviceInputs => ({
      ...{ host: machine.endpoint, owner, machine: "dev-control-0", disk: "etcd", device, serial: "S 42" },
      ...change,
    });
    const take = (change: Partial<BlockDeviceInputs> = {}) =>
      blockDeviceKind.create(testContext(machine), inputs(change));
    const refused = async (change: Partial<BlockDeviceInputs> = {}): Promise<string> =>
      (await failure(take(change))).message;
    const state = (change: Partial<BlockDeviceOutputs> = {}): BlockDeviceInputs & BlockDeviceOutputs => ({
      ...inputs(),
      ...{ path: device, sizeBytes: 64 * MIB, condition: "claimed" },
      ...change,
    });
    /** Of the device: also when the tests are killed. */
    const tearDown =
      (): string => `rm -f ${device}; umount ${loop} 2>/dev/null || :; partx --delete ${loop} 2>/dev/null || :
losetup --detach ${loop}; rmdir /dev/disk/by-id /dev/disk 2>/dev/null || :`;
    let release: () => void;
    const claims = (): readonly string[] => {
      const folder = machine.path("var/lib/kvmesh/devices");
      return fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => name !== ".new") : [];
    };

    beforeEach(() => {
      machine = new LocalMachine();
      sh(`truncate -s 64M ${machine.path("disk")}`);
      loop = sh(`losetup --find --show --partscan ${machine.path("disk")}`).trim();
      fs.mkdirSync("/dev/disk/by-id", { recursive: true });
      device = `/dev/disk/by-id/kvmesh-test-${process.pid}`;
      fs.symlinkSync(loop, device);
      release = guard(tearDown());
      // A loop device has no serial number: that column, and that it counts as a disk, are not the kernel's.
      machine.command(
        "lsblk",
        `case "$*" in *SERIAL*) echo 'S 42' ;; *) /usr/bin/lsblk "$@" | sed 's/^loop/disk/' ;; esac`,
      );
      machine.command("virsh", "exit 0");
    });
    afterEach(() => {
      sh(tearDown());
      release();
      machine.close();
    });

    it("are claimed once, by whatever name, with the holder named to others", async () => {
      const { id, outputs } = await take({ minBytes: 64 * MIB });
      expect([id, outputs]).to.deep.equal([
        "dev-control-0.etcd",
        { path: device, sizeBytes: 64 * MIB, condition: "claimed" },
      ]);
      expect(claims()).to.deep.equal(["S_42"]);
      await take();
      const alias = `${device}-alias`;
      fs.symlinkSync(loop, alias);
      const error = await refused({ device: alias, machine: "dev-control-1" });
      fs.rmSync(alias);
      expect(error).to.match(
        /held already by shop\/dev\/dev-control-0 as its disk etcd since \d{4}-\d\d-\d\dT.*Give the machine another device/,
      );
    });

    it("are refused when they are not what was declared", async () => {
      expect(await refused({ serial: "S 43" })).to.contain(
        `${device} has the serial number S 42, declared is S 43: is it the right device?`,
      );
      expect(await refused({ minBytes: 65 * MIB })).to.contain("has 67108864 bytes, declared are at least 68157440");
      expect(await refused({ device: `${device}-none` })).to.contain(`there is no ${device}-none on this host`);
      fs.symlinkSync("/etc/hostname", `${device}-file`);
      const file = await refused({ device: `${device}-file` });
      fs.rmSync(`${device}-file`);
      expect(file).to.contain(`${device}-file is no block device`);
      expect(claims()).to.deep.equal([]);
    });

    it("are refused while they are mounted, also in a mount namespace of others, or swap", async () => {
      sh(`mkfs.ext4 -q ${loop}; mkdir ${machine.path("mnt")}; mount ${loop} ${machine.path("mnt")}`);
      const mounted = await refused();
      sh(`umount ${machine.path("mnt")}`);
      expect(mounted).to.contain(`${loop} is mounted on ${machine.path("mnt")}: unmount it there`);

      const other = spawn("unshare", [
        "--mount",
        "sh",
        "-c",
        `mount ${loop} ${machine.path("mnt")} && echo mounted; cat; umount ${machine.path("mnt")}`,
      ]);
      await new Promise((resolve) => other.stdout.once("data", resolve));
      const elsewhere = await refused();
      other.stdin.end();
      await new Promise((resolve) => other.once("exit", resolve));
      expect(elsewhere).to.contain(`${loop} is mounted on ${machine.path("mnt")}`);

      sh(`mkswap -q ${loop} 2>/dev/null || mkswap ${loop} >/dev/null`);
      expect(await refused()).to.contain("holds swap");
      expect(claims()).to.deep.equal([]);
    });

    it("are refused with what they hold, and are not touched", async () => {
      const holds: readonly (readonly [string, string])[] = [
        [
          `mkfs.ext4 -q ${loop}`,
          "holds ext4. It is left untouched. If nothing on it is needed, on the host: wipefs -a",
        ],
        [`wipefs -aq ${loop}; ${partitionTable()}`, "holds dos."],
        [
          `wipefs -aq ${loop}; printf words | dd of=${loop} bs=1 seek=70000 conv=notrunc status=none`,
          "holds data without a known signature.",
        ],
      ];
      for (const [make, said] of holds) {
        sh(`dd if=/dev/zero of=${loop} bs=1M count=2 conv=notrunc status=none; ${make}`);
        const before = digest();
        expect(await refused()).to.contain(said);
        expect(digest()).to.equal(before);
      }
      expect(claims()).to.deep.equal([]);
    });

    it("are refused while a process has them open, whatever its /dev, or a machine of others has them", async () => {
      const script = `mount -t tmpfs none /mnt; cp -a ${loop} /mnt/other; exec 3</mnt/other; umount -l /mnt; echo open; exec cat`;
      const opener = spawn("unshare", ["--mount", "sh", "-c", script]);
      await new Promise((resolve) => opener.stdout.once("data", resolve));
      const open = await refused();
      opener.stdin.end();
      await new Promise((resolve) => opener.once("exit", resolve));
      expect(open).to.contain(`${device} is open in cat (process ${opener.pid})`);

      machine.command(
        "virsh",
        `case "$*" in *domblklist*) printf ' vda  /var/x.qcow2\\n vdb  ${loop}\\n' ;; *list*) echo other-vm ;; esac`,
      );
      expect(await refused()).to.contain(`${device} is a disk of the machine other-vm of this host`);
    });

    it("hold data while they are claimed, are given back untouched, and are had again by the same disk only", async () => {
      await take();
      sh(`mkfs.ext4 -q ${loop}`);
      await take();
      const before = digest();
      const context = testContext(machine);
      await blockDeviceKind.delete(context, "x", state());
      expect(context.warnings.join()).to.contain("is given back with all that it holds: nothing was wiped");
      expect(digest()).to.equal(before);
      expect(await refused({ machine: "dev-control-1" })).to.contain(
        `holds ext4, left there by shop/dev/dev-control-0. It is left untouched`,
      );
      const again = testContext(machine);
      await blockDeviceKind.create(again, inputs());
      expect(again.warnings.join()).to.contain(`${device} was dev-control-0's before: what it holds is used again`);
      expect(digest()).to.equal(before);
      await blockDeviceKind.delete(testContext(machine), "x", state());
      sh(`mkfs.ext4 -qF ${loop}`);
      expect(await refused()).to.contain("holds ext4, left there by shop/dev/dev-control-0");
    });

    it("are not given back while they are open", async () => {
      await take();
      const opener = spawn("sh", ["-c", `exec 3<${loop}; echo open; exec cat`]);
      await new Promise((resolve) => opener.stdout.once("data", resolve));
      const error = (await failure(blockDeviceKind.delete(testContext(machine), "x", state()))).message;
      opener.stdin.end();
      await new Promise((resolve) => opener.once("exit", resolve));
      expect(error).to.contain(`${device} is still open in cat`);
      expect((await blockDeviceKind.read(testContext(machine), "x", state()))?.outputs.condition).to.equal("claimed");
    });

    it("tell a refresh that the claim, the serial number or the device is another or gone, and are claimed again", async () => {
      await take();
      sh(`mkfs.ext4 -q ${loop}`);
      const read = async () => (await blockDeviceKind.read(testContext(machine), "x", state()))?.outputs.condition;
      expect(await read()).to.equal("claimed");
      fs.rmSync(machine.path("var/lib/kvmesh/devices/S_42"));
      const lost = "the claim on the host is gone";
      expect(await read()).to.equal(lost);
      expect(blockDeviceKind.diff(state({ condition: lost }), inputs())).to.deep.equal([
        { property: "condition", effect: "live", reason: `${lost}: it is claimed again` },
      ]);
      await blockDeviceKind.update(testContext(machine), "x", state({ condition: lost }), inputs());
      expect(await read()).to.equal("claimed");
      machine.command("lsblk", `case "$*" in *SERIAL*) echo S-99 ;; *) echo disk 67108864 ;; esac`);
      expect(await read()).to.equal("the device has the serial number S-99");
      fs.rmSync(device);
      expect(await read()).to.equal("the device is gone");
      fs.symlinkSync(loop, device);
    });

    it("go to another owner's name without being looked into", async () => {
      await take();
      sh(`mkfs.ext4 -q ${loop}`);
      const renamed = inputs({ owner: { ...owner, stack: "test" } });
      expect(blockDeviceKind.diff(state(), renamed).map(({ effect }) => effect)).to.deep.equal(["live"]);
      await blockDeviceKind.update(testContext(machine), "x", state(), renamed);
      expect(await refused()).to.contain("held already by shop/test/dev-control-0");
    });

    it("are claimed by partition, and not beside the whole disk", async () => {
      sh(`${partitionTable()}; partx --add ${loop}`);
      // Without udev, nobody makes the nodes.
      const parts = sh(`lsblk -rno NAME,MAJ:MIN ${loop} | tail -n +2`).trim().split("\n");
      if (parts.length < 2) throw new Error("the kernel made no partitions of a loop device");
      const made = parts.map((line, i) => {
        const [name = "", number = ""] = line.split(" ");
        if (!fs.existsSync(`/dev/${name}`)) sh(`mknod /dev/${name} b ${number.replace(":", " ")}`);
        fs.symlinkSync(`/dev/${name}`, `${device}-part${i + 1}`);
        return name;
      });
      try {
        const { outputs } = await take({ device: `${device}-part1` });
        expect(outputs.sizeBytes).to.equal(20 * MIB);
        await take({ device: `${device}-part2`, disk: "logs" });
        expect(claims()).to.have.members(["S_42.part1", "S_42.part2"]);
        expect(await refused({ machine: "dev-control-1" })).to.contain("held already by shop/dev/dev-control-0");
        expect(await refused({ device: `${device}-part1`, machine: "dev-control-1" })).to.contain("as its disk etcd");
      } finally {
        for (const [i, name] of made.entries()) {
          fs.rmSync(`${device}-part${i + 1}`);
          if (name.startsWith(path.basename(loop))) fs.rmSync(`/dev/${name}`, { force: true });
        }
      }
    });

    describe("with an image", () => {
      const based = (): Partial<BlockDeviceInputs> => ({ base: machine.path("image"), baseFormat: "raw" });
      const start = (): string => sh(`head -c ${8 * MIB} ${loop} | sha256sum`);
      const image = (): string => sh(`sha256sum <${machine.path("image")}`);
      beforeEach(() => {
        sh(`head -c ${8 * MIB} /dev/urandom >${machine.path("image")}`);
        // Where there is none, what it does with a raw image and a raw device is little.
        if (spawnSync("sh", ["-c", "command -v qemu-img"]).status !== 0)
          machine.command(
            "qemu-img",
            `case $1 in info) printf '{\\n    "virtual-size": %s,\\n}\\n' "$(stat -c %s "$6")" ;; *) dd if="$7" of="$8" bs=1M conv=notrunc status=none ;; esac`,
          );
      });

      it("get it once: a second run leaves what the machine wrote", async () => {
        await take(based());
        expect(start()).to.equal(image());
        sh(`printf written | dd of=${loop} conv=notrunc status=none`);
        const written = digest();
        await take(based());
        expect(digest()).to.equal(written);
        // Replaced by a new image: given back, claimed anew, written anew.
        await blockDeviceKind.delete(testContext(machine), "x", { ...state(), ...based() });
        await take(based());
        expect(start()).to.equal(image());
      });

      it("go on after a run that was killed while it was written, and say so until then", async () => {
        machine.command(
          "sync",
          `case $1 in /dev/*) echo 'sync: killed' >&2; exit 1 ;; *) exec /usr/bin/sync "$@" ;; esac`,
        );
        const error = await failure(take(based()));
        if (!(error instanceof PartialError)) throw error;
        const { outputs } = error;
        expect(outputs).to.deep.include({ condition: "the image was not written to its end" });
        const known = { ...state(outputs), ...based() };
        expect((await blockDeviceKind.read(testContext(machine), "x", known))?.outputs).to.deep.equal(outputs);
        sh(`printf half | dd of=${loop} conv=notrunc status=none`);
        fs.rmSync(machine.path("bin/sync"));
        await blockDeviceKind.update(testContext(machine), "x", known, inputs(based()));
        expect(start()).to.equal(image());
        const ready = await blockDeviceKind.read(testContext(machine), "x", { ...state(), ...based() });
        expect(ready?.outputs.condition).to.equal("claimed");
      });

      it("do not get it over data when only the claim was lost", async () => {
        await take(based());
        sh(`printf written | dd of=${loop} conv=notrunc status=none`);
        const written = digest();
        fs.rmSync(machine.path("var/lib/kvmesh/devices/S_42"));
        const lost = { ...state({ condition: "the claim on the host is gone" }), ...based() };
        await blockDeviceKind.update(testContext(machine), "x", lost, inputs(based()));
        expect(digest()).to.equal(written);
      });

      it("are refused for one that is larger, before anything is claimed", async () => {
        fs.truncateSync(machine.path("image"), 65 * MIB);
        expect(await refused(based())).to.contain(`holds a disk of ${65 * MIB} bytes: ${device} has ${64 * MIB}`);
        expect(claims()).to.deep.equal([]);
      });
    });
  },
);
