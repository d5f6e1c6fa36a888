import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { expect } from "chai";
import { EngineProject, changesIn, checkout, stepsOf } from "../support/engine";
import { SECRET, machineProgram } from "../support/machine-program";
import { factsOf } from "../support/hosts";
import { specOf } from "../support/stack";
import { SimulatedHost } from "../support/simulated-host";

/** A pool of one machine, as the program declares it; its check from inside fails, because nothing boots. */
function poolProgram(host: SimulatedHost, image: string): string {
  const digest = createHash("sha256").update(fs.readFileSync(image)).digest("hex");
  const spec = specOf({
    hosts: { osl1: { endpoint: host.endpoint, location: { country: "NO" }, housekeeping: "0-3", accelerator: "qemu" } },
    image: { name: "empty.raw", file: image, digest: `sha256:${digest}`, format: "raw" },
    "network.viaHost": true,
    "pools.worker.count": 1,
    "pools.worker.vcpus": 2,
    "pools.worker.memory": "512MiB",
    "pools.worker.disk": "64MiB",
  });
  const facts = factsOf({ nodes: 1, coresPerNode: 8, threadsPerCore: 1, gibPerNode: 16 });
  const args = {
    ...spec,
    hosts: spec.hosts.map((one) => ({ ...one, facts })),
    pools: spec.pools.filter(({ role }) => role === "worker"),
    // Nothing ever answers: the machine has no system.
    timeouts: { ...spec.timeouts, boot: 1000 },
    owner: { project: "test", stack: "test", cluster: "c1", environment: "development" },
    placed: [],
  };
  return `
    const { NodeLayer } = require(${JSON.stringify(path.join(checkout, "dist/components/nodes"))});
    const provider = new kvmesh.Provider("kvmesh", {
      identityFile: ${JSON.stringify(host.identityFile)}, attempts: 1,
      hosts: ${JSON.stringify({ osl1: { endpoint: host.endpoint } })},
    });
    new NodeLayer("c1", ${JSON.stringify(args)}, { providers: { kvmesh: provider } });`;
}

