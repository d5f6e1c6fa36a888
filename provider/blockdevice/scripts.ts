import type { Owner } from "../core/check";
import { quote } from "../core/quote";

/** Claims of block devices: one file a device, named after its serial, so that two names of one device are one claim. */
export const CLAIMS = "/var/lib/kvmesh/devices";

export interface Claimant {
  readonly owner: Owner;
  readonly machine: string;
  readonly disk: string;
}

/** A file's first four fields; then since when, its state, the device's path, and the image that is written to it; of a released one, what the device held. */
export function claimantKey({ owner, machine, disk }: Claimant): string {
  return [owner.project, owner.stack, machine, disk].join("\t");
}

export interface Wanted extends Claimant {
  readonly device: string;
  readonly serial: string;
  readonly minBytes?: number | undefined;
  readonly base?: string | undefined;
  readonly baseFormat?: string | undefined;
}

/**
 * Finds the device: `real` its node, `k` its kernel name, `part` its number when it is a partition, `whole` the disk's kernel name,
 * `family` all devices that share its blocks, `claim` the name of its file. `found` is empty when it is not there.
 */
function locate(device: string): string {
  return `d=${quote(device)}
found= type= size=0 serial= part= whole= family= claim=
if real=$(readlink -e "$d"); then
  k=\${real##*/}
  whole=$k
  if found=$(lsblk -bdno TYPE,SIZE "$real" 2>/dev/null); then
    type=\${found%% *} size=\${found##* }
    if [ -e "/sys/class/block/$k/partition" ]; then
      part=$(cat "/sys/class/block/$k/partition")
      whole=$(readlink -f "/sys/class/block/$k")
      whole=\${whole%/*}
      whole=\${whole##*/}
    fi
    serial=$(lsblk -dno SERIAL "/dev/$whole" | sed 's/^ *//; s/ *$//')
    claim=$(printf %s "$serial" | tr -c 'A-Za-z0-9_-' _)\${part:+.part$part}
    family=$k
    [ -z "$part" ] || family="$k $whole"
    for p in "/sys/class/block/$k"/*/partition; do
      [ -e "$p" ] || continue
      p=\${p%/partition}
      family="$family \${p##*/}"
    done
  fi
fi
# A process that has it open, by number: QEMU has a /dev of its own. udev and the like look at a new device for a moment.
opener() {
  numbers=
  for m in $family; do numbers="$numbers $(printf '%x:%x' $(tr : ' ' <"/sys/class/block/$m/dev"))"; done
  for try in 1 2 3; do
    open=$(timeout 20 find -L /proc/[0-9]*/fd -maxdepth 1 -type b -exec stat -L -c '%t:%T %n' {} + 2>/dev/null |
      while read -r number file; do
        case "$numbers " in *" $number "*) printf '%s\\n' "$file" ;; esac
      done | head -n 1)
    [ -n "$open" ] || return 0
    sleep 1
  done
  open=\${open#/proc/}
  open=\${open%%/*}
  printf '%s (process %s)' "$(cat "/proc/$open/comm" 2>/dev/null || echo unknown)" "$open"
}
# What is on it, by every signature and its identifiers; the same text means that nobody made another file system on it.
held() { { wipefs -ni -O TYPE,OFFSET,UUID "$real"; blkid -p -s UUID -s PTUUID -o value "$real" || :; } | sha256sum | cut -c1-64; }
`;
}

/** Ends the script with what is wrong with the device, whoever claims it. */
function requireSound({ serial, minBytes }: Wanted): string {
  return `[ -n "$real" ] || fail "there is no $d on this host: is the device there, and is this its name?"
[ -n "$found" ] || fail "$d is no block device"
case $type in disk | part) ;; *) fail "$d is of the type $type: give a whole disk or a partition" ;; esac
[ "$serial" = ${quote(serial)} ] || fail "$d has the serial number \${serial:-(none)}, declared is ${wordsOf(serial)}: is it the right device?"
[ "$size" -ge ${minBytes ?? 1} ] || fail "$d has $size bytes, declared are at least ${minBytes ?? 1}"
for m in $family; do
  number=$(cat "/sys/class/block/$m/dev")
  at=$(grep -hsE "^[0-9]+ [0-9]+ $number | - [^ ]+ /dev/$m " /proc/[0-9]*/mountinfo | cut -d' ' -f5 | sort -u | head -n 3 | tr '\\n' ' ' || :)
  [ -z "$at" ] || fail "$d: /dev/$m is mounted on \${at% }: unmount it there, and take it out of /etc/fstab"
  ! grep -qs "^/dev/$m " /proc/swaps || fail "$d: /dev/$m is swap of this host: swapoff it, and take it out of /etc/fstab"
  holders=$(ls "/sys/class/block/$m/holders" 2>/dev/null | tr '\\n' ' ')
  [ -z "$holders" ] || fail "$d: /dev/$m is part of \${holders% } (LVM, RAID or device mapper): take it out of that first"
done
`;
}

