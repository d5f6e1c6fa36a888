import { sameCpus } from "../domain/inspect";
import { cpus, judged } from "./judge";
import { leaseHolder, type HostThread, type SeenHost } from "./host";
import type { MeasurementInputs, Value } from "./schema";

type Pins = NonNullable<MeasurementInputs["domain"]>;

/** What the host says of the machine's CPUs, memory and disks. Where vCPUs are declared to float, pins are only told. */
export function judgeHost(inputs: MeasurementInputs, domain: Pins, seen: SeenHost): Value[] {
  const own = seen.threads.filter((thread) => thread.machine === inputs.name);
  const vcpus = own.filter((thread) => vcpuOf(thread) !== undefined).sort((a, b) => vcpuOf(a)! - vcpuOf(b)!);
  const declared = domain.vcpuPins.map((cpu, i) => `${i}→${cpu}`).join(", ");
  const mapping = (of: (vcpu: number) => readonly number[] | undefined): string =>
    vcpus.map((_, i) => `${i}→${cpus(of(i) ?? [])}`).join(", ");
  const pins = mapping((i) => seen.xml.vcpuPins.get(i));
  const affinities = mapping((i) => vcpus[i]?.cpus);
  const dedicated = inputs.plan === "dedicated";
  const demand = (value: Omit<Value, "verdict" | "limit">, limit: string, kept: boolean): Value =>
    dedicated ? judged({ ...value, limit }, kept) : { ...value, limit: null, verdict: "info" };
  return [
    demand({ id: "vcpu-pins", what: "vCPU → CPU, in libvirt", measured: pins }, declared, pins === declared),
    demand(
      { id: "vcpu-affinity", what: "vCPU → CPU, in the kernel", measured: affinities },
      declared,
      affinities === declared,
    ),
    exclusive(domain, own, seen, demand),
    ...helpers(domain, own),
    isolation(inputs, domain, seen),
    quota(seen, demand),
    ...numa(domain, seen),
    leases(inputs, domain, seen, demand),
    ...storage(seen),
  ];
}

type Demand = (value: Omit<Value, "verdict" | "limit">, limit: string, kept: boolean) => Value;

/** Nobody but its vCPU may run on a dedicated CPU: no thread of another machine, none of this machine's others. */
function exclusive({ vcpuPins }: Pins, own: readonly HostThread[], seen: SeenHost, demand: Demand): Value {
  const ours = new Set(own);
  const intruders = new Map<string, Set<number>>();
  for (const thread of seen.threads) {
    // Where its own emulator floats because that is declared, `threads` says so.
    if (ours.has(thread)) continue;
    const on = thread.cpus.filter((cpu) => vcpuPins.includes(cpu));
    const key = `${thread.machine} (${thread.name})`;
    if (on.length > 0) intruders.set(key, new Set([...(intruders.get(key) ?? []), ...on]));
  }
  const found = [...intruders].map(([who, on]) => `${who} on CPU ${cpus([...on])}`).join("; ");
  return demand(
    { id: "exclusive", what: "other machines that may run on the vCPUs' CPUs", measured: found || "none" },
    "none",
    found === "",
  );
}

/** Emulator and I/O threads, where it is declared where they belong. */
function helpers(domain: Pins, own: readonly HostThread[]): Value[] {
  const of = (id: string, what: string, declared: readonly number[], threads: readonly HostThread[]): Value[] => {
    if (threads.length === 0) return [];
    const measured = [...new Set(threads.map((thread) => cpus(thread.cpus)))].join("; ");
    const value = { id, what: `CPUs of ${what}`, measured };
    if (declared.length === 0) return [{ ...value, limit: null, verdict: "info", note: "declared to float" }];
    return [
      judged(
        { ...value, limit: cpus(declared) },
        threads.every((thread) => sameCpus(thread.cpus, declared)),
      ),
    ];
  };
  return [
    ...of(
      "emulator-affinity",
      "the emulator's main loop",
      domain.emulatorPin,
      own.filter((thread) => thread.id === thread.pid),
    ),
    ...of(
      "iothread-affinity",
      "I/O threads",
      domain.ioThreadPin,
      own.filter((thread) => thread.name.startsWith("IO ")),
    ),
  ];
}

/** Pins and leases keep machines off, isolation also the host's own processes. Demanded only where the stack declares it; elsewhere than in production a boot may wait. */
function isolation({ owner }: MeasurementInputs, domain: Pins, { isolated, nohzFull }: SeenHost): Value {
  const both = (list: readonly number[]): string => cpus(domain.vcpuPins.filter((cpu) => list.includes(cpu)));
  const value = {
    id: "isolated",
    what: "of the vCPUs' CPUs, kept from the host's scheduler",
    measured: `isolated ${both(isolated)}, nohz_full ${both(nohzFull)}`,
  };
  if (domain.isolated !== true) return { ...value, limit: null, verdict: "info" };
  const all = domain.vcpuPins.every((cpu) => isolated.includes(cpu) && nohzFull.includes(cpu));
  const limit = `isolated ${cpus(domain.vcpuPins)}, nohz_full ${cpus(domain.vcpuPins)}`;
  return judged({ ...value, limit }, all, owner.environment === "production" ? "fail" : "warn");
}

