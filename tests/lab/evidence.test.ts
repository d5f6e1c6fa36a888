import { expect } from "chai";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { macOf, metaData, networkConfig, userData } from "../../components/nodes/cloud-init";
import type { Context, Kind } from "../../provider/core/kind";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import { digestOf } from "../../provider/evidence/digest";
import { evidenceKind } from "../../provider/evidence/kind";
import type { EvidenceOutputs } from "../../provider/evidence/schema";
import { hostKeyKind } from "../../provider/hostkey/hostkey";
import { imageKind } from "../../provider/image/image";
import { SshTransport } from "../../provider/transport/ssh";
import { volumeKind } from "../../provider/volume/volume";
import { ensureBaseImage } from "../../tools/site/base-image";
import { ensureRoot, hostRecipe, nodeRecipe } from "../../tools/site/roots";
import { emulatedKernelArguments } from "../../tools/site/settings";
import { hostUp, siteDown } from "../../tools/site";
import { testContext } from "../support/context";

const isRoot = process.getuid?.() === 0 && process.platform === "linux";
const owner = { project: "evidence", stack: "test", cluster: "test", environment: "development" } as const;
const name = "evidence-0";

/** A real guest on a real libvirt (emulated): what only both together show. Its disk is slowed down by libvirt itself. */
(isRoot ? describe : describe.skip)(`evidence of a real machine${isRoot ? "" : " (needs root on Linux)"}`, function () {
  this.timeout(20 * 60_000);
  const data = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-evidence-"));
  const outer = process.env.KVMESH_DATA;
  const report = (line: string): void => void process.stdout.write(`    ${line}\n`);
  let transport: SshTransport;
  let context: (resource: string) => Context & { readonly warnings: string[] };
  let declared: Record<string, unknown>;
  let host: { address: string; port: number; user: string; hostKey: string };

  before(async () => {
    process.env.KVMESH_DATA = data;
    const site = await hostUp(report, { yes: true });
    const { address, port, user, hostKey } = site.host;
    host = { address, port, user, hostKey };
    const [tools, node] = [await ensureRoot(hostRecipe, report), await ensureRoot(nodeRecipe, report)];
    const base = await ensureBaseImage(report, { tools, node, kernelArguments: emulatedKernelArguments });
    transport = new SshTransport({ identityFile: site.identityFile, connectTimeoutSeconds: 15, attempts: 3 });
    // A guest takes its time to shut down; deletes of this test need not wait for it.
    context = (resource) => ({ ...testContext(transport, resource), deadline: Date.now() + 10 * 60_000 });
    const make = async <I extends object, O extends object>(kind: Kind<I, O>, inputs: object): Promise<O> => {
      const checked = kind.check(inputs as Record<string, unknown>);
      expect(checked.failures).to.deep.equal([]);
      return (await kind.create(context(kind.token), checked.inputs)).outputs;
    };

    const storage = site.host.storage;
    const image = await make(imageKind, {
      ...{ host, owner, storage, name: "base.qcow2" },
      ...{ file: base.file, digest: base.digest, format: base.format },
    });
    const disk = await make(volumeKind, {
      ...{ host, owner, storage, name: `${name}.qcow2`, capacityBytes: 4 * 2 ** 30, format: "qcow2" },
      ...{ base: image.path, baseFormat: "qcow2" },
    });
    await make(coreLeaseKind, { host, owner, machine: name, cpus: [1] });
    const key = await make(hostKeyKind, {});
    const mac = macOf(owner.cluster, name);
    const guest = site.network.firstWorkerAddress;
    const domain = { vcpuPins: [1], emulatorPin: [0], ioThreadPin: [0] };
    await make(domainKind, {
      ...{ host, owner, storage, name, type: "qemu", vcpus: 1, memoryBytes: 2 ** 30, ...domain },
      disks: [{ type: "file", path: disk.path, format: "qcow2", target: "vda" }],
      interfaces: [{ type: "bridge", bridge: site.host.bridge, mac }],
      cloudInit: {
        userData: userData({
          hostname: name,
          hostKey: key,
          authorizedKeys: [fs.readFileSync(`${site.identityFile}.pub`, "utf8").trim()],
        }),
        metaData: metaData(name),
        networkConfig: networkConfig({ mac, address: guest, prefix: 24, nameservers: [] }),
      },
    });
    const endpoint = { address: guest, port: 22, user: "root", hostKey: key.publicKey };
    report("the guest boots");
    await transport.waitUntilReachable(endpoint, 10 * 60_000, () => undefined);
    declared = {
      ...{ endpoint, owner, name, role: "control-plane", plan: "dedicated", vcpus: 1, hypervisors: ["qemu"] },
      // Two busy cores for everything: what the machine waits for is no fault of the program.
      ...{ maxStealPercent: 100, maxFsyncMs: 10, directory: "/var/lib/etcd" },
      ...{ windowSeconds: 2, fsyncWriters: [1, 2], fsyncBytes: 2 ** 20, fsyncSeconds: 5, host, domain },
    };
  });

  after(async () => {
    transport.close();
    await siteDown(report);
    if (outer === undefined) delete process.env.KVMESH_DATA;
    else process.env.KVMESH_DATA = outer;
    fs.rmSync(data, { recursive: true, force: true });
  });

  const measure = async (
    changes: Record<string, unknown> = {},
  ): Promise<{ outputs: EvidenceOutputs; warnings: readonly string[] }> => {
    const { inputs, failures } = evidenceKind.check({ ...declared, ...changes });
    expect(failures).to.deep.equal([]);
    const ctx = context("evidence");
    const { outputs } = await evidenceKind.create(ctx, inputs);
    return { outputs, warnings: ctx.warnings };
  };
  const shell = async (script: string): Promise<string> => {
    const result = await transport.script(host, script);
    expect(result.code, result.stderr).to.equal(0);
    return result.stdout.trim();
  };
  const valueOf = ({ record }: EvidenceOutputs, id: string): unknown =>
    record.values.find((value) => value.id === id)?.measured;
  let quick: number;

  it("is measured on its host and from inside, and leaves nothing in the machine", async () => {
    const started = Date.now();
    const { outputs } = await measure();
    report(`measured in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    for (const { verdict, what, measured, unit } of outputs.record.values) {
      report(`${verdict}: ${what}: ${measured} ${unit ?? ""}`);
    }
    expect(valueOf(outputs, "vcpu-affinity")).to.equal("0→1");
    expect(valueOf(outputs, "exclusive")).to.equal("none");
    expect(valueOf(outputs, "lease")).to.equal("CPU 1 by evidence/test/evidence-0");
    expect(valueOf(outputs, "hypervisor")).to.equal("qemu");
    expect(valueOf(outputs, "vcpu-wait")).to.be.within(0, 100);
    expect(outputs.record.tools["fio"]).to.match(/^fio-3/);
    expect(outputs.record.tools["qemu"]).to.match(/^\d+\./);
    expect(outputs.digest).to.equal(digestOf(JSON.parse(JSON.stringify(outputs.record)) as object));
    quick = valueOf(outputs, "fsync-p50-1") as number;
    expect(quick).to.be.greaterThan(0);
    const endpoint = declared["endpoint"] as typeof host;
    const left = await transport.script(endpoint, "ls -A /var/lib | grep -i -e kvmesh -e etcd; pgrep -c fio || true");
    expect(left.stdout.trim()).to.equal("0");
  });

  it("ends the run of production's control plane when an fsync takes 20 ms, with the numbers, and only warns elsewhere", async () => {
    // One write in 20 ms, by QEMU's own throttle.
    await shell(`virsh -q blkdeviotune ${name} vda --write-iops-sec 50 --live`);
    try {
      const { outputs, warnings } = await measure();
      report(`slow disk: median ${String(valueOf(outputs, "fsync-p50-1"))} ms, before ${quick} ms`);
      expect(valueOf(outputs, "fsync-p50-1")).to.be.greaterThan(Math.max(18, quick));
      expect(outputs.record.verdict).to.equal("warn");
      expect(warnings.join("\n")).to.match(/99th percentile: \d+(\.\d+)? ms; required: at most 10 ms/);

      const error = await measure({ owner: { ...owner, environment: "production" } }).then(
        () => expect.fail("accepted"),
        (reason: unknown) => reason as Error,
      );
      report(error.message);
      const [, ...faults] = error.message.split("\n");
      expect(faults).to.have.length(1);
      const p99 = /fdatasync in \/var\/lib by 1 writer, 99th percentile: ([\d.]+) ms; required: at most 10 ms/;
      expect(Number(p99.exec(faults[0]!)?.[1])).to.be.greaterThan(20);
    } finally {
      await shell(`virsh -q blkdeviotune ${name} vda --write-iops-sec 0 --live`);
    }
  });
});
