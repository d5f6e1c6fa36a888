import * as fs from "node:fs";
import { expect } from "chai";
import { EngineProject, stepsOf } from "../support/engine";
import { imageProgram } from "../support/machine-program";
import { SimulatedHost } from "../support/simulated-host";

const STORAGE = "/var/lib/kvmesh";
const DATA = `${STORAGE}/web-0.etcd.raw`;

describe("the plugin under the real engine: a data disk outlives its machine", () => {
  let host: SimulatedHost;
  let project: EngineProject;
  before(async () => {
    host = await SimulatedHost.start();
    project = new EngineProject({ program: program("first"), config: { "kvmesh:identityFile": host.identityFile } });
  });
  after(async () => {
    project.dispose();
    await host.stop();
  });

  /** A machine made from an image of this content, with a disk of data, as the node components declare it. */
  function program(content: string, size = 8): string {
    return `${imageProgram(host, content)}
    const MIB = 1024 * 1024;
    const system = new kvmesh.Volume("web-0", {
      host, owner, name: "web-0.qcow2", storage, capacityBytes: 16 * MIB, format: "qcow2", base: image.path, baseFormat: "raw",
    });
    const data = new kvmesh.Volume("web-0.etcd", {
      host, owner, name: "web-0.etcd.raw", storage, capacityBytes: ${size} * MIB, format: "raw", onDestroy: "keep",
    });
    new kvmesh.Domain("machine", {
      host, owner, name: "web-0", type: "qemu", vcpus: 1, vcpuPins: [], emulatorPin: [], ioThreadPin: [], memoryBytes: 512 * MIB,
      disks: [
        { type: "file", path: system.path, format: "qcow2", target: "vda" },
        { type: "file", path: data.path, format: "raw", target: "vdb", serial: "etcd" },
      ],
      interfaces: [],
      cloudInit: { userData: "#cloud-config\\n", metaData: "instance-id: web-0\\n", networkConfig: "version: 2\\n" },
      storage,
    }, { customTimeouts: { delete: "20s" } });`;
  }
  const operations = (result: Parameters<typeof stepsOf>[0], name: string): string[] =>
    stepsOf(result, name).map(({ op }) => op);
  const inode = (): number => fs.statSync(host.path(DATA)).ino;
  let made: number;

  it("is made beside the system disk", async () => {
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    fs.writeFileSync(host.path(DATA), "word-4711", { flag: "r+" });
    made = inode();
  });

  it("is the same after a new image has replaced machine and system disk, the machine first", async () => {
    project.setProgram(program("second"));
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(operations(result, "machine")).to.deep.equal(["delete-replaced", "replace", "create-replacement"]);
    expect(operations(result, "web-0")).to.include("create-replacement");
    expect(operations(result, "web-0.etcd")).to.deep.equal(["same"]);
    expect(inode()).to.equal(made);
    expect(host.read(DATA)).to.match(/^word-4711/);
    expect((await host.shell("virsh domstate web-0")).stdout.trim()).to.equal("running");
  });

  it("is not made smaller: the preview says so, and nothing is touched", async () => {
    project.setProgram(program("second", 4));
    const result = await project.preview();
    expect(result.code).not.to.equal(0);
    expect(result.text).to.contain(
      "disk web-0.etcd.raw has 8MiB, declared are 4MiB: a disk that may hold data does not shrink, and is not made anew for its size. Declare 8MiB",
    );
    project.setProgram(program("second"));
  });

  it("nor is a system disk that somebody enlarged: the plan is refused, until it is told to make it anew", async () => {
    const system = `${STORAGE}/web-0.qcow2`;
    const resized = await host.shell(`qemu-img resize -q -f qcow2 ${system} ${24 * 2 ** 20}`);
    expect(resized.code, resized.stderr).to.equal(0);
    const refreshed = await project.refresh();
    expect(refreshed.code, refreshed.text).to.equal(0);
    const refused = await project.up();
    expect(refused.code).not.to.equal(0);
    expect(refused.text).to.contain("disk web-0.qcow2 has 24MiB, declared are 16MiB: a disk that may hold data does");
    expect(refused.text).to.contain("have it made anew: `pulumi up --replace` with its URN");
    expect((await host.shell("virsh domstate web-0")).stdout.trim()).to.equal("running");
    const anew = await project.up({ args: ["--replace", "urn:pulumi:test::test::kvmesh:index:Volume::web-0"] });
    expect(anew.code, anew.text).to.equal(0);
    expect(operations(anew, "machine")).to.deep.equal(["delete-replaced", "replace", "create-replacement"]);
    expect(host.read(system)).to.contain(`"virtual-size":${16 * 2 ** 20}`);
    expect(inode()).to.equal(made);
  });

  it("stays when everything else is destroyed, and is said to; the next up has it again", async () => {
    const destroyed = await project.destroy();
    expect(destroyed.code, destroyed.text).to.equal(0);
    expect(destroyed.text).to.contain(`disk ${DATA} is kept with all that it holds`);
    expect(fs.readdirSync(host.path(STORAGE)).sort()).to.deep.equal([
      ".kvmesh-pool",
      "web-0.etcd.raw",
      "web-0.etcd.raw.kvmesh.json",
    ]);
    const again = await project.up();
    expect(again.code, again.text).to.equal(0);
    expect(again.text).to.contain("disk web-0.etcd.raw was kept: what it holds is used again");
    expect(inode()).to.equal(made);
    expect(host.read(DATA)).to.match(/^word-4711/);
  });
});
