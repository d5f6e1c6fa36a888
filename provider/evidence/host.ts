import { quote } from "../core/quote";
import type { Context } from "../core/kind";
import { holderKey } from "../corelease/scripts";
import type { Holder } from "../corelease/scripts";
import { parseDomainXml } from "../domain/seen";
import type { SeenXml } from "../domain/seen";
import { child, parseXml, textOf } from "../domain/xml-tree";
import { parseCpus } from "../libvirt/cpulist";
import { askVirsh, LEASES, sectionsOf } from "../libvirt/script";
import { parseThreads, THREADS_OF } from "../libvirt/threads";
import type { Thread } from "../libvirt/threads";
import { diskUnder, type Disk } from "../machine/probe";
import type { Endpoint } from "../transport/transport";

/** One thread of a machine on the host; the one with the id of the process runs the emulator's main loop. */
export interface HostThread extends Thread {
  readonly machine: string;
}

/** What the host says of one running machine, and of those beside it. */
export interface SeenHost {
  /** Seconds since 1970, with fractions. */
  readonly time: number;
  readonly xml: SeenXml;
  /** Names of elements in cputune that limit the time of vCPUs or emulator. */
  readonly xmlQuotas: readonly string[];
  /** Of every running machine of the host. */
  readonly threads: readonly HostThread[];
  readonly isolated: readonly number[];
  readonly nohzFull: readonly number[];
  /** CPU limits in the cgroups of the vCPU threads: file and what it says. undefined: no cgroup could be read. */
  readonly quotas: readonly { readonly file: string; readonly limit: string }[] | undefined;
  /** KiB of the machine's memory by NUMA node. undefined: the kernel does not say. */
  readonly memory: ReadonlyMap<number, number> | undefined;
  /** CPU → holder: project, stack and machine with tabs between them. */
  readonly leases: ReadonlyMap<number, string>;
  /** The devices under the machine's disks. */
  readonly disks: readonly Disk[];
  readonly kernel: string;
  readonly libvirt: string;
  readonly qemu: string;
}

/** Undefined: the machine does not run on this host. */
export async function inspectHost(ctx: Context, at: Endpoint, machine: string): Promise<SeenHost | undefined> {
  const script = (nonce: string): string => hostScript(machine, nonce);
  return parseHost(await sectionsOf(ctx, at, `measuring machine ${machine}`, script));
}

/** Threads of all machines again, for what happened in between. */
export async function inspectThreads(
  ctx: Context,
  at: Endpoint,
  machine: string,
): Promise<Pick<SeenHost, "time" | "threads">> {
  const script = (nonce: string): string => `${SECTION(nonce)}\nmachines=$(v list --name)\n${THREADS}`;
  const sections = await sectionsOf(ctx, at, `measuring machine ${machine}`, script);
  return { time: Number(sections.get("time")), threads: machineThreads(sections) };
}

const SECTION = (nonce: string): string => `section() { printf '%s %s\\n' ${quote(nonce)} "$1"; }`;

/** Of `$machines`, a name a line. */
const THREADS = `${THREADS_OF}
section time; date +%s.%N
section pids
pids=
while IFS= read -r m; do
  # The folder also has libvirtd's own pid.
  p=
  { read -r p <"/run/libvirt/qemu/$m.pid"; } 2>/dev/null || [ -n "$p" ] || continue
  pids="$pids $p"
  printf '%s\\t%s\\n' "$p" "$m"
done <<EOF
$machines
EOF
section threads; threads_of $pids
section end`;

/** `line FILE`: its first line, without a process; nothing where it is not there. */
export const LINE = `line() { { IFS= read -r line <"$1"; } 2>/dev/null || return 0; printf '%s\\n' "$line"; }`;

/** Limits of `$pid`'s vCPU threads, in their cgroup and all above: "FILE<tab>LIMIT" a line, of cgroup v1, v2 or both at once. */
export const QUOTAS = `for t in /proc/$pid/task/*; do
  { read -r comm <"$t/comm"; } 2>/dev/null || continue
  case $comm in CPU\\ *) ;; *) continue ;; esac
  while IFS=: read -r _ controllers path; do
    case ",$controllers," in
      ,,) base=/sys/fs/cgroup ;;
      *,cpu,*) base=/sys/fs/cgroup/cpu; [ -d "$base" ] || base=/sys/fs/cgroup/$controllers ;;
      *) continue ;;
    esac
    while :; do
      for f in cpu.max cpu.cfs_quota_us; do
        [ ! -r "$base$path/$f" ] || { printf '%s\\t' "$base$path/$f"; line "$base$path/$f"; }
      done
      case $path in ""|/) break ;; esac
      path=\${path%/*}
    done
  done <"$t/cgroup" 2>/dev/null || true
done | sort -u`;

/**
 * Reads only. Affinities and waiting times are the kernel's, for all machines of the host: libvirt's XML does not show what was
 * changed behind its back, and who else is allowed onto a CPU stands nowhere but in the others' threads.
 */
