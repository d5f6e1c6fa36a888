import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Change, type Context, type Kind } from "../core/kind";
import { without } from "../core/values";
import { repeatable, whenUnreachable } from "../node/reach";
import { Semaphore } from "../transport/semaphore";
import { where } from "../transport/errors";
import { digestOf } from "./digest";
import { inspectHost, inspectThreads, type SeenHost } from "./host";
import { describe, judgeDisk, judgeInside } from "./judge";
import { judgeHost, judgeWaiting } from "./judge-host";
import { fsyncLimit, fsyncScript, insideScript, NO_FIO, parseFsync, parseInside } from "./machine";
import { evidenceArgs, type EvidenceInputs, type EvidenceOutputs, type EvidenceRecord, type Value } from "./schema";

/**
 * What was measured of a machine before anything is installed on it, and again when the record is too old. A measurement that
 * contradicts what is declared is an error with the numbers; nothing is recorded then, and nothing above the machine is made.
 */
export const evidenceKind: Kind<EvidenceInputs, EvidenceOutputs> = {
  token: "kvmesh:index:Evidence",
  args: evidenceArgs,
  outputs: { record: "volatile", digest: "volatile", takenAt: "volatile", contradictions: "volatile" },

  check: checkWith(evidenceArgs),

  diff: (olds, news) => [...changesOf<EvidenceInputs>(olds, news, EFFECTS), ...outdated(olds, news, Date.now())],

  create: async (ctx, inputs) => ({ id: inputs.name, outputs: await measured(ctx, inputs) }),

  async read(ctx, id, known) {
    if (known === undefined) throw new UserError(`evidence ${id} can't be imported: it is measured by \`pulumi up\``);
    const inputs = without(known, "record", "digest", "takenAt", "contradictions");
    const { record, digest, takenAt } = known;
    const outputs = { record, digest, takenAt, contradictions: known.contradictions };
    const { host, domain } = inputs;
    if (host === undefined || domain === undefined) return { inputs, outputs };
    return whenUnreachable(ctx, inputs.name, { inputs, outputs }, async () => {
      const seen = await inspectHost(ctx, host, inputs.name);
      // A machine that is off proves nothing; that it is off is its Domain's business.
      if (seen === undefined) return { inputs, outputs };
      const contradictions = judgeHost(inputs, domain, seen).filter(failed).map(describe);
      for (const text of contradictions) ctx.warn(`machine ${inputs.name}: its evidence no longer holds: ${text}`);
      return { inputs, outputs: { ...outputs, contradictions } };
    });
  },

  update: async (ctx, _id, _olds, news) => measured(ctx, news),

  // A record of something past: nothing on the machine is of it.
  delete: () => Promise.resolve(),
};

/** Whatever the record speaks of; how it is measured next time is no reason to measure now. */
const EFFECTS = {
  identity: "replace",
  role: "live",
  plan: "live",
  vcpus: "live",
  hypervisors: "live",
  maxStealPercent: "live",
  maxFsyncMs: "live",
  directory: "live",
  domain: "live",
  endpoint: "record",
  host: "record",
  owner: "live",
  name: "record",
  windowSeconds: "record",
  fsyncWriters: "record",
  fsyncBytes: "record",
  fsyncSeconds: "record",
  installFio: "record",
  maxAgeSeconds: "record",
} as const;

/**
 * The one diff that looks at the clock: a record says what was true once, and its age is the only thing that makes it untrue
 * without anybody changing anything (docs/decisions/0044).
 */
export function outdated(olds: EvidenceOutputs, news: EvidenceInputs, now: number): Change[] {
  const changes: Change[] = [];
  if (now - Date.parse(olds.takenAt) > news.maxAgeSeconds * 1000) {
    const days = news.maxAgeSeconds / 86_400;
    const age = Number.isInteger(days) ? `${days} d` : `${Math.round(news.maxAgeSeconds / 360) / 10} h`;
    const reason = `evidence of ${olds.takenAt} is older than ${age}: measured again by up`;
    changes.push({ property: "takenAt", effect: "live", reason });
  }
  if (olds.contradictions.length > 0) {
    const reason = "a refresh saw that it no longer holds: measured again by up";
    changes.push({ property: "contradictions", effect: "live", reason });
  }
  return changes;
}

/** Machines of one host share its disk: one measures at a time. Existing ones have disks of their own. */
const disks = new Map<string, Semaphore>();

async function measured(ctx: Context, inputs: EvidenceInputs): Promise<EvidenceOutputs> {
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
  refuse(inputs, values);
  for (const value of values.filter(({ verdict }) => verdict === "warn")) {
    ctx.warn(`machine ${name}: ${describe(value)}`);
  }
  const record = recordOf(inputs, values, {
    kernel: inside.kernel,
    fio: seenDisk.fio ?? "absent",
    ...(before ? { hostKernel: before.kernel, libvirt: before.libvirt, qemu: before.qemu } : {}),
  });
  return { record, digest: digestOf(record), takenAt: record.takenAt, contradictions: [] };
}

async function runningOn(ctx: Context, host: EvidenceInputs["endpoint"], name: string): Promise<SeenHost> {
  const seen = await inspectHost(ctx, host, name);
  if (seen) return seen;
  throw new UserError(`${where(host)}: machine ${name} does not run, so nothing can be measured of it`);
}

async function inMachine(ctx: Context, inputs: EvidenceInputs, script: string, seconds: number): Promise<string> {
  const result = await ctx.transport.script(inputs.endpoint, script, repeatable(ctx, seconds * 1000));
  if (result.code === 0) return result.stdout;
  const said = result.stderr.trim().slice(-300) || `the script ended with ${result.code}`;
  throw new UserError(`machine ${inputs.name} (${inputs.endpoint.address}) could not be measured: ${said}`);
}

function failed({ verdict }: Value): boolean {
  return verdict === "fail";
}

function refuse({ name, endpoint, host }: EvidenceInputs, values: readonly Value[]): void {
  const faults = values.filter(failed);
  if (faults.length === 0) return;
  const on = host === undefined ? "" : ` on host ${host.address}`;
  const lines = faults.map((value) => `  - ${describe(value)}${remedy(value)}`);
  throw new UserError(
    `machine ${name} (${endpoint.address}${on}) was measured and is not fit; nothing was installed on it:\n${lines.join("\n")}`,
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
  { name, endpoint, host, owner, role, plan }: EvidenceInputs,
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
    verdict: values.some(({ verdict }) => verdict === "warn") ? "warn" : "pass",
    values,
  };
}
