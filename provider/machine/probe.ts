import { UserError } from "../core/kind";
import { ASK, parseAnswers } from "../node/answers";
import type { Inventory } from "./schema";

/** Prints what the machine runs on, in systemd-detect-virt's words, also where there is no systemd. */
export const HYPERVISOR = `if command -v systemd-detect-virt >/dev/null; then
  container=$(systemd-detect-virt --container) || true
  if [ "$container" != none ]; then echo "$container"; else systemd-detect-virt --vm || true; fi
elif [ -e /proc/vz ] && [ ! -e /proc/bc ]; then echo openvz
elif [ -e /.dockerenv ]; then echo docker
elif [ -e /run/.containerenv ]; then echo podman
elif tr '\\0' '\\n' </proc/1/environ 2>/dev/null | grep -q '^container='; then tr '\\0' '\\n' </proc/1/environ | sed -n 's/^container=//p'
elif grep -q '^flags.* hypervisor' /proc/cpuinfo; then
  vendor=$( (lscpu 2>/dev/null | sed -n 's/^Hypervisor vendor: *//p'; cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name 2>/dev/null) | tr 'A-Z\\n' 'a-z ')
  case "$vendor" in
    kvm*) echo kvm ;; *tcg*) echo qemu ;; *vmware*) echo vmware ;; *microsoft*) echo microsoft ;; *xen*) echo xen ;;
    *kvm*) echo kvm ;; *qemu*) echo qemu ;; *) echo vm-other ;;
  esac
else echo none
fi`;

/** CPUs that are online: nothing runs on the others, though they are configured. */
export const ONLINE_CPUS = "getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c '^processor' /proc/cpuinfo";

/** Everything that is measured inside a machine, in one script and one round trip. It changes nothing. */
export function probeScript(cloudInitTimeoutSeconds: number): string {
  return `${ASK}
ask cloudInit
# The file is made before any service starts on a boot on which cloud-init runs; without it, waiting would never end.
if [ -s /run/cloud-init/result.json ]; then
  # Its last word of this boot; asking the program itself takes an emulated machine half a minute.
  if grep -q '"errors": \\[\\]' /run/cloud-init/result.json; then echo 'status: done'; else echo 'status: error'; fi
elif [ -e /run/cloud-init/enabled ] && command -v cloud-init >/dev/null; then
  timeout ${Math.ceil(cloudInitTimeoutSeconds)} cloud-init status --wait --long 2>/dev/null
  [ $? -eq 124 ] && printf '\\nstatus: running\\n'
else
  echo 'status: absent'
fi
ask stat1; head -n 1 /proc/stat
ask hypervisor
${HYPERVISOR}
ask vcpus; ${ONLINE_CPUS}
ask memory; sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo
ask kernel; uname -r
ask rootSource; findmnt -nvo SOURCE / 2>/dev/null || awk '$2 == "/" { source = $1 } END { print source }' /proc/mounts
ask rootDisk
source=$(findmnt -nvo SOURCE / 2>/dev/null)
[ -b "$source" ] && lsblk -J -s -o NAME,TYPE,TRAN,ROTA "$source" 2>/dev/null
ask clock; date +%s
sleep 2
ask stat2; head -n 1 /proc/stat
exit 0
`;
}

/** Reads the answers of probeScript. `now` is this machine's time in milliseconds when the script ended. */
export function parseProbe(machine: string, stdout: string, now: number): Inventory {
  const answers = parseAnswers(stdout);
  const answer = (name: string): string => {
    const text = answers.get(name);
    if (text === undefined || text === "") {
      throw new UserError(
        `machine ${machine}: no answer for "${name}" when it was checked from inside; it must be a Linux with /proc and POSIX tools`,
      );
    }
    return text;
  };
  return {
    checkedAt: new Date(now).toISOString(),
    hypervisor: answer("hypervisor"),
    vcpus: Number(answer("vcpus")),
    memoryBytes: Number(answer("memory")) * 1024,
    stealPercent: stealBetween(answer("stat1"), answer("stat2")) ?? null,
    kernel: answer("kernel"),
    rootDisk: diskUnder(answers.get("rootSource") || "unknown", answers.get("rootDisk") ?? ""),
    // The clock was read two seconds before the end.
    clockOffsetSeconds: Math.round(Number(answer("clock")) + 2 - now / 1000),
    cloudInit: /^status: *(.+)$/m.exec(answer("cloudInit"))?.[1] ?? "unknown",
  };
}

/**
 * Steal between two readings of /proc/stat's first line, in percent with one decimal. Undefined where they say nothing: no
 * time has passed, or steal has become less, as some kernels count it after a migration.
 */
export function stealBetween(before: string, after: string): number | undefined {
  // user nice system idle iowait irq softirq steal; guest time is in user already.
  const read = (line: string): number[] => line.trim().split(/\s+/).slice(1, 9).map(Number);
  const [a, b] = [read(before), read(after)];
  const spent = b.map((ticks, i) => Math.max(0, ticks - (a[i] ?? 0)));
  const total = spent.reduce((sum, ticks) => sum + ticks, 0);
  if (!(total > 0) || !((b[7] ?? NaN) >= (a[7] ?? NaN))) return undefined;
  return Math.round((1000 * (b[7]! - a[7]!)) / total) / 10;
}

interface BlockDevice {
  readonly name: string;
  readonly type: string;
  readonly tran: string | null;
  readonly rota: boolean | string;
  readonly children?: readonly BlockDevice[];
}

/** Undefined where lsblk knows nothing of the device, or is none that writes JSON. */
function firstOf(lsblk: string): BlockDevice | undefined {
  try {
    return (JSON.parse(lsblk) as { blockdevices?: readonly BlockDevice[] }).blockdevices?.[0];
  } catch {
    return undefined;
  }
}

export type Disk = Inventory["rootDisk"];

/** The disk under a device: the last one of lsblk's inverse tree (partition, LVM or LUKS → disk). */
export function diskUnder(source: string, lsblk: string): Disk {
  let device = firstOf(lsblk);
  while (device?.children?.[0] !== undefined) device = device.children[0];
  if (device === undefined) return { device: source, transport: "unknown", rotational: false };
  return {
    device: `/dev/${device.name}`,
    transport: device.tran ?? (device.name.startsWith("nvme") ? "nvme" : "unknown"),
    // util-linux before 2.33 writes "1" and "0".
    rotational: device.rota === true || device.rota === "1",
  };
}
