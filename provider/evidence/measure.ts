import { UserError, type Context } from "../core/kind";
import { repeatable } from "../node/reach";
import { where } from "../transport/errors";
import { Semaphore } from "../transport/semaphore";
import { inspectHost, inspectThreads, type SeenHost } from "./host";
import { describe, judgeDisk, judgeInside } from "./judge";
import { judgeHost, judgeWaiting } from "./judge-host";
import { fsyncLimit, fsyncScript, insideScript, NO_FIO, parseFsync, parseInside } from "./machine";
import type { EvidenceRecord, MeasurementInputs, Value } from "./schema";

/** Machines of one host share its disk: one measures at a time. Existing ones have disks of their own. */
const disks = new Map<string, Semaphore>();

/** One measurement, with every verdict; nothing is refused here. It fails where the machine can't be measured at all. */
export async function measure(ctx: Context, inputs: MeasurementInputs): Promise<EvidenceRecord> {
  const { endpoint, host, domain, name } = inputs;
  const before = host && (await runningOn(ctx, host, name));
  ctx.progress(`machine ${name}: measuring steal for ${inputs.windowSeconds} s`);
  const inside = parseInside(
    name,
    await inMachine(ctx, inputs, insideScript(inputs), inputs.windowSeconds + 330),
    Date.now(),
  );
  const after = host && before && (await inspectThreads(ctx, host, name));

  const key = host?.hostKey ?? endpoint.hostKey;
  const disk = disks.get(key) ?? new Semaphore(1);
  disks.set(key, disk);
  const seenDisk = await disk.use(ctx.signal, async () => {
    ctx.progress(`machine ${name}: measuring fdatasync in ${inputs.directory}`);
    return parseFsync(name, await inMachine(ctx, inputs, fsyncScript(inputs), fsyncLimit(inputs) + 300), inputs);
  });

  const values = [
    ...(before && domain ? judgeHost(inputs, domain, before) : []),
    ...(before && after ? judgeWaiting(inputs, before, after) : []),
    ...judgeInside(inputs, inside),
    ...judgeDisk(inputs, seenDisk),
  ];
  for (const value of values.filter(({ verdict }) => verdict === "warn")) {
    ctx.warn(`machine ${name}: ${describe(value)}`);
  }
  return recordOf(inputs, values, {
    kernel: inside.kernel,
    fio: seenDisk.fio ?? "absent",
    ...(before ? { hostKernel: before.kernel, libvirt: before.libvirt, qemu: before.qemu } : {}),
  });
}

async function runningOn(ctx: Context, host: MeasurementInputs["endpoint"], name: string): Promise<SeenHost> {
  const seen = await inspectHost(ctx, host, name);
  if (seen) return seen;
  throw new UserError(`${where(host)}: machine ${name} does not run, so nothing can be measured of it`);
}

async function inMachine(ctx: Context, inputs: MeasurementInputs, script: string, seconds: number): Promise<string> {
  const result = await ctx.transport.script(inputs.endpoint, script, repeatable(ctx, seconds * 1000));
  if (result.code === 0) return result.stdout;
  const said = result.stderr.trim().slice(-300) || `the script ended with ${result.code}`;
  throw new UserError(`machine ${inputs.name} (${inputs.endpoint.address}) could not be measured: ${said}`);
}

/** What contradicts the declaration, each with what to do. */
export function faultsOf({ values }: EvidenceRecord): string[] {
  return values.filter(({ verdict }) => verdict === "fail").map((value) => `${describe(value)}${remedy(value)}`);
}

/** @param after what follows "and is not fit", such as "; nothing was installed on it". */
export function refuseUnfit({ name, endpoint, host }: MeasurementInputs, record: EvidenceRecord, after = ""): void {
  const faults = faultsOf(record);
  if (faults.length === 0) return;
  const on = host === undefined ? "" : ` on host ${host.address}`;
  const lines = faults.map((fault) => `  - ${fault}`);
  throw new UserError(
    `machine ${name} (${endpoint.address}${on}) was measured and is not fit${after}:\n${lines.join("\n")}`,
  );
}

const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /^(vcpu-|exclusive$|emulator-|iothread-)/,
    "`pulumi refresh`, then `pulumi up` sets this machine's pins again; move or pin the other machines",
  ],
  [
    /^isolated$/,
    "boot the host, whose kernel arguments wait for that (`prepare.isolateCpus`), then `npm run facts` and `pulumi up`",
  ],
  [/^cpu-quota$/, "remove the limit from the definition (`virsh edit`) or the cgroup"],
  [/^numa-memory$/, "restart the machine when its NUMA node has room for all of it"],
  [/^lease$/, "see who holds the CPUs in /var/lib/kvmesh/leases on the host"],
  [/^steal$/, "its cores are shared: ask the operator for dedicated ones, or move the node"],
  [/^hypervisor$/, "rent a KVM machine or bare metal, or accept this one in its pool"],
  [/^vcpus$/, "resize the machine, or lower its declared vcpus"],
  [/^clock$/, "run chrony or systemd-timesyncd on both"],
  [/^disk$/, "put the data folder on NVMe"],
  [/^fsync-/, "give the control planes a faster disk; the limit is `maxFsync` of their pool"],
];

function remedy({ id, measured: found, note }: Value): string {
  if (found === null) return note?.includes(NO_FIO) ? "; `apt-get install fio` on the machine or in its image" : "";
  const text = REMEDIES.find(([pattern]) => pattern.test(id))?.[1];
  return text === undefined ? "" : `; ${text}`;
}

function recordOf(
  { name, endpoint, host, owner, role, plan }: MeasurementInputs,
  values: readonly Value[],
  tools: Readonly<Record<string, string>>,
): EvidenceRecord {
  return {
    schema: 1,
    machine: name,
    address: endpoint.address,
    ...(host === undefined ? {} : { host: host.address }),
    ...owner,
    role,
    plan,
    takenAt: new Date().toISOString(),
    tools,
    verdict: (["fail", "warn"] as const).find((worst) => values.some(({ verdict }) => verdict === worst)) ?? "pass",
    values,
  };
}
