/** The life of a machine on a host, simulated or real: read, imported, drifted, repaired, changed: a part of the contract (contract.ts). */
import { expect } from "chai";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import { probeHost } from "../../tools/facts";
import { testContext } from "./context";
import { hostile, importContext, MIB, owner, storage } from "./contract-machine";
import type { MachineGround } from "./contract-machine";
import { failure } from "./failure";

export function machineContract(ground: () => MachineGround): void {
  it("starts a machine that reads back exactly as declared", async () => {
    const machine = ground();
    const { endpoint, transport, inputs } = machine;
    const ctx = testContext(transport, `machine ${hostile}`);
    const result = await domainKind.create(ctx, inputs);
    const id = (machine.id = result.id);
    const made = (machine.made = { ...inputs, ...result.outputs });
    const seen = await domainKind.read(ctx, id, made);
    expect(seen).to.deep.equal({ inputs, outputs: result.outputs });
    expect(ctx.warnings).to.deep.equal([]);
    expect(domainKind.diff({ ...made }, inputs)).to.deep.equal([]);
    expect((await probeHost(endpoint, storage, transport)).foreign).to.deep.equal([]);
  });

  it("imports it as it was declared, secrets of its seed included, and finds nothing that it can't hold", async () => {
    const { endpoint, transport, inputs, id } = ground();
    const ctx = importContext(transport, endpoint);
    const imported = await domainKind.read(ctx, "there:contract-0", undefined);
    expect(imported).to.deep.equal({
      id,
      inputs,
      outputs: { uuid: id, running: true, unmodelled: [] },
      secretInputs: ["cloudInit"],
    });
    expect((await domainKind.read(ctx, `there:${id}`, undefined))?.inputs).to.deep.equal(inputs);
    expect(ctx.warnings).to.deep.equal([]);
    expect((await coreLeaseKind.read(ctx, "there:contract-0", undefined))?.inputs).to.deep.equal({
      ...{ host: endpoint, owner, machine: "contract-0", cpus: [1] },
    });
    expect(await domainKind.read(ctx, "there:nobody", undefined)).to.equal(undefined);
  });

  it("is taken over, not made twice, when create is run again", async () => {
    const { transport, inputs, id } = ground();
    const again = await domainKind.create(testContext(transport, `machine ${hostile}`), inputs);
    expect(again.id).to.equal(id);
    const renamed = await failure(domainKind.create(testContext(transport, "another-name"), inputs));
    expect(renamed.message).to.contain("give it an alias");
  });

  it("sees pins changed in libvirt and behind its back, and repairs both", async () => {
    const { setAffinity, transport, shell, inputs, made, id } = ground();
    const ctx = testContext(transport, `machine ${hostile}`);
    await shell("virsh -q vcpupin contract-0 0 0 --live >/dev/null");
    expect((await domainKind.read(ctx, id, made))?.inputs.vcpuPins).to.deep.equal([0]);
    await domainKind.update(ctx, id, { ...made, vcpuPins: [0] }, inputs);
    expect((await domainKind.read(ctx, id, made))?.inputs.vcpuPins).to.deep.equal([1]);

    const pid = Number(await shell("cat /run/libvirt/qemu/contract-0.pid"));
    const thread = Number(
      await shell(`grep -l '^CPU 0/' /proc/${pid}/task/*/comm | head -n 1 | sed 's:.*/task/::; s:/comm::'`),
    );
    await shell(setAffinity(pid, thread, "0-1"));
    const seen = await domainKind.read(ctx, id, made);
    expect(seen?.inputs.vcpuPins).to.deep.equal(["0-1"]);
    await domainKind.update(ctx, id, { ...made, ...seen?.inputs }, inputs);
    expect((await domainKind.read(ctx, id, made))?.inputs).to.deep.equal(inputs);
  });

  it("defines more memory for the next start and says so, where the host has it", async () => {
    const { transport, shell, inputs, made, id } = ground();
    const ctx = testContext(transport, `machine ${hostile}`);
    const more = { ...inputs, memoryBytes: 160 * MIB };
    expect(domainKind.diff(made, more)[0]).to.include({ property: "memoryBytes", effect: "reboot" });
    await domainKind.update(ctx, id, made, more);
    expect(ctx.warnings.join()).to.contain("memoryBytes: takes effect when the machine is shut down and started again");
    const seen = await domainKind.read(ctx, id, { ...made, ...more });
    expect(seen).to.deep.equal({ inputs: more, outputs: { uuid: id, running: true, unmodelled: [] } });
    await domainKind.update(ctx, id, { ...made, ...more }, inputs);

    const definition = await shell("virsh dumpxml --inactive contract-0");
    const tooMuch = {
      ...inputs,
      memoryBytes: 4096 * 1024 * MIB + inputs.memoryBytes,
      restart: { when: "needed" } as const,
    };
    const refused = await failure(domainKind.update(ctx, id, { ...made, restart: tooMuch.restart }, tooMuch));
    expect(refused.message, "before it is shut down for it").to.match(
      /needs 4194304 MiB more, and \d+ MiB are available/,
    );
    expect(await shell("virsh dumpxml --inactive contract-0")).to.equal(definition);
    expect(await shell("virsh -q domstate contract-0")).to.equal("running");
  });

  it("names what somebody else wrote into the definition, and writes it anew", async () => {
    const { transport, shell, inputs, made, id } = ground();
    const ctx = testContext(transport, `machine ${hostile}`);
    await shell(`virsh dumpxml --inactive contract-0 | sed 's:<cputune>:<cputune><quota>50000</quota>:' >/tmp/quota.xml
virsh -q define /tmp/quota.xml >/dev/null; rm /tmp/quota.xml`);
    const seen = await domainKind.read(ctx, id, made);
    expect(seen?.inputs).to.deep.equal(inputs);
    expect(seen?.outputs.unmodelled).to.deep.equal(["cputune/quota 50000"]);
    expect(domainKind.diff({ ...made, ...seen?.outputs }, inputs)[0]).to.include({
      property: "unmodelled",
      effect: "reboot",
    });
    await domainKind.update(ctx, id, { ...made, ...seen?.outputs }, inputs);
    expect((await domainKind.read(ctx, id, made))?.outputs.unmodelled).to.deep.equal([]);
  });

  it("plugs a disk into the running machine, names another that somebody else plugged in, and pulls none that may be in use", async () => {
    const { transport, shell, inputs, made, id } = ground();
    const ctx = testContext(transport, `machine ${hostile}`);
    await shell(
      `qemu-img create -q -f raw ${storage}/data.raw 1048576; qemu-img create -q -f raw ${storage}/other.raw 1048576`,
    );
    const data = { type: "file", path: `${storage}/data.raw`, format: "raw", target: "vdb", serial: "data-1" };
    const more = domainKind.check({ ...inputs, disks: [...inputs.disks, data] }).inputs;
    expect(domainKind.diff(made, more)[0]).to.include({ property: "disks[1]", effect: "live" });
    await domainKind.update(ctx, id, made, more);
    expect(await domainKind.read(ctx, id, { ...made, ...more })).to.deep.equal({
      inputs: more,
      outputs: { uuid: id, running: true, unmodelled: [] },
    });
    expect(await shell("virsh dumpxml contract-0 | grep -c data-1")).to.equal("1");
    expect(ctx.warnings).to.deep.equal([]);

    const other = `<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${storage}/other.raw"/><target dev="vdc" bus="virtio"/></disk>`;
    await shell(
      `printf %s '${other}' >/tmp/other.xml; virsh -q attach-device contract-0 /tmp/other.xml --live >/dev/null; rm /tmp/other.xml`,
    );
    const seen = await domainKind.read(ctx, id, { ...made, ...more });
    expect(seen?.inputs.disks.map((disk) => disk.target)).to.deep.equal(["vda", "vdb", "vdc"]);
    await domainKind.update(ctx, id, { ...made, ...seen?.inputs }, inputs);
    expect(ctx.warnings.filter((line) => line.includes("the guest agent does not say"))).to.have.length(2);
    expect(await shell("virsh domblklist contract-0 | grep -cE 'data.raw|other.raw'")).to.equal("2");

    await shell("virsh -q destroy contract-0 >/dev/null");
    await domainKind.update(ctx, id, { ...made, running: false }, inputs);
    expect((await domainKind.read(ctx, id, made))?.inputs).to.deep.equal(inputs);
    await shell(`rm ${storage}/data.raw ${storage}/other.raw`);
  });

  it("restarts a machine for what it can only get at a start, when it is told to", async () => {
    const { transport, shell, inputs, made, id } = ground();
    const ctx = testContext(transport, "machine");
    const more = { ...inputs, memoryBytes: 160 * MIB, restart: { when: "needed" } as const };
    await domainKind.update(ctx, id, { ...made, restart: more.restart }, more);
    expect(ctx.warnings).to.deep.equal([]);
    expect(await shell("virsh dumpxml contract-0 | grep -c '<memory unit=.KiB.>163840<' || true")).to.equal("1");
    expect((await domainKind.read(ctx, id, { ...made, ...more }))?.inputs).to.deep.equal(more);
    expect(ctx.warnings, "nothing is pending").to.deep.equal([]);
    const pid = await shell("cat /run/libvirt/qemu/contract-0.pid");
    await domainKind.update(ctx, id, { ...made, restart: more.restart }, more);
    expect(await shell("cat /run/libvirt/qemu/contract-0.pid"), "it is not restarted twice").to.equal(pid);

    await domainKind.update(ctx, id, { ...made, ...more }, inputs);
    expect(await shell("cat /run/libvirt/qemu/contract-0.pid"), "it is not told to any more").to.equal(pid);
    expect(ctx.warnings.splice(0).join()).to.contain("memoryBytes: takes effect when the machine is shut down");
    const told = { ...inputs, restart: more.restart };
    expect(domainKind.diff(made, told)).to.deep.equal([
      { property: "restart", effect: "reboot", reason: "it restarts if an earlier change still waits for that" },
    ]);
    await domainKind.update(ctx, id, made, told);
    expect((await domainKind.read(ctx, id, made))?.inputs).to.deep.equal(inputs);
    const restarted = await shell("cat /run/libvirt/qemu/contract-0.pid");
    expect(restarted, "what waited is made when it is told to").to.not.equal(pid);
    await domainKind.update(ctx, id, made, told);
    expect(await shell("cat /run/libvirt/qemu/contract-0.pid"), "nothing waits any more").to.equal(restarted);
    expect(ctx.warnings).to.deep.equal([]);
  });

  it("starts again what was switched off, makes its seed again, takes no renamed machine for gone, sees autostart, and lets go on what was paused", async () => {
    const { transport, shell, inputs, made, id } = ground();
    const ctx = testContext(transport, `machine ${hostile}`);
    await shell("virsh -q destroy contract-0 >/dev/null");
    const seen = await domainKind.read(ctx, id, made);
    expect(seen?.outputs.running).to.equal(false);
    expect(domainKind.diff({ ...made, running: false }, inputs)[0]).to.include({
      property: "running",
      effect: "live",
    });
    await shell(`rm ${storage}/contract-0-seed.iso`);
    await shell("virsh -q domrename contract-0 contract-9 >/dev/null");
    const renamed = await failure(domainKind.read(ctx, id, made));
    await shell("virsh -q domrename contract-9 contract-0 >/dev/null");
    expect(renamed.message).to.contain("machine contract-0 was renamed to contract-9 by hand: rename it back");
    await domainKind.update(ctx, id, { ...made, running: false }, inputs);
    expect((await domainKind.read(ctx, id, made))?.outputs.running).to.equal(true);

    await shell("virsh -q autostart contract-0 >/dev/null");
    const automatic = await domainKind.read(ctx, id, made);
    expect(automatic?.inputs).to.deep.equal({ ...inputs, autostart: true });
    await domainKind.update(ctx, id, { ...made, autostart: true }, inputs);
    expect((await domainKind.read(ctx, id, made))?.inputs.autostart).to.equal(false);

    await shell("virsh -q suspend contract-0 >/dev/null");
    const paused = await domainKind.read(ctx, id, made);
    expect(paused).to.deep.equal({ inputs, outputs: { uuid: id, running: false, unmodelled: [] } });
    await domainKind.update(ctx, id, { ...made, running: false }, inputs);
    expect(ctx.warnings).to.deep.equal(["contract-0: it was paused (user) and goes on"]);
    expect(await shell("virsh -q domstate contract-0")).to.equal("running");
  });
}
