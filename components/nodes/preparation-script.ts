import { quote } from "../../provider/core/quote";
import { HOST_LOCK } from "../../provider/libvirt/host-lock";
import { KVM_GUEST } from "../../provider/libvirt/kvm-guest";

/** What a host is made into; the component makes it of the stack file and the facts. */
export interface Preparation {
  /** "project/stack/cluster": only one stack may prepare a host. */
  readonly owner: string;
  readonly packages: boolean;
  /** What guests run by; "kvm" is tried once QEMU is there. */
  readonly accelerator: "kvm" | "qemu";
  /** One entry a NUMA node, of one size. */
  readonly hugepages: readonly { readonly node: number; readonly sizeBytes: number; readonly count: number }[];
  /** CPUs to take from the scheduler, as the kernel writes them ("2-15"); empty: none. */
  readonly isolated: string;
  readonly sysctl: Readonly<Record<string, string>>;
}

const STATE = "/var/lib/kvmesh/preparation";
const SYSCTL = "/etc/sysctl.d/80-kvmesh.conf";
const PAGES = "/etc/tmpfiles.d/kvmesh.conf";
const GRUB = "/etc/default/grub.d/kvmesh.cfg";
const PACKAGES = "qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-clients ovmf xorriso util-linux";
const GIB = 2 ** 30;

/**
 * One script for `sh -s`, whose argument says what to do: prepare, undo, reboot or boot-id. Each may run twice, and after a run that
 * was cut short. prepare prints a line for all that it changed, and "pending: …" for what waits for a boot. Before something is set,
 * what was there is noted; undo puts that back. undo needs no value of the declaration: it works on what is noted.
 */
export function preparationScript(wanted: Preparation): string {
  return `${FUNCTIONS}
owner=${quote(wanted.owner)}
prepare() {
${wanted.packages ? `  install_packages\n  try_libvirt ${wanted.accelerator}\n` : ""}  lock
  own
  apply_sysctl
  apply_pages
  apply_arguments ${quote(kernelArguments(wanted))}
}
apply_sysctl() {
${sysctlSteps(wanted.sysctl)}
}
apply_pages() {
${pageSteps(wanted.hugepages)}
}
main "$1" </dev/null
exit
`;
}

/** Isolation, and pages of 1 GiB: later, memory may be too scattered for those. The kernel spreads their sum evenly over the nodes. */
function kernelArguments({ isolated, hugepages }: Preparation): string {
  const large = hugepages.filter(({ sizeBytes }) => sizeBytes >= GIB);
  const total = large.reduce((sum, { count }) => sum + count, 0);
  return [
    ...(isolated === "" ? [] : [`isolcpus=managed_irq,domain,${isolated} nohz_full=${isolated} rcu_nocbs=${isolated}`]),
    ...(total === 0 ? [] : [`hugepagesz=${large[0]!.sizeBytes / GIB}G hugepages=${total}`]),
  ].join(" ");
}

function sysctlSteps(sysctl: Preparation["sysctl"]): string {
  const entries = Object.entries(sysctl).sort(([a], [b]) => (a < b ? -1 : 1));
  const keep = entries.map(([key]) => `sysctl ${key}\n`).join("");
  if (entries.length === 0) return `  drop ${SYSCTL}\n  restore sysctl ''`;
  return [
    ...entries.flatMap(([key]) => [
      `  was=$(sysctl -n ${quote(key)}) || fail ${quote(`this kernel has no sysctl ${key}`)}`,
      `  remember sysctl ${quote(key)} "$was"`,
    ]),
    `  put ${SYSCTL} ${quote(entries.map(([key, value]) => `${key} = ${value}`).join("\n"))}`,
    `  restore sysctl ${quote(`\n${keep}`)}`,
    `  sysctl -q -p ${SYSCTL} >&2 || fail 'this kernel does not take all of ${SYSCTL}: see above'`,
  ].join("\n");
}

