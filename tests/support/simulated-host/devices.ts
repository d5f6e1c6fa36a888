import * as fs from "node:fs";
import * as path from "node:path";

/** A whole disk of a simulated host; its content is a file. */
export interface SimulatedDevice {
  /** Kernel name: "sdb". */
  readonly name: string;
  /** Name below /dev/disk/by-id. */
  readonly id: string;
  readonly serial: string;
  readonly bytes: number;
}

export function addDevice(root: string, { name, id, serial, bytes }: SimulatedDevice): void {
  const write = (file: string, text: string): void => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  };
  write(`dev/${name}`, "");
  fs.truncateSync(path.join(root, `dev/${name}`), bytes);
  write(`libvirt/devices/${name}`, `disk ${bytes}\n${serial}\n`);
  const number = name.charCodeAt(name.length - 1) - "a".charCodeAt(0);
  write(`sys/class/block/${name}/dev`, `8:${16 * number}\n`);
  fs.mkdirSync(path.join(root, `sys/class/block/${name}/holders`));
  fs.mkdirSync(path.join(root, "dev/disk/by-id"), { recursive: true });
  fs.symlinkSync(path.join(root, `dev/${name}`), path.join(root, "dev/disk/by-id", id));
}

/** What is "on" a device: the text of signatures that wipefs and blkid show. */
export function sign(root: string, name: string, signature: string): void {
  fs.writeFileSync(path.join(root, `libvirt/devices/${name}.signature`), signature === "" ? "" : `${signature}\n`);
}

const about = (suffix: string): string =>
  `for last in "$@"; do :; done\nf="$KVMESH_SIMULATED_ROOT/libvirt/devices/\${last##*/}${suffix}"\n`;

/** lsblk, wipefs and blkid of the devices above; every other one is none. */
export const deviceTools: Readonly<Record<string, string>> = {
  lsblk: `#!/bin/sh\n${about("")}[ -e "$f" ] || { echo "lsblk: $last: not a block device" >&2; exit 32; }\ncase "$*" in *SERIAL*) sed -n 2p "$f" ;; *) sed -n 1p "$f" ;; esac\n`,
  // blockdev --getsize64 DEVICE
  blockdev: `#!/bin/sh\nexec stat -c %s "$2"\n`,
  wipefs: `#!/bin/sh\n${about(".signature")}[ ! -e "$f" ] || cat "$f"\n`,
  blkid: `#!/bin/sh\n${about(".signature")}[ -s "$f" ] || exit 2\ncat "$f"\n`,
};
