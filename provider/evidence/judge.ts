import { formatCpus } from "../libvirt/cpulist";
import { MAX_CLOCK_OFFSET_SECONDS } from "../machine/verify";
import type { Fsync, SeenDisk, SeenInside } from "./machine";
import type { MeasurementInputs, Value } from "./schema";

/** A limit that is kept or not. */
export function judged(value: Omit<Value, "verdict">, kept: boolean, otherwise: "fail" | "warn" = "fail"): Value {
  return { ...value, verdict: kept ? "pass" : otherwise };
}

/** What is measured inside the machine, with what is demanded of it. */
export function judgeInside(inputs: MeasurementInputs, seen: SeenInside): Value[] {
  const accepted = inputs.hypervisors.join(" or ");
  return [
    judged(
      { id: "hypervisor", what: "hypervisor", measured: seen.hypervisor, limit: accepted },
      inputs.hypervisors.includes(seen.hypervisor),
    ),
    judged(
      { id: "vcpus", what: "vCPUs", measured: seen.vcpus, limit: `at least ${inputs.vcpus}` },
      seen.vcpus >= inputs.vcpus,
    ),
    stealOf(inputs, seen),
    judged(
      {
        id: "clock",
        what: "clock against the one of the computer that measured",
        measured: seen.clockOffsetSeconds,
        unit: "s",
        limit: MAX_CLOCK_OFFSET_SECONDS,
      },
      Math.abs(seen.clockOffsetSeconds) <= MAX_CLOCK_OFFSET_SECONDS,
    ),
  ];
}

/** Unknown steal proves no dedicated core; where any is allowed, nothing has to be proven. */
function stealOf({ windowSeconds, plan, maxStealPercent }: MeasurementInputs, { stealPercent }: SeenInside): Value {
  const value = {
    id: "steal",
    what: `steal over ${windowSeconds} s${plan === "shared" ? "" : " with every vCPU busy"}`,
    measured: stealPercent,
    unit: "%",
    limit: maxStealPercent,
  } as const;
  if (stealPercent !== null) return judged(value, stealPercent <= maxStealPercent);
  const note = "not measured: the machine's /proc/stat says nothing of steal, or went back";
  return { ...value, note, verdict: maxStealPercent < 100 ? "fail" : "not measured" };
}

/** A slow disk under etcd makes the whole cluster slow; in production that ends the run, elsewhere it is said. */
export function judgeDisk(inputs: MeasurementInputs, seen: SeenDisk): Value[] {
  const otherwise = inputs.role === "control-plane" && inputs.owner.environment === "production" ? "fail" : "warn";
  const { device, transport } = seen.disk;
  // A virtual disk says that it rotates, whatever it is made of: only a real one's word counts.
  const rotating = seen.disk.rotational && !["unknown", "virtio"].includes(transport);
  const disk: Value = judged(
    {
      id: "disk",
      what: `disk under ${seen.folder}, seen from inside`,
      measured: `${device}, ${transport}${rotating ? ", rotating" : ""}`,
      limit: "not rotating",
    },
    !rotating,
    otherwise,
  );
  const [first, ...more] = inputs.fsyncWriters.map((writers) => seen.fsyncs.find((run) => run.writers === writers));
  if (seen.reason !== undefined || first === undefined) {
    const missing: Value = {
      id: `fsync-p99-${inputs.fsyncWriters[0]}`,
      what: `fdatasync in ${seen.folder}, 99th percentile`,
      measured: null,
      unit: "ms",
      limit: inputs.maxFsyncMs,
      verdict: otherwise === "fail" ? "fail" : "warn",
      note: `not measured: ${seen.reason ?? "fio gave no report"}`,
    };
    return [disk, missing];
  }
  return [
    disk,
    ...fsyncValues(first, seen.folder, (value) =>
      judged({ ...value, limit: inputs.maxFsyncMs }, first.p99Ms <= inputs.maxFsyncMs, otherwise),
    ),
    // etcd writes its log with one writer; more of them show how the disk bears what else is on it.
    ...more.flatMap((run) =>
      run === undefined
        ? []
        : fsyncValues(run, seen.folder, (value) => ({ ...value, limit: null, verdict: "info" as const })),
    ),
  ];
}

function fsyncValues(
  { writers, syncs, p50Ms, p99Ms }: Fsync,
  folder: string,
  judge: (value: Omit<Value, "verdict" | "limit">) => Value,
): Value[] {
  const by = `fdatasync in ${folder} by ${writers} ${writers === 1 ? "writer" : "writers"}`;
  const note = `${syncs} fdatasyncs of 2300 bytes`;
  return [
    {
      id: `fsync-p50-${writers}`,
      what: `${by}, median`,
      measured: p50Ms,
      unit: "ms",
      limit: null,
      verdict: "info",
      note,
    },
    judge({ id: `fsync-p99-${writers}`, what: `${by}, 99th percentile`, measured: p99Ms, unit: "ms", note }),
  ];
}

/** "steal over 10 s with every vCPU busy is 7.5 %, at most 1 % is allowed". */
export function describe({ what, measured, unit, limit, note }: Value): string {
  const suffix = unit === undefined ? "" : ` ${unit}`;
  const found = measured === null ? (note ?? "not measured") : `${measured}${suffix}`;
  if (limit === null) return `${what}: ${found}`;
  const demanded = typeof limit === "number" ? `at most ${limit}${suffix}` : limit;
  return `${what}: ${found}; required: ${demanded}`;
}

export function cpus(list: readonly number[]): string {
  return list.length === 0 ? "none" : formatCpus(list);
}
