import type { CarvedPoolSpec, DataDiskSpec, DeviceSpec } from "../../config/spec";

/** A machine's disk as the domain has it, before it is known where it is. */
export interface DataDisk extends DataDiskSpec {
  /** "nor-control-0.etcd": no node has a dot in its name. */
  readonly fullName: string;
  /** vdb, vdc, …: vda is the system's, vdz the seed. */
  readonly target: string;
  /** This machine's, where the disk is a block device. */
  readonly device?: DeviceSpec;
}

/** @param index of the machine in its pool. */
export function dataDisks(machine: string, pool: CarvedPoolSpec, index: number): readonly DataDisk[] {
  return pool.disks.map((disk, i) => ({
    ...disk,
    fullName: `${machine}.${disk.name}`,
    target: `vd${String.fromCharCode("b".charCodeAt(0) + i)}`,
    device: disk.devices?.[index],
  }));
}

/**
 * A shell script that cloud-init runs early at every boot: it makes a file system on the disk when the disk is blank, and
 * mounts it by its id. Not cloud-init's own fs_setup: with `partition: none` that formats whatever the disk holds, also
 * with `overwrite: false`, and it runs at the first boot only (docs/decisions/0035). A failure is cloud-init's, and the
 * machine's check from inside then refuses it.
 *
 * Until the disk is mounted its folder is immutable: nothing can fill the system disk instead.
 */
export function mountScript(name: string, { path, filesystem }: NonNullable<DataDiskSpec["mount"]>): string {
  return `(
set -eu
fail() { echo "kvmesh: disk ${name}: $*" >&2; exit 1; }
d=/dev/disk/by-id/virtio-${name}
m=${path}
i=0
while [ ! -b $d ] && [ $i -lt 30 ]; do sleep 1; i=$((i + 1)); done
[ -b $d ] || fail "$d is not there"
code=0
found=$(blkid -p -s TYPE -o value $d) || code=$?
if [ "$found" != ${filesystem} ]; then
  # 2: no signature that blkid knows. Data without one is data too.
  [ $code = 2 ] && [ "$(head -c 1048576 $d | tr -d '\\0' | wc -c)" = 0 ] || fail "it holds \${found:-something} and no ${filesystem}; it is left untouched"
  mkfs.${filesystem} -q $d || fail 'no ${filesystem} could be made: is mkfs.${filesystem} in the image?'
fi
sed -i "\\|^$d |d" /etc/fstab
echo "$d $m ${filesystem} defaults,nofail,x-systemd.device-timeout=30s,x-systemd.growfs 0 2" >>/etc/fstab
if ! grep -qs " $m " /proc/mounts; then
  mkdir -p $m
  [ -z "$(ls -A $m)" ] || fail "$m is not empty on the system disk"
  chattr +i $m 2>/dev/null || :
  mount $m
fi
# kubeadm wants an empty folder for etcd.
rmdir $m/lost+found 2>/dev/null || :
) || exit 1
`;
}
