import { z } from "zod";
import { declared, fail, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { didYouMean } from "../problems";
import { formatBytes, type Bytes } from "../units";
import type { HostSpec } from "./hosts";
import type { CarvedPoolSpec } from "./pools";

/** Disks of a carved pool's machines: block devices of the hosts, and data disks. */
export const device = z
  .strictObject({
    host: field.text("host that the device is in: the machine is placed there"),
    id: z
      .string()
      .regex(
        /^\/dev\/disk\/by-[a-z]+\/(?!\.\.?$)[\w.@+:-]+$/,
        "give a stable name of the device, such as /dev/disk/by-id/nvme-…: a disk or a partition",
      )
      .meta({
        description: "stable name of the device, below `/dev/disk/by-id`",
        examples: ["/dev/disk/by-id/nvme-…"],
      }),
    serial: z
      .string()
      .regex(
        /^[\w.:-]([\w .:-]{0,98}[\w.:-])?$/,
        "give the serial number that `lsblk -o NAME,SERIAL` shows for the disk",
      )
      .meta({
        description: "serial number as `lsblk -o NAME,SERIAL` shows it; a device that has another one is refused",
      }),
  })
  .meta({ description: "a block device of a host" });

export const dataDisk = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/,
      "a disk's name is its serial: lower-case letters, digits and hyphens, at most 20",
    )
    .meta({
      description: "name, at most 20 characters, and the disk's serial in the machine: `/dev/disk/by-id/virtio-<name>`",
    }),
  size: field.bytes("size of the disk; it can grow. With `devices`: the least that each must have").optional(),
  devices: z
    .array(device)
    .min(1)
    .meta({
      description:
        "block devices of the hosts instead of files: machine `i` gets the `i`-th, and is placed on its host",
    })
    .optional(),
  format: z
    .enum(["raw", "qcow2"])
    .meta({ description: "`raw` takes its space at once; `qcow2` as it is filled; a thin volume is always raw" })
    .default("raw"),
  onDestroy: z
    .enum(["keep", "remove"])
    .meta({
      description:
        "`keep`: the disk stays on its host when the machine is destroyed, and the next machine of the same name has it",
    })
    .default("keep"),
  mount: z
    .strictObject({
      path: z
        .string()
        .regex(/^(\/(?!\.\.?(\/|$))[\w.-]+)+$/, "give an absolute path of letters, digits, dot, underscore and hyphen")
        .meta({ description: "where the machine mounts it, by its id", examples: ["/var/lib/etcd"] }),
      filesystem: z
        .enum(["ext4", "xfs"])
        .meta({ description: "made when the disk is blank; a disk that holds anything is never formatted" })
        .default("ext4"),
    })
    .optional(),
});

/** A block device of a host; each is one node's in the stack. */
export type DeviceSpec = Immutable<z.output<typeof device>>;
/** Data disks outlive a replacement of the machine; their targets are vdb, vdc, … in the order of the list. */
export type DataDiskSpec = Immutable<z.output<typeof dataDisk>>;

type Path = readonly (string | number)[];

const MIB = 2 ** 20;

/** Data disks of every carved pool, and that no device is two machines'. */
export function checkDisks(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  const hostNames = declared(raw, "hosts");
  const taken: Taken[] = [];
  for (const pool of draft.pools) {
    if (pool.source !== "hosts") continue;
    checkStorage(pool, draft.hosts, findings);
    pool.disks.forEach((disk, i) => {
      const at = ["pools", pool.name, "disks", i];
      checkName(pool, i, at, findings);
      checkSize(disk, at, findings);
      checkMount(pool, i, at, findings);
      if (disk.devices) checkOfDevices(disk, at, findings);
    });
    const lists = deviceLists(pool);
    lists.forEach(({ what, at, devices, size }, i) => {
      checkCount(pool, devices, at, findings);
      devices.forEach((device, index) => {
        const where = [...at, index];
        if (checkHost(pool, lists.slice(0, i), index, device, hostNames, where, findings)) {
          const host = draft.hosts.find(({ name }) => name === device.host);
          if (host) checkFacts(host, device, size, where, findings);
        }
        checkTaken(device, `machine ${index} of pool ${pool.name} has it as its ${what}`, where, taken, findings);
      });
    });
  }
}

/** Disks of a pool's machines that are block devices: one of each machine. */
interface DeviceList {
  /** "system disk", "disks[0]". */
  readonly what: string;
  readonly at: Path;
  readonly devices: readonly DeviceSpec[];
  /** What each has at least. */
  readonly size?: Bytes;
}

function deviceLists({ name, disk, diskDevices, disks }: CarvedPoolSpec): readonly DeviceList[] {
  const at = ["pools", name];
  return [
    ...(diskDevices ? [{ what: "system disk", at: [...at, "diskDevices"], devices: diskDevices, size: disk }] : []),
    ...disks.flatMap(({ devices, size }, i) =>
      devices ? [{ what: `disks[${i}]`, at: [...at, "disks", i, "devices"], devices, size }] : [],
    ),
  ];
}

/** Every host that a pool of thin volumes may use has a thin pool, and what the facts say of it. */
function checkStorage(
  { name, storage, hosts: names, disks }: CarvedPoolSpec,
  hosts: readonly HostSpec[],
  findings: Findings,
): void {
  if (storage !== "lvm-thin") return;
  const at = ["pools", name];
  const without = hosts.filter((host) => names.includes(host.name) && host.lvm === undefined).map((host) => host.name);
  if (without.length > 0) {
    const message = `these hosts of the pool have no thin pool: ${without.join(", ")}. Give each its lvm.volumeGroup and lvm.thinPool, or the pool other hosts`;
    fail(findings, [...at, "storage"], storage, message);
  }
  disks.forEach((disk, i) => {
    if (disk.format !== "raw")
      fail(findings, [...at, "disks", i, "format"], disk.format, "a logical volume is raw: leave it out");
  });
}