/** Ends the script unless the device is nobody's: what holds data, or is used by a machine, is not taken. */
const REQUIRE_UNUSED = `users() {
  v list --all --name </dev/null | while read -r name; do
    [ -n "$name" ] || continue
    { v domblklist "$name" </dev/null; v domblklist --inactive "$name" </dev/null; } | while read -r _ source; do
      case $source in /dev/*) ;; *) continue ;; esac
      node=$(readlink -f "$source")
      case " $family " in *" \${node##*/} "*) printf '%s\\n' "$name" ;; esac
    done
  done
}
user=$(users | head -n 1)
[ -z "$user" ] || fail "$d is a disk of the machine $user of this host"
user=$(opener)
[ -z "$user" ] || fail "$d is open in $user"
remedy="It is left untouched. If nothing on it is needed, on the host: wipefs -a $d && dd if=/dev/zero of=$d bs=1M count=1"
signs=$(wipefs -ni -O TYPE "$real" | sort -u | tr -s ' \\n' ' ')
[ -z "\${signs# }" ] || fail "$d holds \${signs% }\${last:+, left there by $last}. $remedy"
[ "$(head -c 1048576 "$real" | tr -d '\\0' | wc -c)" = 0 ] || fail "$d holds data without a known signature\${last:+, left there by $last}. $remedy"
`;

/** The image is there and fits, before anything is claimed for it. */
function requireImage({ base, baseFormat }: Wanted): string {
  if (base === undefined) return "";
  return `b=${quote(base)}
[ -e "$b" ] || fail "the image $b is not on this host"
have=$(qemu-img info -U -f ${baseFormat ?? "raw"} --output=json "$b" | sed -n 's/^    "virtual-size": \\([0-9]*\\).*/\\1/p')
[ "$have" -le "$size" ] || fail "the image $b holds a disk of $have bytes: $d has $size"
`;
}

export interface TakeOptions {
  /** Who had it before, in the state: its claim becomes this one. */
  readonly before?: Claimant;
  /** The state says that it is ours and complete: a claim that was lost is written again, whatever the device holds by now. */
  readonly known?: boolean;
}

/**
 * Claims the device: prints "state since-before size", or "held" with who holds it (tabs). `since-before` is "again" for a device that
 * the same machine gave back, and that holds what it held then. May run twice: what a killed run left is this machine's claim.
 */
export function takeScript(wanted: Wanted, { before = wanted, known = false }: TakeOptions = {}): string {
  const fresh = wanted.base === undefined ? "claimed" : known ? "ready" : "writing";
  const image = wanted.base === undefined ? "" : `${wanted.baseFormat ?? "raw"}:${wanted.base}`;
  return `lock
${locate(wanted.device)}${requireSound(wanted)}${requireImage(wanted)}me=${quote(claimantKey(wanted))}
before=${quote(claimantKey(before))}
image=${quote(image)}
folder ${CLAIMS}
cd ${CLAIMS}
mine= since= last= again=new
for c in "$claim" "\${claim%.part*}" "$claim".part*; do
  [ -s "$c" ] || continue
  holder=$(cut -f1-4 "$c")
  state=$(cut -f6 "$c")
  if [ "$state" = released ]; then
    last=$(cut -f1-3 "$c" | tr '\\t' /)
    if [ "$c" = "$claim" ] && [ "$holder" = "$me" ] && [ "$(cut -f8 "$c")" = "$(held)" ]; then again=again; fi
  elif [ "$c" = "$claim" ] && { [ "$holder" = "$me" ] || [ "$holder" = "$before" ]; }; then
    mine=$state since=$(cut -f5 "$c") had=$(cut -f8 "$c")
    if [ "$mine" = ready ] && [ -n "$had" ] && [ "$had" != "$image" ]; then
      fail "$d is this machine's, written from the image $had, declared is \${image:-none}; its machine may have run. It is left untouched: declare that image, or, if nothing on it is needed, on the host: rm ${CLAIMS}/$c; wipefs -a $d && dd if=/dev/zero of=$d bs=1M count=1"
    fi
  else
    printf 'held\\t'; cut -f1-5 "$c"
    exit 0
  fi
done
if [ -z "$mine" ] && [ $again = new ]; then
${known ? ":" : REQUIRE_UNUSED}
fi
: "\${mine:=${fresh}}" "\${since:=$(date -u +%Y-%m-%dT%H:%M:%SZ)}"
{ printf '%s\\t%s\\t%s\\t%s' "$me" "$since" "$mine" "$d"; [ -z "$image" ] || printf '\\t%s' "$image"; echo; } >.new
mv -f .new "$claim"
printf '%s\\t%s\\t%s\\n' "$mine" $again "$size"
`;
}

