/**
 * Refresh of 20 machines of one host over one SSH connection, against 20 × `virsh dumpxml` over one connection.
 * Of each machine all that it has on its host is read by the plugin's own handlers, side by side as the engine asks them: core lease,
 * volume, domain, and the host's part of its evidence. Each run has a new connection, as a new plugin has.
 *
 * `node bin/run.cjs bench/refresh [simulated|emulated] [RUNS]`; default emulated (real libvirt, as root), 5 runs in turn after one that
 * is not counted; with all machines running, and with four.
 */
import { coreLeaseKind } from "../provider/corelease/corelease";
import { domainKind } from "../provider/domain/domain";
import { evidenceKind } from "../provider/evidence/kind";
import type { EvidenceInputs, EvidenceOutputs } from "../provider/evidence/schema";
import type { SshTransport } from "../provider/transport/ssh";
import type { Endpoint } from "../provider/transport/transport";
import { volumeKind } from "../provider/volume/volume";
import { testContext } from "../tests/support/context";
import { benchHost, countSsh, domainInputs, owner, seconds, shell, storage, transportTo, volumeInputs } from "./host";
import { median } from "./pulumi";

const MACHINES = 20;
const FEW = 4;

/** One read of the plugin; throws when what it is of is not there. */
type Read = (transport: SshTransport) => Promise<void>;

async function main(): Promise<void> {
  const kind = process.argv[2] ?? "emulated";
  const runs = Number(process.argv[3] ?? 5);
  const host = await benchHost(kind);
  const setup = transportTo(host);
  try {
    const at = host.endpoint;
    const names = Array.from({ length: MACHINES }, (_, i) => `bench-${i}`);
    const reads = (await Promise.all(names.map((name, i) => made(setup, at, name, i)))).flat();
    process.stdout.write(
      `${kind} host, ${MACHINES} machines, ${reads.length} resources; median of ${runs} (least–most)\n`,
    );
    await compare(`all ${MACHINES} run`, reads, names);
    const off = names.slice(FEW).map((name) => `virsh -q -c qemu:///system destroy ${name}`);
    await shell(setup, at, off.join("\n"));
    await compare(`${FEW} of ${MACHINES} run`, reads, names);
  } finally {
    setup.close();
    await host.stop();
  }

  async function compare(title: string, reads: readonly Read[], names: readonly string[]): Promise<void> {
    const times: { ours: number; plain: number }[] = [];
    for (let run = 0; run <= runs; run++) {
      const plain = await fresh((transport) =>
        names.map((name) => shell(transport, host.endpoint, `virsh -q -c qemu:///system dumpxml ${name}`)),
      );
      const before = { ...use };
      const ours = await fresh((transport) => reads.map((read) => read(transport)));
      if (run > 0) times.push({ ours, plain });
      else {
        const [connections, sessions] = [use.connections - before.connections, use.sessions - before.sessions];
        process.stdout.write(
          `${title}: ${connections} connection, ${sessions} sessions, at most ${use.sessionsAtOnce} at once\n`,
        );
      }
    }
    const show = (values: readonly number[]): string =>
      `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`;
    const ratio = median(times.map(({ ours, plain }) => ours / plain));
    process.stdout.write(
      `${title}: refresh ${show(times.map(({ ours }) => ours))} s, ${MACHINES} × virsh dumpxml ` +
        `${show(times.map(({ plain }) => plain))} s, ${ratio.toFixed(2)} ×\n`,
    );
  }

  async function fresh(work: (transport: SshTransport) => readonly Promise<unknown>[]): Promise<number> {
    const transport = transportTo(host);
    try {
      return await seconds(() => Promise.all(work(transport)));
    } finally {
      transport.close();
    }
  }
}

/** Makes one machine and all that belongs to it; how each is read. */
async function made(transport: SshTransport, at: Endpoint, name: string, index: number): Promise<readonly Read[]> {
  const ctx = testContext(transport, name);
  const volume = volumeInputs(at, name);
  const { id: disk, outputs: diskOutputs } = await volumeKind.create(ctx, volume);
  // Written by hand: the host has fewer CPUs than machines, and reading a lease reads its file. So the machines float.
  const lease = { host: at, owner, machine: name, cpus: [100 + index] };
  const line = [owner.project, owner.stack, name, "2026-01-01T00:00:00Z"].join("\\t");
  const folder = "/var/lib/kvmesh/leases";
  await shell(transport, at, `mkdir -p ${folder}\nprintf '${line}\\n' >${folder}/cpu-${lease.cpus[0]}`);
  const domain = domainInputs(at, name, []);
  const { id, outputs } = await domainKind.create(ctx, domain);
  const evidence = evidenceOf(at, name);
  return [
    (by) => found(name, coreLeaseKind.read(testContext(by, name), name, lease)),
    (by) => found(name, volumeKind.read(testContext(by, name), disk, { ...volume, ...diskOutputs })),
    (by) => found(name, domainKind.read(testContext(by, name), id, { ...domain, ...outputs })),
    (by) => found(name, evidenceKind.read(testContext(by, name), name, evidence)),
  ];
}

async function found(name: string, seen: Promise<unknown>): Promise<void> {
  if ((await seen) === undefined) throw new Error(`a resource of ${name} was not found`);
}

/** As if it had been measured; a refresh reads the host again. */
function evidenceOf(at: Endpoint, name: string): EvidenceInputs & EvidenceOutputs {
  const { inputs } = evidenceKind.check({
    ...{ endpoint: at, host: at, owner, name, role: "worker", plan: "dedicated", vcpus: 1, hypervisors: ["qemu"] },
    ...{ maxStealPercent: 100, maxFsyncMs: 10, directory: storage },
    domain: { vcpuPins: [0], emulatorPin: [0], ioThreadPin: [0] },
  });
  const takenAt = new Date().toISOString();
  const record = { schema: 1, machine: name, address: at.address, host: at.address, ...owner, takenAt, values: [] };
  const rest = { role: "worker", plan: "dedicated", tools: {}, verdict: "pass" } as const;
  return { ...inputs, record: { ...record, ...rest, schema: 1 }, digest: "", takenAt, contradictions: [] };
}

const use = countSsh();

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