export function hostScript(machine: string, nonce: string): string {
  const name = quote(machine);
  // What must be answered is the last: its code is virsh's.
  const asked = `answers=$(${askVirsh(nonce, {
    version: "version",
    blocks: `domblklist ${name}`,
    machines: "list --name",
    xml: `dumpxml ${name}`,
  })})`;
  return `n=${name}
${SECTION(nonce)}
pid=$(cat "/run/libvirt/qemu/$n.pid" 2>/dev/null) || exit 0
${asked}
of() { printf '%s\\n' "$answers" | sed -n "/^${nonce} $1\$/,/^${nonce} /{/^${nonce} /d;p;}"; }
machines=$(of machines)
printf '%s\\n' "$answers"
${LINE}
section isolated; line /sys/devices/system/cpu/isolated
section nohz; line /sys/devices/system/cpu/nohz_full
section kernel; uname -r
section quotas
${QUOTAS}
# Mappings of 64 MiB and more are the machine's memory; what is smaller is QEMU itself and its libraries.
if [ -r /proc/$pid/numa_maps ]; then
  section memory
  awk '{
    page = 4; total = 0; split("", kib)
    for (i = 2; i <= NF; i++) if ($i ~ /^kernelpagesize_kB=/) page = substr($i, 19)
    for (i = 2; i <= NF; i++) if ($i ~ /^N[0-9]+=/) {
      split(substr($i, 2), pair, "="); kib[pair[1]] = pair[2] * page; total += pair[2] * page
    }
    if (total >= 65536) for (node in kib) sum[node] += kib[node]
  } END { for (node in sum) printf "%d\\t%d\\n", node, sum[node] }' /proc/$pid/numa_maps
fi
section leases
grep -sH '' ${LEASES}/cpu-* || true
section disks
of blocks | while read -r _ path; do
  case $path in /*) ;; *) continue ;; esac
  if [ -b "$path" ]; then source=$path; else source=$(findmnt -nvo SOURCE -T "$path" 2>/dev/null || true); fi
  tree=
  [ ! -b "$source" ] || tree=$(lsblk -J -s -o NAME,TYPE,TRAN,ROTA "$source" 2>/dev/null | tr -d '\\n' || true)
  printf '%s\\t%s\\n' "$source" "$tree"
done
${THREADS}
`;
}

function parseHost(sections: ReadonlyMap<string, string>): SeenHost | undefined {
  const xml = sections.get("xml");
  if (xml === undefined) return undefined;
  const lines = (name: string): string[] => (sections.get(name) ?? "").split("\n").filter(Boolean);
  const pairs = (name: string): (readonly [string, string])[] =>
    lines(name).map((line) => {
      // A section's last line has lost the tab before an empty field.
      const [name = "", ...rest] = line.split("\t");
      return [name, rest.join("\t")];
    });
  const quotas = pairs("quotas");
  const memory = pairs("memory").map(([node, kib]) => [Number(node), Number(kib)] as const);
  const version = (what: RegExp): string => what.exec(sections.get("version") ?? "")?.[1] ?? "unknown";
  return {
    time: Number(sections.get("time")),
    xml: parseDomainXml(xml),
    xmlQuotas: quotasOf(xml),
    threads: machineThreads(sections),
    isolated: parseCpus(sections.get("isolated") ?? ""),
    nohzFull: parseCpus(sections.get("nohz") ?? ""),
    quotas: quotas.length === 0 ? undefined : quotas.filter(([, limit]) => limited(limit)).map(asQuota),
    memory: memory.length === 0 ? undefined : new Map(memory),
    leases: new Map(lines("leases").flatMap(lease)),
    disks: pairs("disks").map(([source, tree]) => diskUnder(source, tree)),
    kernel: sections.get("kernel") ?? "unknown",
    libvirt: version(/library: libvirt (\S+)/),
    qemu: version(/hypervisor: QEMU (\S+)/),
  };
}

/** cpu.max of cgroup v2 is "max PERIOD" without a limit, cpu.cfs_quota_us of v1 is -1. */
function limited(limit: string): boolean {
  return !/^(max\b|-1$)/.test(limit);
}

function asQuota([file, limit]: readonly [string, string]): { file: string; limit: string } {
  return { file, limit };
}

/** "/var/lib/kvmesh/leases/cpu-3:project, stack, machine, since" with tabs. */
function lease(line: string): (readonly [number, string])[] {
  const match = /\/cpu-(\d+):(.*)$/.exec(line);
  return match ? [[Number(match[1]), match[2]!.split("\t").slice(0, 3).join("\t")]] : [];
}

function machineThreads(sections: ReadonlyMap<string, string>): HostThread[] {
  const lines = (sections.get("pids") ?? "").split("\n").map((line) => line.split("\t"));
  const machines = new Map(lines.map(([pid, machine = ""]) => [Number(pid), machine]));
  return parseThreads(sections.get("threads") ?? "").map((thread) => ({
    ...thread,
    machine: machines.get(thread.pid) ?? "",
  }));
}

function quotasOf(xml: string): string[] {
  const tune = child(parseXml(xml), "cputune");
  const names = ["quota", "global_quota", "emulator_quota", "iothread_quota"];
  return names.filter((name) => Number(textOf(child(tune, name))) > 0);
}

/** As it stands in `SeenHost.leases`. */
export function leaseHolder(holder: Holder): string {
  return holderKey(holder);
}
