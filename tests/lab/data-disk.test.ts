import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { mountScript } from "../../components/nodes/data-disk";
import { guard } from "../support/guard";

/** Loop devices and mounts take root on Linux. */
const isRoot = process.getuid?.() === 0 && process.platform === "linux";

(isRoot ? describe : describe.skip)(
  `what a machine does with its data disk at each boot${isRoot ? "" : " (needs root on Linux)"}`,
  () => {
    let folder: string;
    let device: string;
    let release: () => void;
    beforeEach(() => {
      folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-data-disk-"));
      execFileSync("truncate", ["-s", "64M", path.join(folder, "disk")]);
      device = execFileSync("losetup", ["--find", "--show", path.join(folder, "disk")], { encoding: "utf8" }).trim();
      release = guard(`chattr -i ${mnt()}; losetup --detach ${device}; rm -rf ${folder}`);
    });
    afterEach(() => {
      spawnSync("chattr", ["-i", mnt()]);
      execFileSync("losetup", ["--detach", device]);
      fs.rmSync(folder, { recursive: true, force: true });
      release();
    });

    /** One boot: /dev and /etc of its own in a mount namespace, with the device under its id; then `look` in there. */
    function boot(filesystem: "ext4" | "xfs", look = "", prepare = ""): { code: number | null; text: string } {
      const target = path.join(folder, "mnt");
      const script = `
mount -t tmpfs none /etc
: >/etc/fstab
number=$(stat -c '0x%t 0x%T' ${device})
mount -t tmpfs -o dev none /dev
mknod ${device} b $number
mknod /dev/null c 1 3
mkdir -p /dev/disk/by-id
ln -s ${device} /dev/disk/by-id/virtio-etcd
${prepare}
${mountScript("etcd", { path: target, filesystem })}
cat /etc/fstab
${look}`;
      const result = spawnSync("unshare", ["--mount", "sh", "-c", script], { encoding: "utf8" });
      return { code: result.status, text: result.stdout + result.stderr };
    }
    const mnt = (): string => path.join(folder, "mnt");

    it("makes a file system on a blank disk, mounts it by id, and never makes it again", () => {
      const first = boot("ext4", `ls -A ${mnt()} | wc -l; echo data >${mnt()}/kept; findmnt -no FSTYPE ${mnt()}`);
      expect(first).to.deep.equal({
        code: 0,
        text: `/dev/disk/by-id/virtio-etcd ${mnt()} ext4 defaults,nofail,x-systemd.device-timeout=30s,x-systemd.growfs 0 2\n0\next4\n`,
      });
      const uuid = (): string =>
        execFileSync("blkid", ["-p", "-s", "UUID", "-o", "value", device], { encoding: "utf8" });
      const made = uuid();
      for (let start = 0; start < 2; start++) {
        expect(boot("ext4", `cat ${mnt()}/kept`).text).to.match(/\ndata\n$/);
        expect(uuid()).to.equal(made);
      }
    });

    it("writes one line of fstab, whatever was there of the disk", () => {
      const old =
        "echo '/dev/disk/by-id/virtio-etcd /old ext4 defaults 0 2' >>/etc/fstab; echo '/dev/vda1 / ext4 defaults 0 1' >>/etc/fstab";
      const lines = boot("ext4", "", old).text.trim().split("\n");
      expect(lines).to.have.length(2);
      expect(lines[0]).to.equal("/dev/vda1 / ext4 defaults 0 1");
      expect(lines[1]).to.contain(mnt());
    });

    it("leaves another file system, and data without any, untouched and fails", () => {
      const digest = (): string =>
        execFileSync("sh", ["-c", `head -c 16M ${device} | sha256sum`], { encoding: "utf8" });
      execFileSync("mkfs.ext4", ["-q", device]);
      const before = digest();
      const other = boot("xfs");
      expect(other.code).to.equal(1);
      expect(other.text).to.contain("kvmesh: disk etcd: it holds ext4 and no xfs; it is left untouched");
      expect(digest()).to.equal(before);

      execFileSync("wipefs", ["-aq", device]);
      execFileSync("sh", [
        "-c",
        `head -c 1048576 /dev/zero >${device}; printf words | dd of=${device} bs=1 seek=70000 conv=notrunc status=none`,
      ]);
      const unknown = digest();
      const unsigned = boot("ext4");
      expect(unsigned.code).to.equal(1);
      expect(unsigned.text).to.contain("it holds something and no ext4; it is left untouched");
      expect(digest()).to.equal(unknown);
    });

    it("fails when the folder holds something that the mount would hide", () => {
      fs.mkdirSync(mnt());
      fs.writeFileSync(path.join(mnt(), "member"), "of the system disk");
      const result = boot("ext4");
      expect(result.code).to.equal(1);
      expect(result.text).to.contain("is not empty on the system disk");
    });

    it("makes the folder below the mount immutable, so that nothing lands on the system disk instead", () => {
      boot("ext4");
      const write = spawnSync("touch", [path.join(mnt(), "lost")], { encoding: "utf8" });
      const immutable = execFileSync("lsattr", ["-d", mnt()], { encoding: "utf8" }).slice(0, 20).includes("i");
      expect(immutable).to.equal(true);
      expect(write.stderr).to.contain("Operation not permitted");
    });
  },
);
