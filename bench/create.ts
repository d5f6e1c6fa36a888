/**
 * Creation of machines by the plugin's own handlers (core lease, overlay of an image, domain with its seed), until libvirt says that they run, against
 * `virsh define` and `virsh start` of the same XML by hand; and two machines side by side against one after the other.
 *
 * `node bin/run.cjs bench/create [simulated|emulated] [RUNS]`; default emulated (real libvirt, as root), 3 runs in turn after one that is not counted.
 */
import { createHash, randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { coreLeaseKind } from "../provider/corelease/corelease";
import { domainKind } from "../provider/domain/domain";
import { domainXml } from "../provider/domain/xml";
import { imageKind } from "../provider/image/image";
import { markOf } from "../provider/libvirt/mark";
import { volumeKind } from "../provider/volume/volume";
import { testContext } from "../tests/support/context";
import { benchHost, domainInputs, MIB, owner, seconds, shell, storage, transportTo, volumeInputs } from "./host";
import { median } from "./pulumi";

const VIRSH = "virsh -q -c qemu:///system";

async function main(): Promise<void> {
  const kind = process.argv[2] ?? "emulated";
  const runs = Number(process.argv[3] ?? 3);
  const host = await benchHost(kind);
  const transport = transportTo(host);
  const at = host.endpoint;
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-bench-"));
  try {
    const base = await image();
    const times = new Map<string, number[]>();
    const cases: readonly (readonly [string, () => Promise<number>])[] = [
      ["virsh by hand", byHand],
      ["one machine", () => timed(() => create("bench-0", 0, base), ["bench-0"])],
      [
        "two, one after the other",
        () =>
          timed(async () => {
            await create("bench-0", 0, base);
            await create("bench-1", 1, base);
          }, ["bench-0", "bench-1"]),
      ],
      [
        "two side by side",
        () =>
          timed(() => Promise.all([create("bench-0", 0, base), create("bench-1", 1, base)]), ["bench-0", "bench-1"]),
      ],
    ];
    for (let run = 0; run <= runs; run++) {
      for (const [name, once] of cases) {
        const taken = await once();
        if (run > 0) times.set(name, [...(times.get(name) ?? []), taken]);
      }
    }
    process.stdout.write(`${kind} host, median of ${runs} (least–most)\n`);
    for (const [name, values] of times) {
      const spread = `(${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`;
      process.stdout.write(`${name.padEnd(26)} ${median(values).toFixed(2)} s ${spread}\n`);
    }
    const of = (name: string): readonly number[] => times.get(name)!;
    const more = median(of("one machine").map((ours, run) => ours - of("virsh by hand")[run]!));
    const ratio = median(of("two side by side").map((both, run) => both / of("two, one after the other")[run]!));
    process.stdout.write(
      `ours adds ${more.toFixed(2)} s; two side by side take ${ratio.toFixed(2)} × one after the other\n`,
    );
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
    transport.close();
    await host.stop();
  }

  /** Made once a host, so in no figure. */
  async function image(): Promise<string> {
    const file = path.join(work, "empty.raw");
    fs.writeFileSync(file, Buffer.alloc(MIB, "kvmesh"));
    const digest = `sha256:${createHash("sha256").update(fs.readFileSync(file)).digest("hex")}`;
    const { inputs } = imageKind.check({ host: at, owner, name: "empty.raw", storage, file, digest, format: "raw" });
    return (await imageKind.create(testContext(transport, "image"), inputs)).outputs.path;
  }

  /** As the engine does it: lease and disk side by side, then the machine. */
  async function create(name: string, cpu: number, base: string): Promise<void> {
    const ctx = testContext(transport, name);
    await Promise.all([
      coreLeaseKind.create(ctx, { host: at, owner, machine: name, cpus: [cpu] }),
      volumeKind.create(ctx, volumeInputs(at, name, base)),
    ]);
    await domainKind.create(ctx, domainInputs(at, name, [cpu]));
  }

  async function timed(makes: () => Promise<unknown>, names: readonly string[]): Promise<number> {
    const taken = await seconds(makes);
    const running = (await shell(transport, at, `${VIRSH} list --name`)).split("\n");
    for (const name of names) if (!running.includes(name)) throw new Error(`${name} does not run`);
    for (const name of names) await remove(name);
    return taken;
  }

  /** The same machine, with its disk and XML there already. */
  async function byHand(): Promise<number> {
    const inputs = { ...domainInputs(at, "by-hand", [0]), cloudInit: undefined };
    const xml = domainXml(inputs, { uuid: randomUUID(), mark: markOf(owner, "by-hand"), seedDigest: undefined });
    await transport.writeFile(at, `${storage}/by-hand.xml`, xml, 0o600);
    await shell(transport, at, `qemu-img create -q -f qcow2 ${storage}/by-hand.qcow2 ${1024 * MIB}`);
    const taken = await seconds(() =>
      shell(transport, at, `set -e; ${VIRSH} define ${storage}/by-hand.xml; ${VIRSH} start by-hand`),
    );
    await shell(transport, at, `${VIRSH} destroy by-hand; ${VIRSH} undefine by-hand; rm ${storage}/by-hand.*`);
    return taken;
  }

  async function remove(name: string): Promise<void> {
    const ctx = testContext(transport, name);
    const uuid = (await shell(transport, at, `${VIRSH} domuuid ${name}; ${VIRSH} destroy ${name}`))
      .trim()
      .split("\n")[0]!;
    const domain = domainInputs(at, name, []);
    await domainKind.delete(ctx, uuid, { ...domain, uuid, running: false, unmodelled: [] });
    const volume = volumeInputs(at, name);
    const disk = `${storage}/${volume.name}`;
    await volumeKind.delete(ctx, disk, { ...volume, path: disk });
    await coreLeaseKind.delete(ctx, name, { host: at, owner, machine: name, cpus: [0] });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
