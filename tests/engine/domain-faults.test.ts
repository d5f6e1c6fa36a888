import { expect } from "chai";
import { EngineProject, changesIn } from "../support/engine";
import { machineProgram } from "../support/machine-program";
import { SimulatedHost } from "../support/simulated-host";

describe("the plugin under the real engine: what goes wrong with a machine", () => {
  let host: SimulatedHost;
  const projects: EngineProject[] = [];
  const project = (change?: Parameters<typeof machineProgram>[1]): EngineProject => {
    const made = new EngineProject({
      program: machineProgram(host, change),
      config: { "kvmesh:identityFile": host.identityFile },
    });
    projects.push(made);
    return made;
  };
  /** SIGKILL when the machine is defined and about to be started, and what a person does then. The plugins that were at work. */
  const killInTheMiddle = async (stack: EngineProject): Promise<readonly number[]> => {
    const release = host.holdStarts();
    let plugins: readonly number[] = [];
    const killed = await stack.up({
      killWhen: () => {
        if (!host.exists("/libvirt/domains/web-0.json")) return undefined;
        plugins = stack.plugins();
        return "SIGKILL";
      },
    });
    expect(killed.code).not.to.equal(0);
    const deadline = Date.now() + 10_000;
    while (stack.plugins().length > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 100));
    release();
    // The killed CLI left its lock on the stack.
    await stack.run(["cancel", "--yes", "--stack", stack.stack]);
    return plugins;
  };
  const machines = async (): Promise<string> => (await host.shell("virsh list --all")).stdout.trim();
  beforeEach(async () => {
    host = await SimulatedHost.start();
    host.write("/var/lib/kvmesh/web-0.qcow2", "");
  });
  afterEach(async () => {
    projects.splice(0).forEach((made) => made.dispose());
    await host.stop();
  });

  it("a wrong host key: fails before it logs in, with both fingerprints", async () => {
    const other = await SimulatedHost.start();
    const result = await project({ hostKey: other.hostKey }).up();
    await other.stop();
    expect(result.code).not.to.equal(0);
    expect(result.text).to.match(/Found ssh-ed25519 SHA256:\S+ pinned ssh-ed25519 SHA256:/);
    expect(result.text).not.to.match(/\n\s+at /);
    expect(host.server.logins).to.equal(0);
  });

  it("a machine of the same name that is not ours: refused and untouched", async () => {
    const xml = '<domain type="qemu"><name>web-0</name><memory>1</memory><vcpu>1</vcpu><devices/></domain>';
    host.write("/tmp/foreign.xml", xml);
    await host.shell(`virsh define ${host.path("/tmp/foreign.xml")}`);
    const before = (await host.shell("virsh dumpxml web-0")).stdout;
    const stack = project();
    const result = await stack.up();
    expect(result.code).not.to.equal(0);
    expect(result.text).to.contain("machine web-0 is there already and was not made by kvmesh; it is left untouched");
    expect((await stack.destroy()).code).to.equal(0);
    expect((await host.shell("virsh dumpxml web-0")).stdout).to.equal(before);
  });

  it("cores that another stack holds: refused, with the holder's name, and nothing is made", async () => {
    const first = project({ stack: "first" });
    expect((await first.up()).code).to.equal(0);
    const second = await project({ stack: "second", name: "web-9", pins: "[3, 4]" }).up();
    expect(second.code).not.to.equal(0);
    expect(second.text).to.match(/CPU 3 by test\/first\/web-0 since \d{4}-/);
    expect(host.exists("/var/lib/kvmesh/leases/cpu-4")).to.equal(false);
    expect(await machines()).to.equal("web-0");
  });

  it("a start that fails: only what this call made is undone, and the next run makes it", async () => {
    host.write("/libvirt/fail-start", "unsupported configuration: not enough hugepages");
    const stack = project();
    const result = await stack.up();
    expect(result.code).not.to.equal(0);
    expect(result.text).to.contain("could not be started").and.to.contain("not enough hugepages");
    expect(await machines()).to.equal("");
    expect(host.exists("/var/lib/kvmesh/web-0-seed.iso")).to.equal(false);
    expect(host.exists("/var/lib/kvmesh/web-0.qcow2")).to.equal(true);
    await host.shell(`rm ${host.path("/libvirt/fail-start")}`);
    expect((await stack.up()).code).to.equal(0);
  });

  it("SIGKILL while a machine is made: the plugin ends by itself, and the next run takes the machine over", async () => {
    const stack = project();
    const plugins = await killInTheMiddle(stack);
    expect(plugins, "a plugin was at work").to.have.length(1);
    expect(stack.plugins(), "a plugin without an engine").to.deep.equal([]);
    const uuid = (await host.shell("virsh domuuid web-0")).stdout.trim();
    const result = await stack.up();
    expect(result.code, result.text).to.equal(0);
    expect(result.text).to.contain(`it is taken over as it is (${uuid})`);
    expect(changesIn(result)["create"]).to.equal(1);
    expect((await stack.outputs())["uuid"]).to.equal(uuid);
    expect(await machines()).to.equal("web-0");
  });

  it("SIGKILL while a machine is made, then destroy: its cores stay leased and it is named; the next run takes it over, and then all goes", async () => {
    const stack = project();
    await killInTheMiddle(stack);

    const destroyed = await stack.destroy();
    expect(destroyed.code).not.to.equal(0);
    expect(destroyed.text).to.contain("the machine web-0 of this stack is still on this host");
    expect(await machines()).to.equal("web-0");
    expect(host.exists("/var/lib/kvmesh/leases/cpu-2"), "a running machine's core is never free").to.equal(true);

    expect((await stack.up()).code).to.equal(0);
    const again = await stack.destroy();
    expect(again.code, again.text).to.equal(0);
    expect(await machines()).to.equal("");
    expect(host.exists("/var/lib/kvmesh/leases/cpu-2")).to.equal(false);
  });

  it("the same of a machine on shared CPUs: whatever no state knows of is listed by the last delete of its host", async () => {
    const stack = project({ shared: true });
    await killInTheMiddle(stack);

    const destroyed = await stack.destroy();
    expect(destroyed.code).not.to.equal(0);
    expect(destroyed.text).to.contain("of stack test/test there is left what its state does not know: machine web-0 (");
    expect(await machines()).to.equal("web-0");

    expect((await stack.up()).code).to.equal(0);
    const again = await stack.destroy();
    expect(again.code, again.text).to.equal(0);
    expect(await machines()).to.equal("");
    expect(await stack.resources()).to.deep.equal([]);
  });
});