describe("pulumi import on a simulated host", () => {
  let host: SimulatedHost;
  const projects: EngineProject[] = [];
  const project = (program: string): EngineProject => {
    const made = new EngineProject({
      program,
      config: {
        "kvmesh:identityFile": host.identityFile,
        "kvmesh:hosts": { osl1: { endpoint: host.endpoint } },
        "kvmesh:pools": {},
      },
    });
    projects.push(made);
    return made;
  };
  before(async () => {
    host = await SimulatedHost.start();
    host.write("/var/lib/kvmesh/web-0.qcow2", "");
  });
  after(async () => {
    projects.splice(0).forEach((made) => made.dispose());
    await host.stop();
  });

  it("of a machine and lease whose state was lost: the program plans no change", async () => {
    const first = project(machineProgram(host));
    const made = await first.up();
    expect(made.code, made.text).to.equal(0);

    const second = project(machineProgram(host));
    const machine = await second.import("kvmesh:index:Domain", "web-0", "osl1:web-0");
    expect(machine.code, machine.text).to.equal(0);
    expect(machine.text).not.to.contain("unmodelled").and.not.to.contain(SECRET);
    const lease = await second.import("kvmesh:index:CoreLease", "lease", "osl1:web-0");
    expect(lease.code, lease.text).to.equal(0);
    expect(second.storedText()).not.to.contain(SECRET);
    const plan = await second.preview();
    expect(plan.code, plan.text).to.equal(0);
    expect(changesIn(plan), plan.text).to.deep.equal({ create: 1, same: 3 });
    const domain = (await second.resources()).find(({ type }) => type === "kvmesh:index:Domain");
    expect(domain?.id).to.match(/^[0-9a-f-]{36}$/);
    expect(changesIn(await second.refresh())).to.deep.equal({ same: 3 });
  });

  it("of a pool's node by a file, under the program's URNs: the program plans no change of it", async () => {
    const image = path.join(host.root, "image.raw");
    fs.writeFileSync(image, Buffer.alloc(1 << 20, "image"));
    const program = poolProgram(host, image);
    const first = await project(program).up();
    expect(first.text, `only the check from inside fails: ${first.text}`).to.contain("did not answer within 1 s");

    const lost = project(program);
    const provider = "urn:pulumi:test::test::pulumi:providers:kvmesh::kvmesh";
    const prepared = await lost.up({ args: ["--target", provider] });
    expect(prepared.code, prepared.text).to.equal(0);
    const images = fs.readdirSync(host.path("/var/lib/kvmesh")).filter((name) => /^empty-.*\.raw$/.test(name));
    const node = "c1-worker-0";
    const inNode = { parent: "node", logicalName: node, provider: "kvmesh" };
    const file = path.join(lost.folder, "import.json");
    const resources = [
      { type: "kvmesh:nodes:NodeLayer", name: "layer", logicalName: "c1", component: true },
      {
        ...{ type: "kvmesh:index:Image", name: "image", logicalName: "osl1", parent: "layer", provider: "kvmesh" },
        id: `osl1:/var/lib/kvmesh/${images[0]}`,
      },
      { type: "kvmesh:nodes:CarvedMachine", name: "node", logicalName: node, parent: "layer", component: true },
      { type: "kvmesh:index:HostKey", name: "key", id: `osl1:${node}`, ...inNode },
      { type: "kvmesh:index:CoreLease", name: "lease", id: `osl1:${node}`, ...inNode },
      { type: "kvmesh:index:Volume", name: "disk", id: `osl1:/var/lib/kvmesh/${node}.qcow2`, ...inNode },
      { type: "kvmesh:index:Domain", name: "domain", id: `osl1:${node}`, ...inNode },
    ];
    fs.writeFileSync(file, JSON.stringify({ nameTable: { kvmesh: provider }, resources }));
    const args = ["import", "--file", file, "--yes", "--skip-preview", "--protect=false", "--generate-code=false"];
    const imported = await lost.run([...args, "--stack", lost.stack]);
    expect(imported.code, imported.text).to.equal(0);
    const plan = await lost.preview();
    expect(plan.code, plan.text).to.equal(0);
    // The tenancy, the turn, the check from inside, preflight and evidence: nothing on the host.
    expect(changesIn(plan), plan.text).to.deep.equal({ create: 5, same: 9 });
    expect(
      stepsOf(plan, node)
        .filter(({ op }) => op !== "same")
        .map(({ type }) => type),
    ).to.have.members(["NodeTurn", "Machine", "Preflight", "Evidence"].map((kind) => `kvmesh:index:${kind}`));
  });

  it("of a machine that is not ours: it is in state, and nothing touches it", async () => {
    const xml = `<domain type="qemu"><name>old-0</name><memory>65536</memory><vcpu>1</vcpu><os><type machine="q35">hvm</type></os>
      <devices><graphics type="vnc"/><disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="/srv/old-0.raw"/><target dev="vda" bus="virtio"/></disk></devices></domain>`;
    host.write("/tmp/old.xml", xml);
    host.write("/srv/old-0.raw", "data");
    await host.shell(`virsh define ${host.path("/tmp/old.xml")}`);
    const before = (await host.shell("virsh dumpxml old-0")).stdout;
    const stack = project("");
    const result = await stack.import("kvmesh:index:Domain", "old-0", "osl1:old-0");
    expect(result.code, result.text).to.equal(0);
    expect(result.text)
      .to.contain("has no mark of kvmesh")
      .and.to.match(/unmodelled: .*devices\/graphics/);
    expect((await stack.refresh()).text).to.contain("adopt it first");
    expect((await stack.resources()).map(({ type }) => type)).to.contain("kvmesh:index:Domain");
    const destroyed = await stack.destroy();
    expect(destroyed.code, destroyed.text).to.equal(0);
    expect(destroyed.text).to.contain("it is left untouched");
    expect((await host.shell("virsh dumpxml old-0")).stdout).to.equal(before);
  });
});