function checkName({ disks }: CarvedPoolSpec, i: number, at: Path, findings: Findings): void {
  const { name } = disks[i]!;
  if (disks.findIndex((other) => other.name === name) < i)
    fail(findings, [...at, "name"], name, "another disk of this pool has this name");
}

function checkSize({ size, devices }: DataDiskSpec, at: Path, findings: Findings): void {
  if (size === undefined) {
    if (devices === undefined)
      fail(findings, [...at, "size"], undefined, "missing: give the size of a file, or the devices of the machines");
    return;
  }
  if (size < MIB || size % 512 !== 0)
    fail(findings, [...at, "size"], formatBytes(size), "give at least 1MiB, in whole sectors of 512 bytes");
}

function checkMount({ disks }: CarvedPoolSpec, i: number, at: Path, findings: Findings): void {
  const path = disks[i]?.mount?.path;
  if (path === undefined) return;
  const other = disks.slice(0, i).find((before) => before.mount && within(path, before.mount.path));
  if (other)
    fail(findings, [...at, "mount", "path"], path, `disk ${other.name} is mounted at ${other.mount!.path} already`);
}

/** One path is the other, or one is below the other: which is mounted first would decide what is seen. */
function within(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

function checkOfDevices({ format, onDestroy }: DataDiskSpec, at: Path, findings: Findings): void {
  if (format !== "raw") fail(findings, [...at, "format"], format, "a device is raw: leave it out");
  if (onDestroy !== "keep")
    fail(findings, [...at, "onDestroy"], onDestroy, "a device is never wiped: leave it out, or write keep");
}

function checkCount({ count }: CarvedPoolSpec, devices: readonly DeviceSpec[], at: Path, findings: Findings): void {
  if (devices.length < count)
    fail(findings, at, `${devices.length} devices`, `give one for each of the ${count} machines`);
}

/** True when the host is one of the pool's. All devices of one machine are in the host that it is placed on. */
function checkHost(
  pool: CarvedPoolSpec,
  before: readonly DeviceList[],
  index: number,
  { host }: DeviceSpec,
  hostNames: readonly string[],
  where: Path,
  findings: Findings,
): boolean {
  const at = [...where, "host"];
  if (!hostNames.includes(host)) {
    fail(findings, at, host, `no such host.${didYouMean(host, hostNames)} The hosts are ${hostNames.join(", ")}.`);
    return false;
  }
  if (!pool.hosts.includes(host)) {
    fail(findings, at, host, `the pool uses ${pool.hosts.join(", ")} (hosts): add it there, or give another device`);
    return false;
  }
  const first = before.find(({ devices }) => devices[index]);
  const other = first?.devices[index];
  if (first && other && other.host !== host) {
    const message = `machine ${index} of the pool is on ${other.host}, where its ${first.what} is: give a device of that host`;
    fail(findings, at, host, message);
  }
  return true;
}

/** What the host's facts say against it; facts without disks say nothing. */
function checkFacts(
  { name, facts }: HostSpec,
  { id, serial }: DeviceSpec,
  size: Bytes | undefined,
  where: Path,
  findings: Findings,
): void {
  if (facts.disks.length === 0) return;
  const named = facts.disks.find(({ byId }) => byId === diskOf(id).disk);
  const disk = facts.disks.find((candidate) => candidate.serial === serial);
  if (named && named.serial !== serial && named.serial !== "") {
    fail(findings, [...where, "serial"], serial, `the facts of ${name} say that this disk has ${named.serial}`);
  } else if (!disk) {
    const known = facts.disks.map((candidate) => candidate.serial || candidate.name).join(", ");
    const message = `the facts of ${name} have no disk with this serial number, but ${known}: correct it, or probe the host again`;
    fail(findings, [...where, "serial"], serial, message);
  } else if (diskOf(id).part === undefined) {
    if (disk.use.startsWith("mounted on"))
      fail(findings, [...where, "id"], id, `the facts of ${name} say that it is ${disk.use}: the host needs it itself`);
    if (size !== undefined && disk.bytes < size) {
      const message = `the facts of ${name} say that it has ${disk.bytes} bytes, fewer than the size ${formatBytes(size)} of this disk`;
      fail(findings, [...where, "id"], id, message);
    }
  }
}

interface Taken {
  readonly device: DeviceSpec;
  /** "machine 0 of pool control has it as its disks[0]". */
  readonly whose: string;
}

/** The same device twice, by whatever name; or a disk and a partition of it. */
function checkTaken(device: DeviceSpec, whose: string, where: Path, taken: Taken[], findings: Findings): void {
  const { part } = diskOf(device.id);
  const other = taken.find((before) => {
    if (before.device.host !== device.host) return false;
    if (before.device.id === device.id) return true;
    const { part: otherPart } = diskOf(before.device.id);
    const overlap = part === otherPart || part === undefined || otherPart === undefined;
    return before.device.serial === device.serial && overlap;
  });
  taken.push({ device, whose });
  if (other) fail(findings, [...where, "id"], device.id, `${other.whose} already: a device is one machine's`);
}

/** udev's names of partitions end with -part and a number. */
function diskOf(id: string): { readonly disk: string; readonly part?: string } {
  const [, disk, part] = /^(.+)-part(\d+)$/.exec(id) ?? [];
  return disk === undefined ? { disk: id } : { disk, part };
}
