import { quote } from "../core/quote";
import { assertUnchanged, dropEmptyPool, ensurePool, publish, refreshPool, sidecarText } from "../libvirt/storage";
import type { SeenFile, Sidecar } from "../libvirt/storage";
import type { FileVolume, VolumeInputs } from "./schema";

/**
 * Makes the disk beside its place, then puts it there. compat=1.1: without it, an old qemu-img makes images that can't discard.
 *
 * @param unless script that ends this one when the file that is there, as `f`, is not to be written over.
 */
export function makeScript(volume: FileVolume, path: string, seen: SeenFile, sidecar: Sidecar, unless: string): string {
  return `lock
${alreadyDone(path, seen, sidecar)}${assertUnchanged(path, seen)}${unless}${ensurePool(volume.storage)}t="$f.new"
trap 'rm -f "$t"' EXIT
${make(volume)}
rm -f "$f"
${publish(sidecar, "600")}${refreshPool(volume.storage)}`;
}

/** A connection that broke runs a script again: what it did the first time is not another run's doing. */
function alreadyDone(path: string, seen: SeenFile, sidecar: Sidecar): string {
  const text = sidecarText(sidecar);
  if (seen.exists && seen.sidecarText === text) return "";
  return `f=${quote(path)}
if [ -e "$f" ] && [ -e "$f.kvmesh.json" ] && [ "$(cat "$f.kvmesh.json")" = ${quote(text)} ]; then exit 0; fi
`;
}

function make({ format, base, baseFormat, capacityBytes }: VolumeInputs): string {
  const size = `${capacityBytes}`;
  if (base === undefined) {
    // Raw takes all its space now: a folder that is full later does not fail its writes.
    const options = format === "qcow2" ? "compat=1.1" : "preallocation=falloc";
    return `qemu-img create -q -f ${format} -o ${options} "$t" ${size}`;
  }
  const checkBase = requireImage(base, baseFormat, capacityBytes);
  if (format === "qcow2") {
    return `${checkBase}qemu-img create -q -f qcow2 -o compat=1.1 -b "$b" -F ${baseFormat ?? "raw"} "$t" ${size}`;
  }
  return `${checkBase}qemu-img convert -f ${baseFormat ?? "raw"} -O raw "$b" "$t"
qemu-img resize -q -f raw "$t" ${size}`;
}

/** The image is there and fits: `b` is its path, `have` the size of the disk in it. */
export function requireImage(base: string, baseFormat: VolumeInputs["baseFormat"], capacityBytes: number): string {
  return `b=${quote(base)}
[ -e "$b" ] || fail "the image $b is not on this host"
have=$(qemu-img info -U -f ${baseFormat ?? "raw"} --output=json "$b" | sed -n 's/^    "virtual-size": \\([0-9]*\\).*/\\1/p')
[ "$have" -le ${capacityBytes} ] || fail "the image $b holds a disk of $have bytes: a disk of ${capacityBytes} is too small for it"
`;
}

/** Through libvirt when a running machine uses it: QEMU holds the image's lock, and the guest is told at once. */
export function growScript(volume: Pick<FileVolume, "format" | "capacityBytes" | "storage">, path: string): string {
  return `lock
f=${quote(path)}
user=
for d in $(v list --name); do
  if v domblklist "$d" | grep -qF " $f"; then user=$d; fi
done
if [ -n "$user" ]; then v blockresize "$user" "$f" ${volume.capacityBytes}B >/dev/null
else qemu-img resize -q -f ${volume.format} "$f" ${volume.capacityBytes}
fi
${refreshPool(volume.storage)}`;
}

/** Another mark on a disk of ours: a stack was renamed, an environment changed, the disk outlives its resource or is had again. */
export function markScript(path: string, seen: SeenFile, sidecar: Sidecar): string {
  return `lock
${alreadyDone(path, seen, sidecar)}${assertUnchanged(path, seen)}printf %s ${quote(sidecarText(sidecar))} >"$f.kvmesh.json.new"
mv -f "$f.kvmesh.json.new" "$f.kvmesh.json"
`;
}

/** QEMU's own lock says whether a machine still uses the disk. */
export function removeVolumeScript(storage: string, path: string, seen: SeenFile): string {
  return `lock
f=${quote(path)}
if [ -e "$f" ] || [ -e "$f.kvmesh.json" ]; then
${assertUnchanged(path, seen)}fi
if [ -e "$f" ]; then
  said=$(qemu-img info "$f" 2>&1) || case $said in *lock*) fail "$f is in use by a running machine" ;; esac
fi
rm -f "$f" "$f.kvmesh.json"
${dropEmptyPool(storage)}`;
}