function quota({ xmlQuotas, quotas }: SeenHost, demand: Demand): Value {
  const found = [
    ...xmlQuotas.map((name) => `${name} in libvirt`),
    ...(quotas ?? []).map(({ file, limit }) => `${limit} in ${file}`),
  ];
  const value = demand(
    { id: "cpu-quota", what: "limit of CPU time", measured: found.join("; ") || "none" },
    "none",
    found.length === 0,
  );
  return quotas === undefined
    ? { ...value, note: "libvirt's word only: no cgroup with a CPU controller is readable" }
    : value;
}

function numa({ numaNode }: Pins, { memory }: SeenHost): Value[] {
  const total = [...(memory?.values() ?? [])].reduce((sum, kib) => sum + kib, 0);
  const value = { id: "numa-memory", what: "the machine's memory by NUMA node" };
  if (memory === undefined || total === 0) {
    const note = "the host's kernel shows no numa_maps, or the machine has no memory of 64 MiB in one piece yet";
    return [{ ...value, measured: null, limit: null, verdict: "not measured", note }];
  }
  const measured = [...memory]
    .sort(([a], [b]) => a - b)
    .map(([node, kib]) => `node ${node}: ${Math.round((1000 * kib) / total) / 10} %`)
    .join(", ");
  if (numaNode === undefined) return [{ ...value, measured, limit: null, verdict: "info" }];
  const local = (memory.get(numaNode) ?? 0) === total;
  return [judged({ ...value, measured, limit: `node ${numaNode}: 100 %` }, local)];
}

function leases({ owner, name }: MeasurementInputs, { vcpuPins }: Pins, seen: SeenHost, demand: Demand): Value {
  const me = leaseHolder({ owner, machine: name });
  const wrong = vcpuPins
    .filter((cpu) => seen.leases.get(cpu) !== me)
    .map((cpu) => `CPU ${cpu} by ${seen.leases.get(cpu)?.split("\t").join("/") ?? "nobody"}`);
  const limit = `CPU ${cpus(vcpuPins)} by ${owner.project}/${owner.stack}/${name}`;
  return demand(
    { id: "lease", what: "leases on the host", measured: wrong.join(", ") || limit },
    limit,
    wrong.length === 0,
  );
}

/** What a machine's own look at its disk can't show: it sees virtio, whatever is below. */
function storage({ disks, xml }: SeenHost): Value[] {
  const told = { limit: null, verdict: "info" } as const;
  const below = new Set(disks.map(({ transport, rotational }) => `${transport}${rotational ? ", rotating" : ""}`));
  return [
    {
      id: "host-disk",
      what: "under the machine's disks, on the host",
      measured: [...below].join("; ") || "unknown",
      note: [...new Set(disks.map(({ device }) => device))].join(", ") || "no disk",
      ...told,
    },
    {
      id: "host-cache",
      what: "cache mode of the machine's disks",
      measured: [...new Set(xml.disks.map(({ cache }) => cache))].join("; ") || "unknown",
      ...told,
    },
  ];
}

/**
 * Time that a vCPU was ready to run and had to wait for its CPU, in percent: steal, seen from the side that causes it. It shows
 * contention also where the guest's kernel counts no steal.
 */
export function judgeWaiting(
  inputs: MeasurementInputs,
  before: Pick<SeenHost, "time" | "threads">,
  after: Pick<SeenHost, "time" | "threads">,
): Value[] {
  const seconds = after.time - before.time;
  const earlier = new Map(before.threads.map((thread) => [`${thread.pid}/${thread.id}`, thread.waitedNs]));
  const own = after.threads.filter((thread) => thread.machine === inputs.name && vcpuOf(thread) !== undefined);
  const shares = own
    // One that ran for no time at all is one whose time the kernel does not count.
    .filter(({ ranNs }) => ranNs > 0)
    .flatMap((thread) => {
      const start = earlier.get(`${thread.pid}/${thread.id}`);
      return start === undefined ? [] : [(thread.waitedNs - start) / 1e9 / seconds];
    });
  if (shares.length === 0 || shares.length < own.length || !(seconds > 0)) {
    const note = `not measured: of ${own.length} vCPUs the host's kernel counts ${shares.length} (/proc/<pid>/task/*/schedstat)`;
    const what = "time that a vCPU waited for its CPU";
    return [{ id: "vcpu-wait", what, measured: null, unit: "%", limit: null, verdict: "not measured", note }];
  }
  // The clock is read a moment before the threads.
  const worst = Math.min(100, Math.round(Math.max(...shares) * 1000) / 10);
  const what = `time that a vCPU waited for its CPU, the most of ${shares.length}, over ${Math.round(seconds)} s`;
  const value = { id: "vcpu-wait", what, measured: worst, unit: "%" as const };
  if (inputs.plan === "shared") return [{ ...value, limit: null, verdict: "info" }];
  return [judged({ ...value, limit: inputs.maxStealPercent }, worst <= inputs.maxStealPercent)];
}

/** QEMU names a vCPU's thread "CPU 3/KVM". */
function vcpuOf(thread: HostThread): number | undefined {
  const number = /^CPU (\d+)\//.exec(thread.name)?.[1];
  return number === undefined ? undefined : Number(number);
}
