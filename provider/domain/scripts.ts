import { quote } from "../core/quote";
import { requireLease } from "../corelease/scripts";
import { formatCpus } from "../libvirt/cpulist";
import { LIBVIRT_GONE } from "../libvirt/gone";
import { sha256 } from "../libvirt/mark";
import { askVirsh } from "../libvirt/script";
import { THREADS_OF } from "../libvirt/threads";
import type { CloudInit, DomainInputs } from "./schema";
import { requireMemory } from "./room";
import { shutDown } from "./shutdown";
import { seedPath, serialLogPath } from "./xml";

/** Digest of what a seed is made of: the domain's metadata keeps it, so that a change is seen without reading the seed. */
export function seedDigest(cloudInit: CloudInit | undefined): string | undefined {
  if (cloudInit === undefined) return undefined;
  return sha256(JSON.stringify([cloudInit.userData, cloudInit.metaData, cloudInit.networkConfig]));
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Everything about one domain, by its name or UUID, in sections that start with a line of the nonce and a name. A domain that is not there has
 * the section "absent". Affinities come from the kernel: what was changed behind libvirt's back is not in its XML.
 */
export function inspectScript(name: string, nonce: string): string {
  const machine = quote(name);
  const asked = askVirsh(nonce, {
    info: `dominfo ${machine}`,
    inactive: `dumpxml --inactive ${machine}`,
    live: `dumpxml ${machine}`,
  });
  // The file of the process's id is of the name.
  const named = UUID.test(name) ? `n=$(v domname "$n" 2>/dev/null) || n=${machine}\n` : "";
  return `n=${machine}
section() { printf '%s %s\\n' ${quote(nonce)} "$1"; }
${THREADS_OF}
${LIBVIRT_GONE}exec 3>&1
code=0
said=$(${asked} 2>&1 >&3) || code=$?
case $code:$said in
  *"failed to get domain"*) section absent; exit 0 ;;
  127:* | *error:*)
    if libvirt_gone "$code"; then section absent; exit 0; fi
    fail "libvirt does not answer: $said" ;;
esac
${named}pid=$(cat "/run/libvirt/qemu/$n.pid" 2>/dev/null) || exit 0
section threads; threads_of "$pid"
section pid; printf '%s\\n' "$pid"
section end
`;
}

/** Devices that a running machine gets and loses. */
export interface Plugging {
  readonly attach: readonly Plugged[];
  /** Targets of disks. */
  readonly detachDisks: readonly string[];
  readonly detachInterfaces: readonly { readonly type: string; readonly mac: string }[];
}

/** A device that is plugged in: its XML, and its disk's target or its interface's MAC, which no other device of the machine has. */
export interface Plugged {
  readonly xml: string;
  readonly key: string;
}

/** `seed`: make it anew, also where it is there. `fresh`: this call defines the domain, so a failed start undoes the definition and the seed. */
export interface ApplyOptions {
  readonly xml: string;
  readonly uuid: string;
  readonly seed: boolean;
  readonly fresh: boolean;
  readonly plugging?: Plugging;
}

/**
 * Defines the domain over any older definition, starts it when it is off; when it runs, pins it and plugs devices. What can't be done to the
 * running machine is printed, a line each. Under the host's lock: no other run can take a core between the check of the lease and the start.
 */
export function applyScript(domain: DomainInputs, options: ApplyOptions): string {
  const { attach = [], detachDisks = [], detachInterfaces = [] } = options.plugging ?? {};
  const disks = domain.disks.map(
    ({ path }) => `[ -e ${quote(path)} ] || fail ${quote(`the disk ${path} is not on this host`)}`,
  );
  return `n=${quote(domain.name)}
seed=${quote(seedPath(domain))}
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
${domain.cloudInit === undefined ? "" : makeSeed(domain.cloudInit, options.seed)}
printf %s ${quote(options.xml)} >"$d/domain.xml"
lock
${requireLease({ owner: domain.owner, machine: domain.name }, domain.vcpuPins)}
${disks.join("\n")}
state=$(v domstate "$n" 2>/dev/null || echo new)
# A run of this script whose connection broke may have plugged it already.
plugged() { v dumpxml "$n" | grep -qE "<(target dev|mac address)=.$1."; }
if [ "$state" = new ] || [ "$state" = "shut off" ]; then
${requireMemory(domain)}fi
folder ${quote(domain.storage)}
${domain.cloudInit === undefined ? "" : placeSeed}
${attach.map(attachDevice).join("\n")}
v define "$d/domain.xml" >/dev/null
v autostart ${domain.autostart ? "" : "--disable "}"$n" >/dev/null
if [ "$state" = new ] || [ "$state" = "shut off" ]; then
  if ! v start "$n" >/dev/null 2>"$d/start"; then
    ${options.fresh ? `v undefine "$n" --nvram >/dev/null; rm -f "$seed" ${quote(serialLogPath(domain))}` : ":"}
    fail "the machine could not be started: $(cat "$d/start")"
  fi
  exit 0
fi
${livePins(domain)}
case $state in
  paused)
    echo "it was $(v domstate "$n" --reason | tr -d '\\n') and goes on"
    v resume "$n" >/dev/null
    ;;
  pmsuspended) v dompmwakeup "$n" >/dev/null ;;
esac
${domain.maxMemoryBytes === undefined ? "" : liveMemory(domain.memoryBytes)}
unlock
${detachInterfaces.map(({ type, mac }) => `! plugged ${quote(mac)} || v detach-interface "$n" ${quote(type)} --mac ${quote(mac)} --live >/dev/null`).join("\n")}
${detachDisks.map(detachDisk).join("\n")}
`;
}

/** Before the definition is changed: a device that can't be attached leaves everything as it was. A machine that is off gets it at its start. */
function attachDevice({ xml, key }: Plugged, index: number): string {
  return `printf %s ${quote(xml)} >"$d/device-${index}.xml"
[ "$state" = new ] || [ "$state" = "shut off" ] || plugged ${quote(key)} || v attach-device "$n" "$d/device-${index}.xml" --live >/dev/null`;
}

/** A guest without a balloon driver, or one that was not asked yet: the machine runs on with what it has. */
function liveMemory(bytes: number): string {
  return `limit=$(v dumpxml "$n" | sed -n "s:.*<memory unit=.KiB.>\\([0-9]*\\)</memory>.*:\\1:p")
if v dumpxml "$n" | grep -q "<memballoon model=.virtio" && [ ${bytes / 1024} -le "\${limit:-0}" ]; then
  v setmem "$n" ${bytes / 1024} --live >/dev/null
fi`;
}

/**
 * Only when the guest agent says that no file system of the guest is on it, and of each on which disk it is: the last column, which is empty where the
 * agent can't tell. Loop devices are on a file of another file system. A guest lets go of a virtio disk on its own time: what it
 * still has after 10 s stays until the next start.
 */
function detachDisk(target: string): string {
  return `if ! plugged ${quote(target)}; then :
elif ! v domfsinfo "$n" >"$d/mounted" 2>/dev/null; then
  echo ${quote(`${target} stays attached until the next start: the guest agent does not say whether it is mounted`)}
elif grep -qw ${quote(target)} "$d/mounted"; then
  echo ${quote(`${target} stays attached until the next start: the guest has it mounted`)}
elif ! awk 'NF && $NF !~ /^([vsh]|xv)d[a-z]+(,|$)/ && !/[ \\t]loop[0-9]+[ \\t]/ { exit 1 }' "$d/mounted"; then
  echo ${quote(`${target} stays attached until the next start: the guest agent does not say of every file system on which disk it is`)}
else
  v detach-disk "$n" ${quote(target)} --live >/dev/null
  i=0
  while [ $i -lt 10 ] && v domblklist "$n" | grep -qw ${quote(target)}; do i=$((i + 1)); sleep 1; done
  [ $i -lt 10 ] || echo ${quote(`${target} stays attached until the next start: the guest does not let go of it`)}
fi`;
}

/** Whichever tool the host has; the data is written by the shell itself, so that it is in no argument list. One that somebody removed is made again. */
function makeSeed(cloudInit: CloudInit, always: boolean): string {
  return `if ${always ? "true" : '[ ! -e "$seed" ]'}; then
mkdir "$d/seed"
printf %s ${quote(cloudInit.userData)} >"$d/seed/user-data"
printf %s ${quote(cloudInit.metaData)} >"$d/seed/meta-data"
printf %s ${quote(cloudInit.networkConfig)} >"$d/seed/network-config"
if command -v xorriso >/dev/null; then mkiso='xorriso -as genisoimage'
elif command -v genisoimage >/dev/null; then mkiso=genisoimage
elif command -v mkisofs >/dev/null; then mkiso=mkisofs
else fail 'there is no tool to make the cloud-init seed: install the package xorriso'
fi
$mkiso -quiet -output "$d/seed.iso" -volid cidata -joliet -rock "$d/seed" 2>"$d/mkiso" || fail "the cloud-init seed could not be made: $(tail -n 3 "$d/mkiso")"
fi`;
}

const placeSeed = `if [ -e "$d/seed.iso" ]; then
cp "$d/seed.iso" "$seed.new"
mv -f "$seed.new" "$seed"
fi`;

/**
 * Pins what runs now; the definition holds the same for the next start. A vCPU that the running machine does not have yet is left
 * out. Setting a pin that libvirt believes to be set still sets the threads' affinity, which repairs what was changed behind its back.
 */
function livePins(domain: DomainInputs): string {
  const lines = [`  have=$(v vcpucount "$n" --live --active)`];
  domain.vcpuPins.forEach((cpu, i) =>
    lines.push(`  [ "$have" -le ${i} ] || v vcpupin "$n" ${i} ${cpu} --live >/dev/null`),
  );
  if (domain.emulatorPin.length > 0)
    lines.push(`  v emulatorpin "$n" ${formatCpus(domain.emulatorPin)} --live >/dev/null`);
  if (domain.ioThreadPin.length > 0) {
    const cpus = formatCpus(domain.ioThreadPin);
    lines.push(
      `  have=$(v dumpxml "$n" | sed -n 's:.*<iothreads>\\([0-9]*\\)</iothreads>.*:\\1:p')`,
      `  i=1`,
      `  while [ $i -le "\${have:-0}" ]; do v iothreadpin "$n" $i ${cpus} --live >/dev/null; i=$((i + 1)); done`,
    );
  }
  return lines.join("\n");
}

/** Where libvirt keeps them; those of a machine that became a BIOS one stay until it is removed. */
const FIRMWARE_VARIABLES = "/var/lib/libvirt/qemu/nvram";

/** Asks the guest to shut down, then pulls the plug; verifies that it is off; removes definition, seed and log. Runs twice without harm. */
export function removeScript(
  domain: Pick<DomainInputs, "name" | "storage">,
  uuid: string,
  graceSeconds: number,
): string {
  const files = [
    seedPath(domain),
    serialLogPath(domain),
    ...[".fd", ".qcow2"].map((end) => `${FIRMWARE_VARIABLES}/${domain.name}_VARS${end}`),
  ].map(quote);
  return `m=${quote(uuid)}
forget() { rm -f ${files.join(" ")}; }
${LIBVIRT_GONE}code=0
v version >/dev/null 2>&1 || code=$?
if [ "$code" != 0 ] && libvirt_gone "$code"; then forget; exit 0; fi
${shutDown(graceSeconds)}lock
is_off || fail "the machine still runs: $(state)"
if [ "$(state)" != gone ]; then v undefine "$m" --managed-save --snapshots-metadata --nvram >/dev/null; fi
[ "$(state)" = gone ] || fail 'the machine is still defined'
forget
`;
}
