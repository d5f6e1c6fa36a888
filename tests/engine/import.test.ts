import { expect } from "chai";
import { EngineProject, changesIn } from "../support/engine";
import { SECRET, machineProgram } from "../support/machine-program";
import { SimulatedHost } from "../support/simulated-host";

describe("pulumi import on a simulated host", () => {
  let host: SimulatedHost;
  const projects: EngineProject[] = [];
  const project = (program: string, backend?: EngineProject): EngineProject => {
    const made = new EngineProject({
      program,
      config: {
        "kvmesh:identityFile": host.identityFile,
        "kvmesh:hosts": { osl1: { endpoint: host.endpoint } },
        "kvmesh:pools": {},
      },
    });
    expect(backend).to.equal(undefined);
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
    expect(changesIn(plan), plan.text).to.deep.equal({ create: 2, same: 2 });
    const domain = (await second.resources()).find(({ type }) => type === "kvmesh:index:Domain");
    expect(domain?.id).to.match(/^[0-9a-f-]{36}$/);
    expect(changesIn(await second.refresh())).to.deep.equal({ same: 2 });
  });
});
