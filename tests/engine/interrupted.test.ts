import { expect } from "chai";
import { EngineProject, changesIn, type EngineResult } from "../support/engine";
import { machineProgram } from "../support/machine-program";
import { SimulatedHost } from "../support/simulated-host";

/** Lines of progress, which are gone from the screen when a step is done. */
function progressOf(result: EngineResult): string {
  return result.events
    .flatMap(({ diagnosticEvent }) => (diagnosticEvent?.ephemeral === true ? [diagnosticEvent.message.trim()] : []))
    .join("\n");
}

describe("the plugin under the real engine: a run that is disturbed", () => {
  let host: SimulatedHost;
  let project: EngineProject;
  const running = async (): Promise<string> => (await host.shell("virsh list")).stdout.trim();
  beforeEach(async () => {
    host = await SimulatedHost.start();
    host.write("/var/lib/kvmesh/web-0.qcow2", "");
    project = new EngineProject({
      program: machineProgram(host),
      config: { "kvmesh:identityFile": host.identityFile, "kvmesh:attempts": 2 },
    });
  });
  afterEach(async () => {
    project.dispose();
    await host.stop();
  });

  it("the connection breaks while a machine is defined: tried again, with attempt and limit shown, and made once", async () => {
    host.server.cutAt("define");
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(progressOf(result)).to.match(/the connection broke while a command ran; attempt 2 of 2 in 1 s/);
    expect(await running()).to.equal("web-0");
  });

  it("the host is gone in the middle of a run: the limit is named, and the next run goes on from there", async () => {
    const { port } = host.server;
    host.server.cutAt("define", () => void host.server.close());
    const failed = await project.up();
    expect(failed.code).not.to.equal(0);
    expect(failed.text).to.match(/can't be reached: .*ECONNREFUSED.* \(attempt 2 of 2\)/);
    expect(failed.text).not.to.match(/\n\s+at .+:\d+/);
    expect(host.exists("/var/lib/kvmesh/leases/cpu-2"), "what was done before stays").to.equal(true);

    await host.server.listen(port);
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(changesIn(result)).to.deep.equal({ same: 3, create: 1 });
    expect(await running()).to.equal("web-0");
  });

  it("Ctrl-C while a machine is being started: the run ends and says how to go on, and the next one goes on", async () => {
    const release = host.holdStarts();
    const stopped = await project.up({
      killWhen: () => (host.exists("/libvirt/domains/web-0.json") ? "SIGINT" : undefined),
    });
    expect(stopped.code).not.to.equal(0);
    expect(stopped.text).to.contain("stopped on request; the next run goes on where this one was");
    expect(stopped.text).not.to.match(/\n\s+at .+:\d+/);
    release();

    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(changesIn(result)).to.deep.equal({ same: 3, create: 1 });
    expect(await running()).to.equal("web-0");
  });

  it("a second up on the same stack: refused, the first one is named, and it goes on undisturbed", async () => {
    const release = host.holdStarts();
    const first = project.up();
    while (!host.exists("/libvirt/domains/web-0.json")) await new Promise((resolve) => setTimeout(resolve, 50));
    const second = await project.up();
    release();
    expect(second.code).not.to.equal(0);
    expect(second.text).to.match(/the stack is currently locked by 1 lock\(s\)/);
    // Who, on which machine, as which process, since when.
    expect(second.text).to.match(/created by \S+@\S+ \(pid \d+\) at \d{4}-\d\d-\d\dT/);
    expect(second.text).not.to.match(/\n\s+at .+:\d+/);
    const result = await first;
    expect(result.code, result.text).to.equal(0);
    expect(changesIn(result)).to.deep.equal({ create: 4 });
    expect(await running()).to.equal("web-0");
  });
});