/**
 * Writes the image over the device that is claimed for it, once: \`ready\` in the claim says that it was written to the end, and a run that
 * was killed before begins anew. The lock is the one that udev respects, so that nothing looks at half an image.
 */
export function writeScript(wanted: Wanted): string {
  return `${locate(wanted.device)}me=${quote(claimantKey(wanted))}
[ -n "$found" ] && [ "$serial" = ${quote(wanted.serial)} ] || fail "$d is not there any more"
exec 8<"$real"
flock -w 300 8 || fail "$d is being written by another run"
c=${CLAIMS}/$claim
mine() { [ -s "$c" ] && [ "$(cut -f1-4 "$c")" = "$me" ] && [ "$(cut -f6 "$c")" = "$1" ]; }
if mine ready; then exit 0; fi
mine writing || fail "the claim of $d was changed by another run meanwhile; run again"
qemu-img convert -n -f ${wanted.baseFormat ?? "raw"} -O raw ${quote(wanted.base ?? "")} "$real"
sync "$real"
lock
mine writing || fail "the claim of $d was changed by another run meanwhile; run again"
awk -F '\\t' -v OFS='\\t' '{ $6 = "ready"; print }' "$c" >"${CLAIMS}/.new"
mv -f "${CLAIMS}/.new" "$c"
`;
}

/** "claim <state>" when there is one, "device <serial> <size>" when it is there; tabs. A device that is gone can't say which claim is its own. */
export function seenScript(wanted: Wanted): string {
  return `${locate(wanted.device)}for c in ${CLAIMS}/*; do
  [ -z "$claim" ] || [ "$c" = "${CLAIMS}/$claim" ] || continue
  if [ -s "$c" ] && [ "$(cut -f1-4 "$c")" = ${quote(claimantKey(wanted))} ]; then printf 'claim\\t%s\\n' "$(cut -f6 "$c")"; fi
done
[ -z "$found" ] || printf 'device\\t%s\\t%s\\n' "$serial" "$size"
`;
}

/** Gives the device back, with a note of who had it and what it holds; nothing on it is touched. A device that is gone is given back, too. */
export function releaseScript(wanted: Wanted): string {
  return `lock
${locate(wanted.device)}for c in ${CLAIMS}/*; do
  [ -s "$c" ] && [ "$(cut -f1-4 "$c")" = ${quote(claimantKey(wanted))} ] && [ "$(cut -f6 "$c")" != released ] || continue
  holds=unknown
  if [ -n "$found" ] && [ "$c" = "${CLAIMS}/$claim" ]; then
    user=$(opener)
    [ -z "$user" ] || fail "$d is still open in $user: it is given back when that has ended"
    holds=$(held)
  fi
  printf '%s\\t%s\\t%s\\t%s\\t%s\\n' "$(cut -f1-4 "$c")" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" released "$d" "$holds" >${CLAIMS}/.new
  mv -f ${CLAIMS}/.new "$c"
done
`;
}

/** A serial number in a shell's double quotes: its characters are checked, and mean nothing there. */
function wordsOf(serial: string): string {
  return serial.replace(/[^\w .:-]/g, "?");
}
