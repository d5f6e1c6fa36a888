import { quote } from "../../provider/core/quote";
import { ASK } from "../../provider/node/answers";

/**
 * Everything that is asked of a host, in one script and one round trip. It changes nothing but a file of its own in /tmp.
 * `storage`: the folder for images and disks; it need not be there yet.
 */
export function probeScript(storage: string): string {
  return `${ASK}
ask stat1; head -n 1 /proc/stat
ask hostname; uname -n
ask virtualization
if command -v systemd-detect-virt >/dev/null; then
  container=$(systemd-detect-virt --container) || true
  if [ "$container" != none ]; then echo "$container"; else systemd-detect-virt --vm || true; fi
elif [ -e /proc/vz ] && [ ! -e /proc/bc ]; then echo openvz
elif [ -e /.dockerenv ]; then echo docker
elif tr '\\0' '\\n' </proc/1/environ 2>/dev/null | grep -q '^container='; then echo container-other
else echo unknown
fi
ask libvirt; virsh -c qemu:///system version 2>&1
ask model; lscpu | sed -n 's/^Model name: *//p' | head -n 1
ask cpus; lscpu -p=CPU,CORE,SOCKET,NODE
ask isolated; cat /sys/devices/system/cpu/isolated 2>/dev/null
ask memory
for node in /sys/devices/system/node/node[0-9]*; do
  [ -r "$node/meminfo" ] && sed -n 's/^Node \\([0-9]*\\) MemTotal: *\\([0-9]*\\) kB/\\1 \\2/p' "$node/meminfo"
done
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
ask foreign
# Whatever a definition of somebody else's says, it is one word here.
v() { virsh -q -c qemu:///system "$@" </dev/null; }
uuids=$(v list --all --uuid 2>&1) || { printf '! %s\\n' "$uuids"; uuids=; }
for uuid in $uuids; do
  xml=$(v dumpxml "$uuid" 2>/dev/null) || continue
  printf '%s' "$xml" | base64 | tr -d '\\n'; echo
done
ask kvm
# A boot sector that writes to QEMU's exit port: /dev/kvm alone is there on machines whose guests never start.
if [ ! -c /dev/kvm ]; then echo 'no /dev/kvm'
else
  qemu=$(command -v qemu-system-x86_64 || command -v qemu-kvm || ls /usr/libexec/qemu-kvm 2>/dev/null)
  if [ -z "$qemu" ]; then echo 'no qemu'
  else
    image=$(mktemp) && {
      printf '\\272\\364\\000\\260\\020\\356\\364' >"$image"
      printf '\\125\\252' | dd of="$image" bs=1 seek=510 conv=notrunc 2>/dev/null
      timeout 20 "$qemu" -accel kvm -machine pc -cpu host -m 16 -display none -nodefaults -no-reboot \\
        -device isa-debug-exit,iobase=0xf4,iosize=0x04 -drive "file=$image,format=raw,if=ide" >/dev/null 2>&1 </dev/null
      # The guest's 16 comes out as 16 * 2 + 1.
      [ $? -eq 33 ] && echo started || echo 'a guest did not start'
      rm -f "$image"
    }
  fi
fi
sleep 2
ask stat2; head -n 1 /proc/stat
exit 0
`;
}
