/** Machines of others on a host, simulated or real: seen by a probe, and adopted: a part of the contract (contract.ts). */
import { expect } from "chai";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { adopt, planAdoption } from "../../provider/domain/adopt";
import { domainKind } from "../../provider/domain/domain";
import { domainXml } from "../../provider/domain/xml";
import { markOf } from "../../provider/libvirt/mark";
import { volumeKind } from "../../provider/volume/volume";
import { probeHost } from "../../tools/facts";
import { importContext, MIB, owner, storage } from "./contract-machine";
import type { MachineGround } from "./contract-machine";
import { failure } from "./failure";

export function adoptContract(ground: () => MachineGround): void {
  it("is probed, with the machines of others on it and without ours", async () => {
    const { endpoint, transport, shell } = ground();
    const uuid = "0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e";
    const xml = `<domain type="qemu"><name>others</name><uuid>${uuid}</uuid><description>\n@@ hostname\nx</description><memory unit="MiB">64</memory><vcpu>2</vcpu><cputune><vcpupin vcpu="0" cpuset="1"/></cputune><os><type arch="x86_64">hvm</type></os><devices/></domain>`;
    await shell(`printf %s '${xml}' >/tmp/others.xml; virsh -q define /tmp/others.xml; rm /tmp/others.xml`);
    const facts = await probeHost(endpoint, storage, transport);
    await shell("virsh -q undefine others");
    expect(facts.foreign).to.deep.equal([
      { name: "others", uuid, vcpus: 2, cpus: [1], floating: 1, memoryBytes: 64 * MIB, nodes: [] },
    ]);
    expect(facts.hostname).not.to.equal("x");
    expect(facts.cpus.map(({ cpu }) => cpu)).to.include.members([0, 1]);
    expect(facts.availableMemory).to.be.greaterThan(128 * MIB);
    expect(facts.storage.path).to.equal(storage);
    expect(facts.storage.availableBytes).to.be.greaterThan(MIB);
  });

  it("adopts a machine that is not ours only when it is told to drop what can't be described", async () => {
    const { endpoint, transport, shell, inputs } = ground();
    const disk = `${storage}/foreign.qcow2`;
    const foreign = (cpu: number): string =>
      domainXml(
        {
          ...inputs,
          ...{ name: "foreign-0", vcpuPins: [cpu], emulatorPin: [], ioThreadPin: [] },
          ...{ disks: [{ ...inputs.disks[0]!, path: disk }], cloudInit: undefined },
        },
        { uuid: "6d3f3f1e-0d6c-4a0b-8d52-3c1c5d1f0a01", mark: markOf(owner, ""), seedDigest: undefined },
      ).replace(/<metadata>.*<\/metadata>/s, "");
    const vnc = foreign(1).replace("</devices>", '<graphics type="vnc" port="-1"/></devices>');
    const define = (xml: string): Promise<string> =>
      shell(`printf %s '${xml}' >/tmp/foreign.xml; virsh -q define /tmp/foreign.xml >/dev/null; rm /tmp/foreign.xml`);
    const ctx = importContext(transport, endpoint);
    await shell(`qemu-img create -q -f qcow2 ${disk} 1048576`);
    await define(vnc);
    const plan = await planAdoption(ctx, endpoint, "foreign-0", owner);
    expect(plan.unmodelled.join()).to.contain("devices/graphics");
    expect(plan).to.deep.include({ marked: false, running: false, cpus: [1] });
    expect(plan.disks.map(({ path: at }) => at)).to.deep.equal([disk]);
    const held = await failure(adopt(ctx, plan));
    expect(held.message).to.contain("CPU 1 by contract/test/contract-0");

    await define(foreign(0));
    const changed = await failure(adopt(ctx, { ...plan, cpus: [0] }));
    expect(changed.message).to.contain("the machine was changed meanwhile");
    const exact = await planAdoption(ctx, endpoint, "foreign-0", owner);
    expect(exact.unmodelled).to.deep.equal([]);
    const before = await domainKind.read(ctx, "there:foreign-0", undefined);
    expect(ctx.warnings.join()).to.contain("has no mark of kvmesh");
    const untouched = await failure(
      domainKind.update(ctx, before!.id!, { ...before!.inputs, ...before!.outputs }, before!.inputs),
    );
    expect(untouched.message).to.contain("has no mark of kvmesh: adopt it first");

    await adopt(ctx, exact);
    await adopt(ctx, exact).catch(() => undefined);
    ctx.warnings.length = 0;
    const adopted = await domainKind.read(ctx, "there:foreign-0", undefined);
    expect(adopted).to.deep.equal(before);
    expect(ctx.warnings).to.deep.equal([]);
    expect(await domainKind.read(ctx, before!.id!, { ...before!.inputs, ...before!.outputs })).to.deep.equal({
      inputs: before!.inputs,
      outputs: before!.outputs,
    });
    const again = await planAdoption(ctx, endpoint, "foreign-0", owner);
    expect(again).to.deep.include({ marked: true, disks: [] });
    const other = await failure(planAdoption(ctx, endpoint, "foreign-0", { ...owner, stack: "other" }));
    expect(other.message).to.contain("belongs to stack contract/test");
    const volume = await volumeKind.read(ctx, `there:${disk}`, undefined);
    await domainKind.delete(ctx, before!.id!, { ...before!.inputs, ...before!.outputs });
    await volumeKind.delete(ctx, disk, { ...volume!.inputs, ...volume!.outputs, onDestroy: "remove" });
    await coreLeaseKind.delete(ctx, "foreign-0", { host: endpoint, owner, machine: "foreign-0", cpus: [0] });
    expect(
      await shell(`virsh -q list --all --name | grep -x foreign-0 || true; ls ${disk}* 2>/dev/null || true`),
    ).to.equal("");
  });
}
