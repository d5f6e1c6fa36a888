import { expect } from "chai";
import { macOf, metaData, networkConfig, userData } from "../../components/nodes/cloud-init";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import { digestOf } from "../../rules/canonical-json";
import { evidenceKind } from "../../provider/evidence/kind";
import type { EvidenceOutputs } from "../../provider/evidence/schema";
import { hostKeyKind } from "../../provider/hostkey/hostkey";
import type { Endpoint } from "../../provider/transport/transport";
import { volumeKind } from "../../provider/volume/volume";
import { labSite, type LabSite } from "../support/lab-site";

const isRoot = process.getuid?.() === 0 && process.platform === "linux";
const owner = { project: "evidence", stack: "test", cluster: "test", environment: "development" } as const;
const name = "evidence-0";

/** A real guest on a real libvirt (emulated): what only both together show. Its disk is slowed down by libvirt itself. */
(isRoot ? describe : describe.skip)(`evidence of a real machine${isRoot ? "" : " (needs root on Linux)"}`, function () {
  this.timeout(20 * 60_000);
  const report = (line: string): void => void process.stdout.write(`    ${line}\n`);
  let lab: LabSite;
  let declared: Record<string, unknown> & { readonly endpoint: Endpoint };

  before(async () => {
    lab = await labSite(owner, report);
    const { make, endpoint: host } = lab;
    const { storage } = lab.host;
    const disk = await make(volumeKind, {
      ...{ host, owner, storage, name: `${name}.qcow2`, capacityBytes: 4 * 2 ** 30, format: "qcow2" },
      ...{ base: lab.image, baseFormat: "qcow2" },
    });
    await make(coreLeaseKind, { host, owner, machine: name, cpus: [1] });
    const key = (await make(hostKeyKind, {})).state;
    const mac = macOf(owner.cluster, name);
    const guest = lab.network.firstWorkerAddress;
    const domain = { vcpuPins: [1], emulatorPin: [0], ioThreadPin: [0] };
    await make(domainKind, {
      ...{ host, owner, storage, name, type: "qemu", vcpus: 1, memoryBytes: 2 ** 30, ...domain },
      disks: [{ type: "file", path: disk.state.path, format: "qcow2", target: "vda" }],
      interfaces: [{ type: "bridge", bridge: lab.host.bridge, mac }],
      cloudInit: {
        userData: userData({ hostname: name, hostKey: key, authorizedKeys: [lab.authorizedKey] }),
        metaData: metaData(name),
        networkConfig: networkConfig({ mac, address: guest, prefix: 24, nameservers: [] }),
      },
    });
    const endpoint = { address: guest, port: 22, user: "root", hostKey: key.publicKey };
    report("the guest boots");
    await lab.transport.waitUntilReachable(endpoint, 10 * 60_000, () => undefined);
    declared = {
      ...{ endpoint, owner, name, role: "control-plane", plan: "dedicated", vcpus: 1, hypervisors: ["qemu"] },
      // Two busy cores for everything: what the machine waits for is no fault of the program.
      ...{ maxStealPercent: 100, maxFsyncMs: 10, directory: "/var/lib/etcd" },
      ...{ windowSeconds: 2, fsyncWriters: [1, 2], fsyncBytes: 2 ** 20, fsyncSeconds: 5, host, domain },
    };
  });

  after(() => lab.stop());

  const measure = async (
    changes: Record<string, unknown> = {},
  ): Promise<{ outputs: EvidenceOutputs; warnings: readonly string[] }> => {
    const { inputs, failures } = evidenceKind.check({ ...declared, ...changes });
    expect(failures).to.deep.equal([]);
    const ctx = lab.context("evidence");
    const { outputs } = await evidenceKind.create(ctx, inputs);
    return { outputs, warnings: ctx.warnings };
  };
  const shell = (script: string): Promise<string> => lab.shell(lab.endpoint, script);
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
    const left = await lab.shell(declared.endpoint, "ls -A /var/lib | grep -i -e kvmesh -e etcd; pgrep -c fio || true");
    expect(left).to.equal("0");
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
