import { quote } from "../../provider/core/quote";
import { LIBVIRT_GONE } from "../../provider/libvirt/gone";
import { KVM_GUEST } from "../../provider/libvirt/kvm-guest";
import { reportCommand } from "../../provider/lvm/report";
import { ASK } from "../../provider/node/answers";

/**
 * Everything that is asked of a host, in one script and one round trip. It changes nothing but a file of its own in /tmp.
 * `storage`: the folder for images and disks; it need not be there yet.
 */
export function probeScript(storage: string): string {
  return `${ASK}
${KVM_GUEST}
${LIBVIRT_GONE}ask stat1; head -n 1 /proc/stat
ask hostname; uname -n
ask architecture; uname -m
ask virtualization
if command -v systemd-detect-virt >/dev/null; then
  container=$(systemd-detect-virt --container) || true
  if [ "$container" != none ]; then echo "$container"; else systemd-detect-virt --vm || true; fi
elif [ -e /proc/vz ] && [ ! -e /proc/bc ]; then echo openvz
elif [ -e /.dockerenv ]; then echo docker
elif tr '\\0' '\\n' </proc/1/environ 2>/dev/null | grep -q '^container='; then echo container-other
else echo unknown
fi
ask libvirt
libvirt=$(virsh -c qemu:///system version 2>&1)
# 127: there is no virsh. Or there is one, without a daemon.
case $? in
  0) ;;
  127) libvirt=missing ;;
  *) command -v libvirtd >/dev/null || command -v virtqemud >/dev/null || libvirt=missing ;;
esac
printf '%s\\n' "$libvirt"
ask qemu
qemu=$(qemu_binary)
{ [ -n "$qemu" ] && "$qemu" --version 2>/dev/null | grep -m 1 version; } || echo missing
ask model; lscpu | sed -n 's/^Model name: *//p' | head -n 1
ask cpus; lscpu -p=CPU,CORE,SOCKET,NODE
ask isolated; cat /sys/devices/system/cpu/isolated 2>/dev/null
ask memory
for node in /sys/devices/system/node/node[0-9]*; do
  [ -r "$node/meminfo" ] && sed -n 's/^Node \\([0-9]*\\) MemTotal: *\\([0-9]*\\) kB/\\1 \\2/p' "$node/meminfo"
done
ask present
awk '/^Node/ { node = $2 + 0 } $1 == "present" { pages[node] += $2 }
  END { for (node in pages) printf "%d %.0f\\n", node, pages[node] * kib }' kib="$(($(getconf PAGESIZE) / 1024))" /proc/zoneinfo 2>/dev/null
ask totalMemory; sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo
ask availableMemory; sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo
ask defaultHugepage; sed -n 's/^Hugepagesize: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo
ask hugepages
for pages in /sys/devices/system/node/node[0-9]*/hugepages/hugepages-*kB; do
  [ -r "$pages/nr_hugepages" ] || continue
  node=\${pages#*/node/node}
  size=\${pages##*hugepages-}
  echo "\${node%%/*} \${size%kB} $(cat "$pages/nr_hugepages")"
done
ask disks; lsblk -J -b -o NAME,TRAN,ROTA,MODEL,SERIAL,SIZE,TYPE,FSTYPE,MOUNTPOINT 2>/dev/null
ask byId
# The shortest good name of each disk: by model and serial, before the numbers of its name space.
for link in /dev/disk/by-id/nvme-* /dev/disk/by-id/ata-* /dev/disk/by-id/scsi-* /dev/disk/by-id/wwn-* /dev/disk/by-id/virtio-*; do
  [ -e "$link" ] && printf '%s %s\\n' "$(basename "$(readlink -f "$link")")" "$link"
done
ask storage
d=${quote(storage)}
while [ ! -d "$d" ]; do d=$(dirname "$d"); done
df -B1 --output=size,avail "$d" | tail -n 1
ask volumes
if command -v lvs >/dev/null; then
  exec 3>&1
  said=$(${reportCommand()} 2>&1 >&3) || printf '\\n! %s\\n' "$said"
  exec 3>&-
fi
ask foreign
if [ "$libvirt" = missing ]; then
  # Those that nobody can list.
  left_behind | sed 's/^/! /'
else
  v() { virsh -q -c qemu:///system "$@" </dev/null; }
  uuids=$(v list --all --uuid 2>&1) || { printf '! %s\\n' "$uuids"; uuids=; }
  for uuid in $uuids; do
    if ! xml=$(v dumpxml "$uuid" 2>&1); then
      # Undefined since it was listed, or not to be read: then nobody knows its cores.
      still=$(v list --all --uuid 2>&1) || still=$uuid
      case $still in *"$uuid"*) printf '! the definition of machine %s: %s\\n' "$uuid" "$(echo "$xml" | head -n 1)" ;; esac
      continue
    fi
    # Whatever a definition of somebody else's says, it is one word here.
    printf '%s' "$xml" | base64 | tr -d '\\n'; echo
  done
fi
ask kvm; kvm_guest
sleep 2
ask stat2; head -n 1 /proc/stat
exit 0
`;
}
