import { quote } from "../core/quote";
import type { Context } from "../core/kind";
import { holderKey } from "../corelease/scripts";
import type { Holder } from "../corelease/scripts";
import { parseDomainXml } from "../domain/seen";
import type { SeenXml } from "../domain/seen";
import { child, parseXml, textOf } from "../domain/xml-tree";
import { parseCpus } from "../libvirt/cpulist";
import { LEASES, sectionsOf } from "../libvirt/script";
import { diskUnder, type Disk } from "../machine/probe";
import type { Endpoint } from "../transport/transport";

/** One thread of a machine on the host. */
export interface HostThread {
  readonly machine: string;
  /** Of the process: the thread with the same id runs the emulator's main loop. */
  readonly pid: number;
  readonly id: number;
  readonly name: string;
  readonly cpus: readonly number[];
  /** Since it was started: time that it ran, and time that it was ready and had to wait for a CPU; nanoseconds. */
  readonly ranNs: number;
  readonly waitedNs: number;
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
  const script = (nonce: string): string => `${SECTION(nonce)}\n${THREADS}`;
  const sections = await sectionsOf(ctx, at, `measuring machine ${machine}`, script);
  return { time: Number(sections.get("time")), threads: parseThreads(sections.get("threads")) };
}

const SECTION = (nonce: string): string => `section() { printf '%s %s\\n' ${quote(nonce)} "$1"; }`;

const THREADS = `section time; date +%s.%N
section threads
v list --name | while read -r m; do
  # The folder also has libvirtd's own pid.
  p=$(cat "/run/libvirt/qemu/$m.pid" 2>/dev/null) || continue
  for t in /proc/$p/task/*; do
    printf '%s\\t%s\\t%s\\t%s\\t%s\\t%s\\n' "$m" "$p" "\${t##*/}" "$(cat "$t/comm" 2>/dev/null)" \\
      "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$t/status" 2>/dev/null)" "$(cat "$t/schedstat" 2>/dev/null)"
  done
done
section end`;

/**
 * Reads only. Affinities and waiting times are the kernel's, for all machines of the host: libvirt's XML does not show what was
 * changed behind its back, and who else is allowed onto a CPU stands nowhere but in the others' threads.
 */
export function hostScript(machine: string, nonce: string): string {
  return `n=${quote(machine)}
${SECTION(nonce)}
pid=$(cat "/run/libvirt/qemu/$n.pid" 2>/dev/null) || exit 0
section xml; v dumpxml "$n"
section isolated; cat /sys/devices/system/cpu/isolated 2>/dev/null || true
section nohz; cat /sys/devices/system/cpu/nohz_full 2>/dev/null || true
section kernel; uname -r
section version; v version 2>/dev/null || true
section quotas
for t in /proc/$pid/task/*; do
  case $(cat "$t/comm" 2>/dev/null) in CPU\\ *) ;; *) continue ;; esac
  while IFS=: read -r _ controllers path; do
    case ",$controllers," in
      ,,) base=/sys/fs/cgroup ;;
      *,cpu,*) base=/sys/fs/cgroup/cpu; [ -d "$base" ] || base=/sys/fs/cgroup/$controllers ;;
      *) continue ;;
    esac
    while :; do
      for f in cpu.max cpu.cfs_quota_us; do
        [ ! -r "$base$path/$f" ] || printf '%s\\t%s\\n' "$base$path/$f" "$(cat "$base$path/$f")"
      done
      case $path in ""|/) break ;; esac
      path=\${path%/*}
    done
  done <"$t/cgroup" 2>/dev/null || true
done | sort -u
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
for f in ${LEASES}/cpu-*; do [ ! -s "$f" ] || printf '%s\\t%s\\n' "\${f##*/cpu-}" "$(cut -f1-3 "$f")"; done
section disks
v domblklist "$n" | while read -r _ path; do
  case $path in /*) ;; *) continue ;; esac
  if [ -b "$path" ]; then source=$path; else source=$(findmnt -nvo SOURCE -T "$path" 2>/dev/null || true); fi
  printf '%s\\t%s\\n' "$source" "$([ ! -b "$source" ] || lsblk -J -s -o NAME,TYPE,TRAN,ROTA "$source" 2>/dev/null | tr -d '\\n' || true)"
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
    threads: parseThreads(sections.get("threads")),
    isolated: parseCpus(sections.get("isolated") ?? ""),
    nohzFull: parseCpus(sections.get("nohz") ?? ""),
    quotas: quotas.length === 0 ? undefined : quotas.filter(([, limit]) => limited(limit)).map(asQuota),
    memory: memory.length === 0 ? undefined : new Map(memory),
    leases: new Map(pairs("leases").map(([cpu, holder]) => [Number(cpu), holder])),
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

function parseThreads(text: string | undefined): HostThread[] {
  return (text ?? "").split("\n").flatMap((line) => {
    const [machine = "", pid, id, name = "", cpus = "", schedstat = ""] = line.split("\t");
    // A thread may end while it is looked at.
    if (cpus === "") return [];
    const [ranNs = 0, waitedNs = 0] = schedstat.split(" ").map(Number);
    return [{ machine, pid: Number(pid), id: Number(id), name, cpus: parseCpus(cpus), ranNs, waitedNs }];
  });
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
