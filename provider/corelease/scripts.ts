import type { Owner } from "../core/check";
import { quote } from "../core/quote";
import { LIBVIRT_GONE } from "../libvirt/gone";
import { LEASES } from "../libvirt/script";

export interface Holder {
  readonly owner: Owner;
  readonly machine: string;
}

/** A fifth field of a lease's file: the machine's declaration no longer names this CPU, but the machine may still run on it. */
export const LEAVING = "leaving";

/** A file's first three fields; the fourth is the time since when. */
export function holderKey(holder: Holder): string {
  return [holder.owner.project, holder.owner.stack, holder.machine].join("\t");
}

/**
 * Leases these CPUs to the machine, of which `from` may hold some or all: they are handed over and never free. Or prints who holds what ("cpu project stack machine since", tabs) and changes nothing.
 * What else the two hold is noted as being left, a line "leaving" each, and stays theirs: the machine is moved later, or at its next start only (`giveUpScript`).
 * A run that was killed half-way left only leases of this machine, so running it again completes it.
 */
export function takeScript(
  lease: Holder & { readonly cpus: readonly number[]; readonly facts?: Facts | undefined },
  from: Holder = lease,
): string {
  return `lock
${lease.facts ? requireSameHost(lease.facts, lease.cpus) : ""}me=${quote(holderKey(lease))}
was=${quote(holderKey(from))}
cpus=${quote(lease.cpus.join(" "))}
folder ${LEASES}
cd ${LEASES}
taken=0
for c in $cpus; do
  [ -d /sys/devices/system/cpu/cpu$c ] || fail "this host has no CPU $c: probe it again"
  [ -s "cpu-$c" ] || continue
  holder=$(cut -f1-3 "cpu-$c")
  [ "$holder" != "$me" ] && [ "$holder" != "$was" ] || continue
  printf '%s\\t' "$c"; cat "cpu-$c"
  taken=1
done
[ "$taken" = 0 ] || exit 0
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
# On disk before it has its name: a host that lost its power may not forget who was given a CPU.
note() {
  printf '%s\\t%s\\n' "$me" "$2" >.new
  sync .new
  mv -f .new "cpu-$1"
}
for c in $cpus; do
  if [ -s "cpu-$c" ] && [ "$(cut -f1-3,5 "cpu-$c")" = "$me" ]; then continue; fi
  note "$c" "$since"
done
for f in cpu-*; do
  c=\${f#cpu-}
  case " $cpus " in *" $c "*) continue ;; esac
  holder=$(cut -f1-3 "$f")
  if [ "$holder" = "$me" ] || [ "$holder" = "$was" ]; then
    note "$c" "$(cut -f4 "$f")\t${LEAVING}"
    echo ${LEAVING}
  fi
done
`;
}

/** What the placement was made from: a facts file, and how many CPUs it says are online. */
interface Facts {
  readonly file: string;
  readonly cpus: number;
}

/** Ends the script when the host is not what its facts say: other CPUs, or siblings of a leased one that are not leased with it. */
function requireSameHost({ file, cpus: count }: Facts, cpus: readonly number[]): string {
  return `facts=${quote(file)}
remedy='write it anew with \`npm run facts\`, commit it, and run again; nothing was leased'
have=0
for d in /sys/devices/system/cpu/cpu[0-9]*; do
  [ "$(cat "$d/online" 2>/dev/null || echo 1)" = 0 ] || have=$((have + 1))
done
[ "$have" = ${count} ] || fail "this host has $have CPUs online, and its facts file $facts says ${count}: $remedy"
for c in ${cpus.join(" ")}; do
  list=$(cat "/sys/devices/system/cpu/cpu$c/topology/thread_siblings_list" 2>/dev/null) || continue
  for range in $(echo "$list" | tr , ' '); do
    s=\${range%-*}
    while [ "$s" -le "\${range#*-}" ]; do
      case " ${cpus.join(" ")} " in
        *" $s "*) ;;
        *) fail "CPUs $list are one core of this host, and its facts file $facts says that CPU $c is of a core without CPU $s: $remedy" ;;
      esac
      s=$((s + 1))
    done
  done
done
`;
}

/** A CPU that a machine holds; `leaving`: until it runs there no more. */
export interface Held {
  readonly cpu: number;
  readonly leaving: boolean;
}

/** What the machine holds, for `parseHeld`. */
export function seenScript(holder: Holder): string {
  return `[ -d ${LEASES} ] || exit 0
cd ${LEASES}
for f in cpu-*; do
  { IFS= read -r line <"$f"; } 2>/dev/null || continue
  case $line in ${quote(`${holderKey(holder)}\t`)}*) printf '%s %s\\n' "\${f#cpu-}" "\${line##*\t}" ;; esac
done
exit 0
`;
}

/** Ascending. */
export function parseHeld(stdout: string): Held[] {
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split(" "))
    .map(([cpu, last]) => ({ cpu: Number(cpu), leaving: last === LEAVING }))
    .sort((a, b) => a.cpu - b.cpu);
}

/** Gives back those of these CPUs that the machine was leaving and that nobody leased to it again meanwhile. */
export function giveUpScript(holder: Holder, cpus: readonly number[]): string {
  return `lock
cd ${LEASES} 2>/dev/null || exit 0
for c in ${cpus.join(" ")}; do
  if [ -e "cpu-$c" ] && [ "$(cut -f1-3,5 "cpu-$c")" = ${quote(`${holderKey(holder)}\t${LEAVING}`)} ]; then rm -f "cpu-$c"; fi
done
`;
}

/**
 * Gives back what this machine holds, and nothing else. `elsewhere`: UUID of a machine of this name that needs no lease of ours. Any other
 * machine of this name runs on these cores, or will: nothing is released.
 */
export function releaseScript(holder: Holder, elsewhere: string | undefined): string {
  return `lock
m=${quote(holder.machine)}
${LIBVIRT_GONE}code=0
now=$(v domuuid "$m" 2>&1) || code=$?
if [ "$code" = 0 ]; then
  [ "$(printf %s "$now" | tr -d '[:space:]')" = ${quote(elsewhere ?? "")} ] || fail "a machine $m has appeared on this host meanwhile, and nothing was released: run again"
else
  case $now in *"failed to get domain"*) ;; *) libvirt_gone "$code" || fail "libvirt does not answer, so nothing was released: $now" ;; esac
fi
[ -d ${LEASES} ] || exit 0
cd ${LEASES}
for f in cpu-*; do
  if [ -e "$f" ] && [ "$(cut -f1-3 "$f")" = ${quote(holderKey(holder))} ]; then rm -f "$f"; fi
done
cd /
rmdir -p ${LEASES} 2>/dev/null || true
`;
}

/** Part of a machine's script, under the lock: ends it unless the machine holds every CPU that it is pinned to. */
export function requireLease(holder: Holder, cpus: readonly number[]): string {
  if (cpus.length === 0) return "";
  return `for c in ${cpus.join(" ")}; do
  h=
  [ ! -s "${LEASES}/cpu-$c" ] || h=$(cut -f1-3 "${LEASES}/cpu-$c")
  [ "$h" = ${quote(holderKey(holder))} ] || fail "CPU $c is not leased to this machine but to \${h:-nobody}: nothing was started"
done
`;
}
