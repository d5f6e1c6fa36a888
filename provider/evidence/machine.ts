import { quote } from "../core/quote";
import { UserError } from "../core/kind";
import { diskUnder, HYPERVISOR, ONLINE_CPUS, stealBetween, type Disk } from "../machine/probe";
import { ASK, parseAnswers } from "../node/answers";
import type { MeasurementInputs } from "./schema";

/** What is measured inside a machine beside the disk. */
export interface SeenInside {
  readonly hypervisor: string;
  readonly vcpus: number;
  readonly kernel: string;
  /** Over the window, in percent with one decimal; null: /proc/stat says nothing of it. */
  readonly stealPercent: number | null;
  /** The machine's clock minus this one's. */
  readonly clockOffsetSeconds: number;
}

/** One run of fio with so many writers at once. */
export interface Fsync {
  readonly writers: number;
  /** How many fdatasyncs the percentiles are of. */
  readonly syncs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface SeenDisk {
  /** The folder that was written to: the data folder, or the nearest one above it that is there. */
  readonly folder: string;
  readonly disk: Disk;
  /** "fio-3.39"; undefined: not there. */
  readonly fio?: string;
  readonly fsyncs: readonly Fsync[];
  /** Why there are no fsyncs. */
  readonly reason?: string;
}

/** A broken connection starts a script again while its first run may still be at it: one measures, the other waits. */
const LOCK = `exec 9>/run/kvmesh-evidence.lock
if command -v flock >/dev/null; then flock -w 300 9 || { echo 'another measurement holds /run/kvmesh-evidence.lock' >&2; exit 75; }; fi`;

/**
 * Steal only shows while the machine wants its CPUs, so each vCPU is kept busy for the window; at the lowest priority, so that
 * what the machine is there for goes first.
 */
export function insideScript({ windowSeconds, plan }: Pick<MeasurementInputs, "windowSeconds" | "plan">): string {
  const busy = `for i in $(seq "$vcpus"); do
  timeout ${windowSeconds + 5} nice -n 19 sh -c 'while :; do :; done' 9>&- &
  load="$load $!"
done`;
  return `${ASK}
${LOCK}
load=
trap '[ -z "$load" ] || kill $load 2>/dev/null' EXIT
trap 'exit 143' HUP INT TERM
vcpus=$(${ONLINE_CPUS})
ask hypervisor
${HYPERVISOR}
ask vcpus; echo "$vcpus"
ask kernel; uname -r
${plan === "shared" ? "# Others share these CPUs: they are not kept busy." : busy}
ask stat1; head -n 1 /proc/stat
sleep ${windowSeconds}
ask stat2; head -n 1 /proc/stat
ask clock; date +%s
exit 0
`;
}

/** @param now this machine's time in milliseconds when the script ended */
export function parseInside(machine: string, stdout: string, now: number): SeenInside {
  const answers = parseAnswers(stdout);
  const answer = (name: string): string => {
    const text = answers.get(name);
    if (text === undefined || text === "") throw new UserError(`machine ${machine}: no answer for "${name}"`);
    return text;
  };
  return {
    hypervisor: answer("hypervisor"),
    vcpus: Number(answer("vcpus")),
    kernel: answer("kernel"),
    stealPercent: stealBetween(answer("stat1"), answer("stat2")) ?? null,
    clockOffsetSeconds: Math.round(Number(answer("clock")) - now / 1000),
  };
}

type FsyncInputs = Pick<MeasurementInputs, "directory" | "fsyncWriters" | "fsyncBytes" | "fsyncSeconds" | "installFio">;

/** Begins the reason when fio is not there. */
export const NO_FIO = "fio is not installed";

const FETCH_SECONDS = 120;

/**
 * Stock cloud images have no fio. Only fetching may take long, or never end where there is no mirror, and it is cut off; what is unpacked
 * is on the machine by then, so that dpkg is never killed at its work. Whatever fails, the machine is as it was.
 */
const INSTALL = `if ! command -v fio >/dev/null && command -v apt-get >/dev/null; then
  said=$(
    export DEBIAN_FRONTEND=noninteractive
    apt='apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=60 -o Acquire::Retries=0 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15'
    timeout -k 5 ${FETCH_SECONDS} sh -c "$apt --download-only install fio >/dev/null 2>&1 || { $apt update && $apt --download-only install fio; }" </dev/null 2>&1 \
      && $apt --no-download install fio </dev/null 2>&1
  ) || { ask fio; echo absent; ask failed; printf '%s\\n' "$said" | grep '^[EW]: ' | tail -n 2; exit 0; }
fi
`;

/** No answer takes longer than this, in seconds. */
export function fsyncLimit({ fsyncWriters, fsyncSeconds, installFio }: FsyncInputs): number {
  return 30 + (installFio ? FETCH_SECONDS + 120 : 0) + fsyncWriters.length * (fsyncSeconds + 30);
}

/**
 * etcd's own recipe for its disk, bounded in time: 2300 bytes and an fdatasync, again and again. It is written where the data
 * will be, or in the nearest folder above it: kubeadm refuses a data folder that is there already. Nothing is left behind.
 */
export function fsyncScript(inputs: FsyncInputs): string {
  const { directory, fsyncWriters, fsyncBytes, fsyncSeconds, installFio } = inputs;
  const needed = Math.ceil((2 * Math.max(...fsyncWriters) * fsyncBytes) / 1024);
  const runs = fsyncWriters.map(
    (writers) => `ask writers-${writers}
timeout -k 5 ${fsyncSeconds + 20} fio --name=kvmesh --directory="$d" --rw=write --ioengine=sync --fdatasync=1 --bs=2300 \\
  --size=${fsyncBytes} --numjobs=${writers} --group_reporting --runtime=${fsyncSeconds} --output-format=json 2>"$d/said" \\
  || { ask failed; tail -n 3 "$d/said"; exit 0; }
rm -f "$d"/*`,
  );
  return `${ASK}
${LOCK}
d=
trap '[ -z "$d" ] || rm -rf "$d"' EXIT
trap 'exit 143' HUP INT TERM
folder=${quote(directory)}
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
ask folder; echo "$folder"
source=$(findmnt -nvo SOURCE -T "$folder" 2>/dev/null || df -P "$folder" | awk 'NR == 2 { print $1 }')
ask source; echo "$source"
ask disk; [ ! -b "$source" ] || lsblk -J -s -o NAME,TYPE,TRAN,ROTA "$source" 2>/dev/null
${installFio ? INSTALL : ""}ask fio
command -v fio >/dev/null || { echo absent; exit 0; }
fio --version
ask space; df -kP "$folder" | awk 'NR == 2 { print $4 }'
[ "$(df -kP "$folder" | awk 'NR == 2 { print $4 }')" -ge ${needed} ] || { ask failed; echo "less than ${needed} KiB are free in $folder"; exit 0; }
# Of a measurement that was killed; nobody else measures now.
rm -rf "$folder"/.kvmesh-fsync-*
d=$(mktemp -d "$folder/.kvmesh-fsync-XXXXXX") || { ask failed; echo "$folder can't be written to"; exit 0; }
${runs.join("\n")}
exit 0
`;
}

export function parseFsync(machine: string, stdout: string, { fsyncWriters }: FsyncInputs): SeenDisk {
  const answers = parseAnswers(stdout);
  const folder = answers.get("folder");
  if (folder === undefined) throw new UserError(`machine ${machine}: no answer when its disk was measured`);
  const seen = { folder, disk: diskUnder(answers.get("source") ?? "unknown", answers.get("disk") ?? "") };
  const fio = answers.get("fio") ?? "absent";
  const failed = answers.get("failed");
  if (fio === "absent") {
    const why =
      failed === undefined
        ? ""
        : `, and apt-get can't install it (${failed.replace(/\s*\n\s*/g, "; ") || `no end within ${FETCH_SECONDS} s`})`;
    return { ...seen, fsyncs: [], reason: `${NO_FIO}${why}` };
  }
  if (failed !== undefined) {
    return { ...seen, fio, fsyncs: [], reason: failed.replace(/\s*\n\s*/g, "; ") || "fio failed without a word" };
  }
  const fsyncs = fsyncWriters.flatMap((writers) => fsyncOf(writers, answers.get(`writers-${writers}`) ?? ""));
  if (fsyncs.length < fsyncWriters.length) {
    return { ...seen, fio, fsyncs, reason: `${fio} reports no sync latencies: install fio 3.5 or later` };
  }
  return { ...seen, fio, fsyncs };
}

interface FioReport {
  readonly jobs?: readonly {
    readonly sync?: {
      readonly lat_ns?: { readonly N?: number; readonly percentile?: Readonly<Record<string, number>> };
    };
  }[];
}

/** Undefined where fio was cut off, or wrote something else into its report. */
function reportIn(text: string): FioReport | undefined {
  try {
    return JSON.parse(text) as FioReport;
  } catch {
    return undefined;
  }
}

function fsyncOf(writers: number, text: string): Fsync[] {
  const start = text.indexOf("{");
  if (start < 0) return [];
  const latency = reportIn(text.slice(start))?.jobs?.[0]?.sync?.lat_ns;
  const [p50, p99] = [latency?.percentile?.["50.000000"], latency?.percentile?.["99.000000"]];
  if (p50 === undefined || p99 === undefined) return [];
  return [{ writers, syncs: latency?.N ?? 0, p50Ms: milliseconds(p50), p99Ms: milliseconds(p99) }];
}

/** Three decimals: a microsecond is finer than fio's own buckets. */
function milliseconds(ns: number): number {
  return Math.round(ns / 1000) / 1000;
}
