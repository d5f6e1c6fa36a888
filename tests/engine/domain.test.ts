import { expect } from "chai";
import { EngineProject, changesIn, stepsOf } from "../support/engine";
import { SECRET, machineProgram } from "../support/machine-program";
import { SimulatedHost } from "../support/simulated-host";

describe("the plugin under the real engine: a machine's life on a simulated host", () => {
  let host: SimulatedHost;
  let first: SimulatedHost | undefined;
  let project: EngineProject;
  before(async () => {
    host = await SimulatedHost.start();
    host.write("/var/lib/kvmesh/web-0.qcow2", "");
    project = new EngineProject({
      program: machineProgram(host),
      config: { "kvmesh:identityFile": host.identityFile },
    });
  });
  after(async () => {
    project.dispose();
    await host.stop();
    await first?.stop();
  });

  it("is planned without any connection", async () => {
    const result = await project.preview({
      wrapper: ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"],
    });
    expect(result.code, result.text).to.equal(0);
    expect(changesIn(result)).to.deep.equal({ create: 4 });
    expect(host.server.connections).to.equal(0);
  });

  it("is made and started, over one connection, with its secrets in no log and no plain state", async () => {
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect((await project.outputs())["running"]).to.equal(true);
    expect((await host.shell("virsh domstate web-0")).stdout.trim()).to.equal("running");
    expect(host.read("/var/lib/kvmesh/leases/cpu-2")).to.match(/^test\ttest\tweb-0\t\d{4}-/);
    expect(host.read("/var/lib/kvmesh/web-0-seed.iso")).to.contain(SECRET);
    expect(host.server.connections).to.equal(1);
    expect(result.text).not.to.contain(SECRET);
    expect(project.storedText()).not.to.contain(SECRET);
  });

  it("is unchanged at the second run", async () => {
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(changesIn(result)).to.deep.equal({ same: 4 });
  });

  it("shows a pin that was changed behind its back, and up repairs it", async () => {
    await host.shell("virsh vcpupin web-0 1 5 --live --config");
    const seen = await project.refresh();
    expect(seen.code, seen.text).to.equal(0);
    expect(changesIn(seen)).to.deep.equal({ same: 3, update: 1 });
    expect(seen.stdout).to.match(/vcpuPins/);
    const repaired = await project.up();
    expect(repaired.code, repaired.text).to.equal(0);
    expect(changesIn(repaired)).to.deep.equal({ same: 3, update: 1 });
    expect(stepsOf(repaired, "web-0")[0]?.detailedDiff).to.have.property("vcpuPins[1]");
    const xml = (await host.shell("virsh dumpxml web-0")).stdout;
    expect(xml).to.match(/<vcpupin vcpu="1" cpuset="3"\/>/);
  });

  it("starts again what was switched off", async () => {
    await host.shell("virsh destroy web-0");
    const seen = await project.refresh();
    expect(changesIn(seen)).to.deep.equal({ same: 3, update: 1 });
    const repaired = await project.up();
    expect(repaired.code, repaired.text).to.equal(0);
    expect((await host.shell("virsh domstate web-0")).stdout.trim()).to.equal("running");
  });

  it("moves to other cores live, and takes memory at the next start; the plan says so, and why", async () => {
    project.setProgram(machineProgram(host, { pins: "[4, 5]", memory: "768 * 1024 * 1024" }));
    const plan = await project.preview();
    expect(plan.code, plan.text).to.equal(0);
    const said = (name: string): string[] =>
      plan.events.flatMap(({ diagnosticEvent: line }) =>
        line?.severity === "info" && line.urn?.endsWith(`::${name}`) === true ? [line.message.trim()] : [],
      );
    expect(said("web-0")).to.have.members([
      "vcpuPins[0], vcpuPins[1]: live: the vCPUs' threads move at once",
      "memoryBytes: reboot: QEMU gets its memory at start (no maxMemoryBytes)",
    ]);
    expect(said("lease")).to.deep.equal(["cpus[0], cpus[1]: live"]);
    expect(plan.text).to.contain("memoryBytes: reboot: QEMU gets its memory at start");
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(result.text).to.match(/memoryBytes: takes effect when the machine is shut down and started again/);
    expect((await host.shell("virsh dumpxml web-0")).stdout).to.contain('vcpu="1" cpuset="5"');
    expect((await host.shell("virsh dumpxml web-0 --inactive")).stdout).to.contain(`>${768 * 1024}</memory>`);
    expect(host.exists("/var/lib/kvmesh/leases/cpu-2")).to.equal(false);
    expect(host.exists("/var/lib/kvmesh/leases/cpu-4")).to.equal(true);
  });

  it("is made anew on another host, and nothing of it stays on the old one", async () => {
    const other = await SimulatedHost.start({ identityFile: host.identityFile });
    other.write("/var/lib/kvmesh/web-0.qcow2", "");
    project.setProgram(machineProgram(other));
    const plan = await project.preview();
    expect(plan.text).to.contain("another host: nothing is copied to it");
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect((await host.shell("virsh list --all")).stdout.trim()).to.equal("");
    expect(host.exists("/var/lib/kvmesh/leases")).to.equal(false);
    expect((await other.shell("virsh domstate web-0")).stdout.trim()).to.equal("running");
    expect(other.exists("/var/lib/kvmesh/leases/cpu-2")).to.equal(true);
    // It has the key that logs in to both.
    first = host;
    host = other;
  });

  it("is gone after destroy, with its seed and its lease", async () => {
    const result = await project.destroy();
    expect(result.code, result.text).to.equal(0);
    expect((await host.shell("virsh list --all")).stdout.trim()).to.equal("");
    expect(host.exists("/var/lib/kvmesh/web-0-seed.iso")).to.equal(false);
    expect(host.exists("/var/lib/kvmesh/leases")).to.equal(false);
    expect(host.exists("/var/lib/kvmesh/web-0.qcow2")).to.equal(true);
  });
});
