import { expect } from "chai";
import { EngineProject, stepsOf } from "../support/engine";
import { imageProgram } from "../support/machine-program";
import { SimulatedHost } from "../support/simulated-host";

describe("the plugin under the real engine: a block device as system disk", () => {
  let host: SimulatedHost;
  let project: EngineProject;
  before(async () => {
    host = await SimulatedHost.start();
    host.addDevice({ name: "sdb", id: "nvme-one", serial: "S1", bytes: 4096 });
    project = new EngineProject({ program: program("first"), config: { "kvmesh:identityFile": host.identityFile } });
  });
  after(async () => {
    project.dispose();
    await host.stop();
  });

  /** A machine whose image of this content is on the device, as the node components declare it. */
  function program(content: string): string {
    return `${imageProgram(host, content)}
    const system = new kvmesh.BlockDevice("web-0", {
      host, owner, machine: "web-0", disk: "system.disk", device: "/dev/disk/by-id/nvme-one", serial: "S1", base: image.path, baseFormat: "raw",
    });
    new kvmesh.Domain("machine", {
      host, owner, name: "web-0", type: "qemu", vcpus: 1, vcpuPins: [], emulatorPin: [], ioThreadPin: [], memoryBytes: 512 * 1024 * 1024,
      disks: [{ type: "block", path: system.path, format: "raw", target: "vda" }],
      interfaces: [],
      storage,
    }, { customTimeouts: { delete: "20s" } });`;
  }
  const operations = (result: Parameters<typeof stepsOf>[0], name: string): string[] =>
    stepsOf(result, name).map(({ op }) => op);

  it("is written from the image, and anew from another one, once the machine is gone", async () => {
    const made = await project.up();
    expect(made.code, made.text).to.equal(0);
    expect(host.read("/dev/sdb")).to.match(/^first /);

    project.setProgram(program("second"));
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(operations(result, "machine")).to.deep.equal(["delete-replaced", "replace", "create-replacement"]);
    expect(operations(result, "web-0")).to.include("create-replacement");
    expect(host.read("/dev/sdb")).to.match(/^second /);
    expect((await host.shell("virsh domstate web-0")).stdout.trim()).to.equal("running");
  });
});
