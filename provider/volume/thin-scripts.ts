import { quote } from "../core/quote";
import { reportCommand } from "../lvm/report";
import type { LogicalVolume } from "../lvm/report";
import { ourTags, tagsOf } from "../lvm/tags";
import type { Tagged } from "../lvm/tags";
import type { Mark } from "../libvirt/mark";
import { baseOf } from "./disks";
import { requireImage } from "./scripts";
import type { ThinVolume } from "./schema";

/** Above it a pool takes no new volume: when its metadata is full it turns read-only, and must be repaired offline. */
const METADATA_PERCENT = 80;

export function pathOf({ thinPool, name }: Pick<ThinVolume, "thinPool" | "name">): string {
  return `/dev/${thinPool.volumeGroup}/${name}`;
}

function lvOf({ thinPool, name }: ThinVolume): string {
  return `${thinPool.volumeGroup}/${name}`;
}

/** A script that runs LVM's commands starts with this. Our lock is no file of theirs, and they need not say so. */
const LVM = `export LVM_SUPPRESS_FD_WARNINGS=1
command -v lvs >/dev/null || fail 'LVM is not installed on this host: apt-get install lvm2 thin-provisioning-tools'
`;

/** The report of a volume group on standard output; a group that is not there ends the script. */
export function lookScript(volumeGroup: string): string {
  return `${LVM}exec 3>&1
said=$(${reportCommand(volumeGroup)} 2>&1 >&3) || fail ${quote(`the volume group ${volumeGroup} can't be read on this host`)}" (\${said#  })"': \`vgs\` there shows those that it has. If it is gone for good, with all on it, take its disks out of the state (pulumi state delete)'
`;
}

/**
 * The shell's view of the volume: `f` its path, `lv` its name with the group's, `tags` those of ours in a line, empty when the volume is
 * not there or not ours. `exists` tells these apart.
 */
function look(volume: ThinVolume): string {
  return `${LVM}f=${quote(pathOf(volume))}
lv=${quote(lvOf(volume))}
our_tags() { lvs --noheadings -o lv_tags "$lv" 2>/dev/null | tr -d ' ' | tr , '\\n' | grep -e '^kvmesh$' -e '^kvmesh:' | LC_ALL=C sort | tr '\\n' ' '; }
uuid_of() { lvs --noheadings -o lv_uuid "$lv" 2>/dev/null | tr -d ' '; }
exists() { [ -n "$(uuid_of)" ]; }
tags=$(our_tags)
`;
}

/** As `our_tags` prints them. */
function line(tags: readonly string[]): string {
  return tags.map((tag) => `${tag} `).join("");
}

/** Ends a script when the volume is not the one that was seen, or has other tags of ours. Under the lock. */
function assertUnchanged(seen: LogicalVolume): string {
  return `[ "$(uuid_of)" = ${quote(seen.uuid)} ] && [ "$tags" = ${quote(line(ourTags(seen.tags)))} ] || fail "$f was changed by another run meanwhile; run again"
`;
}

/**
 * Ends a script when the pool can't take so many bytes more of volumes, of which `written` are written now: under the lock, so that volumes
 * that are made side by side are not all promised the same room.
 */
function requireRoom(
  { thinPool: { volumeGroup, name, overcommit } }: ThinVolume,
  more: string,
  written: string,
): string {
  const pool = quote(`${volumeGroup}/${name}`);
  return `report=$(lvs --noheadings --units b --nosuffix --separator '|' -o lv_name,pool_lv,segtype,lv_size,data_percent,metadata_percent,zero,lv_health_status ${quote(volumeGroup)})
refused=$(printf '%s\\n' "$report" | awk -F '|' -v full=${pool} -v pool=${quote(name)} -v more="${more}" -v written="${written}" -v over=${overcommit} '
  function gib(bytes) { return sprintf("%.1f GiB", bytes / 1073741824) }
  { sub(/^ +/, "", $1) }
  $1 == pool { type = $3; size = $4; data = $5; metadata = $6; zero = $7; health = $8; sub(/ +$/, "", health) }
  $2 == pool { virtual += $4 }
  END {
    if (type == "") print "the volume group has no thin pool " pool ": see lvs on the host"
    else if (type != "thin-pool") print full " is no thin pool but " type
    else if (health != "") print "the thin pool " full " is not well (" health "): see lvmthin(7) for its repair"
    else if (data == "" || metadata == "") print "the thin pool " full " is not active: lvchange -ay " full
    else if (zero != "zero") print "the thin pool " full " does not zero its blocks, so that a volume would show what others held: lvchange --zero y " full
    else if (virtual + more > size * over) {
      print "the thin pool " full " has " gib(size) ", and its volumes already have " gib(virtual) ": " gib(more) " more is too much" (over > 1 ? " for an overcommit of " over : "") ". Make the pool larger (lvextend), remove volumes, or say how far volumes may together be larger than the pool (hosts.<host>.lvm.overcommit)"
    }
    else if (written > size * (1 - data / 100)) print "the thin pool " full " has " gib(size * (1 - data / 100)) " free, and " gib(written) " are written now: make it larger, or remove volumes"
    else if (metadata + 0 >= ${METADATA_PERCENT}) print "the metadata of the thin pool " full " is " metadata " % full: lvextend --poolmetadatasize +1G " full
  }')
[ -z "$refused" ] || fail "$refused"
`;
}

/**
 * Makes the volume. One with an image is `writing` until the image is on it to the end; that takes long and is done without the host's
 * lock. May run twice, and after a run that was killed: what that one wrote half is made anew, and what was made whole is left.
 *
 * @param before what is there and is to be made anew: half written, its tags may be of another environment or another image; or whole, and
 * `unless` is a script that ends this one when the volume, as `f`, may hold something.
 */