/** tmpfiles sets them at each boot, before libvirt starts; by hand they are set now. */
function pageSteps(hugepages: Preparation["hugepages"]): string {
  if (hugepages.length === 0) return `  drop ${PAGES}\n  restore pages ''`;
  const entries = hugepages.map(({ node, sizeBytes, count }) => {
    const kib = sizeBytes / 1024;
    return { node, kib, count, file: `/sys/devices/system/node/node${node}/hugepages/hugepages-${kib}kB/nr_hugepages` };
  });
  return [
    ...entries.map(({ node, kib, file }) => `  has_pages ${file} ${kib} ${node}`),
    `  put ${PAGES} ${quote(entries.map(({ file, count }) => `w ${file} - - - - ${count}`).join("\n"))}`,
    `  restore pages ${quote(`\n${entries.map(({ file }) => `pages ${file}\n`).join("")}`)}`,
    ...entries.map(({ node, kib, file, count }) => `  set_pages ${file} ${kib} ${node} ${count}`),
  ].join("\n");
}

const FUNCTIONS = `set -eu
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
${HOST_LOCK}main() {
  case $1 in
    prepare) prepare ;;
    undo) undo ;;
    reboot) reboot_host ;;
    boot-id) cat /proc/sys/kernel/random/boot_id ;;
  esac
}
# Only one stack prepares a host, and nobody else's file is written over.
own() {
  if [ -e ${STATE}/owner ]; then
    [ "$(cat ${STATE}/owner)" = "$owner" ] || fail "this host is prepared by the stack $(cat ${STATE}/owner): leave prepare out here, or there"
    return 0
  fi
  for f in ${SYSCTL} ${PAGES} ${GRUB}; do
    [ ! -e "$f" ] || fail "$f is there and not of kvmesh: remove it first"
  done
  mkdir -p ${STATE}
  printf '%s\\n' "$owner" >${STATE}/owner.new
  mv -f ${STATE}/owner.new ${STATE}/owner
}
put() {
  if [ -e "$1" ] && [ "$(cat "$1")" = "$2" ]; then return 0; fi
  mkdir -p "$(dirname "$1")"
  printf '%s\\n' "$2" >"$1.new"
  mv -f "$1.new" "$1"
  echo "wrote $1"
}
drop() {
  [ -e "$1" ] || return 0
  rm -f "$1"
  echo "removed $1"
}
# What was there before the first change of it: kind, name, value.
remember() {
  if [ -e ${STATE}/before ] && grep -qF "$1 $2 " ${STATE}/before; then return 0; fi
  printf '%s %s %s\\n' "$1" "$2" "$3" >>${STATE}/before
}
# Puts back what was noted of a kind, but for the names that stay.
restore() {
  [ -e ${STATE}/before ] || return 0
  : >${STATE}/before.new
  while read -r kind name value; do
    stays=
    [ "$kind" = "$1" ] || stays=yes
    case "$2" in *"
$kind $name
"*) stays=yes ;; esac
    if [ -n "$stays" ]; then printf '%s %s %s\\n' "$kind" "$name" "$value" >>${STATE}/before.new; continue; fi
    case $kind in
      sysctl) sysctl -q -w "$name=$value" >&2 || fail "$name can't be put back to $value" ;;
      pages) if [ -e "$name" ]; then echo "$value" >"$name"; fi ;;
    esac
    echo "put $name back to $value"
  done <${STATE}/before
  mv -f ${STATE}/before.new ${STATE}/before
}
has_pages() {
  [ -e "$1" ] || fail "this host has no hugepages of $2 KiB on NUMA node $3"
  remember pages "$1" "$(cat "$1")"
}
set_pages() {
  if [ "$(cat "$1")" -ne "$4" ]; then
    echo "$4" >"$1"
    echo "set aside hugepages of $2 KiB on NUMA node $3: $(cat "$1")"
  fi
  have=$(cat "$1")
  if [ "$have" -lt "$4" ]; then echo "pending: $have of $4 hugepages of $2 KiB are there on NUMA node $3; the others need a boot"; fi
}
apply_arguments() {
  missing=
  for a in $1; do
    case " $(cat /proc/cmdline) " in *" $a "*) ;; *) missing="$missing $a" ;; esac
  done
  if ! command -v update-grub >/dev/null; then
    [ -z "$missing" ] || fail "isolated CPUs and pages of 1 GiB need kernel arguments, and this host has no update-grub: give them to its boot loader, boot it, and run this again:$missing"
    return 0
  fi
  if [ -n "$1" ]; then
    others=$(grep -lsE '^[^#]*(isolcpus|nohz_full|rcu_nocbs|hugepagesz)=' /etc/default/grub /etc/default/grub.d/*.cfg | grep -vxF ${GRUB} || :)
    [ -z "$others" ] || fail "isolcpus, nohz_full, rcu_nocbs or hugepagesz is in $others already: remove it there, or leave isolateCpus and hugepages out"
    line="GRUB_CMDLINE_LINUX_DEFAULT=\\"\\$GRUB_CMDLINE_LINUX_DEFAULT $1\\""
    if [ ! -e ${GRUB} ] || [ "$(cat ${GRUB})" != "$line" ]; then : >${STATE}/menu-is-old; fi
    put ${GRUB} "$line"
  elif [ -e ${GRUB} ]; then
    : >${STATE}/menu-is-old
    drop ${GRUB}
    echo 'pending: the kernel arguments of kvmesh are gone after the next boot'
  fi
  if [ -e ${STATE}/menu-is-old ]; then
    update-grub >&2 || fail 'update-grub failed: see above'
    rm -f ${STATE}/menu-is-old
  fi
  for a in $missing; do echo "pending: the kernel argument $a needs a boot"; done
}
undo() {
  lock
  if [ ! -e ${STATE}/owner ]; then echo 'nothing of kvmesh is here'; return 0; fi
  if [ "$(cat ${STATE}/owner)" != "$owner" ]; then
    echo "left as it is: this host is prepared by the stack $(cat ${STATE}/owner)"
    return 0
  fi
  drop ${SYSCTL}
  drop ${PAGES}
  restore sysctl ''
  restore pages ''
  apply_arguments ''
  rm -f ${STATE}/before ${STATE}/owner
  rmdir ${STATE}
}
# apt has a lock of its own, and takes its time.
install_packages() {
  missing=
  for p in ${PACKAGES}; do
    [ "$(dpkg-query -W -f='\${Status}' "$p" 2>/dev/null || :)" = 'install ok installed' ] || missing="$missing $p"
  done
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || fail "this host has no apt-get: install these by hand and leave packages out:$missing"
  export DEBIAN_FRONTEND=noninteractive
  timeout -k 10 300 apt-get -q update >&2 || fail 'apt-get update failed: see above'
  timeout -k 10 1500 apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install $missing >&2 \\
    || fail "these packages could not be installed:$missing"
  echo "installed$missing"
}
# What a probe can't see of a host without libvirt. A daemon that was just installed takes a moment.
try_libvirt() {
  tries=0
  until said=$(virsh -q -c qemu:///system version 2>&1); do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || fail "libvirt does not answer on this host: $said"
    sleep 1
  done
  [ "$1" = kvm ] || return 0
  said=$(kvm_guest)
  [ "$said" = started ] || fail "no KVM guest starts on this host ($said): switch virtualization on in its firmware, boot it, and run this again; or write accelerator: qemu, which is emulation"
}
${KVM_GUEST}
# Under the lock that starts of machines take, and which is held until the host is down.
reboot_host() {
  lock
  machines=
  for p in /proc/[0-9]*; do
    case $(readlink "$p/exe" 2>/dev/null || :) in */qemu-system-* | */qemu-kvm) ;; *) continue ;; esac
    name=$(tr '\\0' '\\n' <"$p/cmdline" | sed -n 's/^guest=\\([^,]*\\).*/\\1/p' | head -n 1)
    machines="$machines \${name:-process \${p#/proc/}}"
  done
  [ -z "$machines" ] || fail "this host needs a boot, and machines run on it:$machines. Shut them down or move them, or write reboot: never and boot it yourself"
  cat /proc/sys/kernel/random/boot_id
  (sleep 1; systemctl reboot) >/dev/null 2>&1 &
}`;