export function makeThinScript(
  volume: ThinVolume,
  mark: Mark,
  before: { readonly lv: LogicalVolume; readonly unless: string } | undefined,
): string {
  const { thinPool, name, base, baseFormat, capacityBytes } = volume;
  const ready: Tagged = { mark, condition: "ready", base: baseOf(volume) };
  const writing: Tagged = { ...ready, condition: "writing" };
  const first = base === undefined ? ready : writing;
  const flags = tagsOf(first)
    .map((tag) => ` --addtag ${quote(tag)}`)
    .join("");
  const image = base === undefined ? "" : requireImage(base, baseFormat, capacityBytes);
  // What was seen comes first: a volume in another pool may have the very tags that this one gets.
  return `lock
${look(volume)}${
    before
      ? `if [ "$(uuid_of)" = ${quote(before.lv.uuid)} ] && [ "$tags" = ${quote(line(ourTags(before.lv.tags)))} ]; then
${before.unless}${removeHalf}  tags=
fi
`
      : ""
  }if [ "$tags" = ${quote(line(tagsOf(ready)))} ]; then exit 0; fi
if [ "$tags" = ${quote(line(tagsOf(writing)))} ]; then
${removeHalf}fi
! exists || fail "$f has appeared meanwhile; it is left untouched: run again"
${image}${requireRoom(volume, String(capacityBytes), base === undefined ? "0" : "$have")}lvcreate -q -y -V ${capacityBytes}b --thinpool ${quote(`${thinPool.volumeGroup}/${thinPool.name}`)} -n ${quote(name)}${flags} >/dev/null </dev/null
[ -e "$f" ] || fail "LVM has made $lv, and $f is not there: does udev run on this host?"
${base === undefined ? "" : writeImage(base, writing, ready)}`;
}

/** LVM does not remove a volume that is open. */
const removeHalf = `  lvremove -q -y "$lv" >/dev/null 2>&1 </dev/null || fail "$f is in use, or being written by another run: run again when that has ended"
`;

/**
 * A new thin volume reads as zeros, so that holes of the image take no room. What did not come to its end is removed. The lock on the device is
 * the one that udev respects: nothing looks at half an image.
 */
function writeImage(base: string, writing: Tagged, ready: Tagged): string {
  const unchanged = `"$(our_tags)" = ${quote(line(tagsOf(writing)))}`;
  return `uuid=$(uuid_of)
unlock
unfinished() { [ "$(uuid_of)" != "$uuid" ] || ! [ ${unchanged} ] || { exec 8<&-; lvremove -q -y "$lv" >/dev/null 2>&1 </dev/null; }; }
trap unfinished EXIT
trap 'exit 1' HUP INT TERM
exec 8<"$f"
flock -w 300 8 || fail "$f is being written by another run"
qemu-img convert -n --target-is-zero -f ${writing.base?.format ?? "raw"} -O raw ${quote(base)} "$f"
sync "$f"
exec 8<&-
lock
[ "$(uuid_of)" = "$uuid" ] && [ ${unchanged} ] || fail "$f was changed by another run meanwhile; run again"
${changeTags(tagsOf(writing), tagsOf(ready))}trap - EXIT
`;
}

/** One change of LVM's metadata: there is no moment without a mark. */
function changeTags(before: readonly string[], after: readonly string[]): string {
  const gone = before.filter((tag) => !after.includes(tag)).map((tag) => ` --deltag ${quote(tag)}`);
  const added = after.filter((tag) => !before.includes(tag)).map((tag) => ` --addtag ${quote(tag)}`);
  if (gone.length + added.length === 0) return "";
  return `lvchange -q${gone.join("")}${added.join("")} "$lv" >/dev/null </dev/null\n`;
}

/** Another mark on a volume of ours: a stack was renamed, an environment changed, it outlives its resource or is had again. */
export function markThinScript(volume: ThinVolume, seen: LogicalVolume, tagged: Tagged): string {
  const after = tagsOf(tagged);
  return `lock
${look(volume)}[ "$tags" != ${quote(line(after))} ] || exit 0
${assertUnchanged(seen)}${changeTags(ourTags(seen.tags), after)}`;
}

/** A running machine is told at once. LVM makes sizes whole extents. */
export function growThinScript(volume: ThinVolume, seen: LogicalVolume): string {
  const { capacityBytes } = volume;
  const more = capacityBytes - seen.bytes;
  return `lock
${look(volume)}${assertUnchanged(seen)}if [ "$(lvs --noheadings --units b --nosuffix -o lv_size "$lv" | tr -d ' ')" -lt ${capacityBytes} ]; then
${requireRoom(volume, String(more), "0")}lvextend -q -L ${capacityBytes}b "$lv" >/dev/null </dev/null
fi
bytes=$(blockdev --getsize64 "$f")
for d in $(v list --name); do
  if v domblklist "$d" | awk -v f="$f" '$2 == f { found = 1 } END { exit !found }'; then v blockresize "$d" "$f" "\${bytes}B" >/dev/null; fi
done
`;
}

/** LVM does not remove a volume that is open. One is gone when the group can be read and does not have it. */
export function removeThinScript(volume: ThinVolume, seen: LogicalVolume): string {
  return `lock
${look(volume)}names=$(lvs --noheadings -o lv_name ${quote(volume.thinPool.volumeGroup)})
printf '%s\\n' "$names" | tr -d ' ' | grep -qxF -e ${quote(volume.name)} || exit 0
${assertUnchanged(seen)}said=$(lvremove -q -y "$lv" 2>&1 </dev/null) || case $said in
  *'in use'*) fail "$f is in use: is its machine still running?" ;;
  *) fail "$said" ;;
esac
`;
}
