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
    expect(stopped.text).to.contain("cancelled; run `pulumi up` to continue");
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
    await until(() => host.exists("/libvirt/domains/web-0.json"));
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

  it("the stack's lock is broken while the first run lives: the host's lock and leases still keep the others away", async () => {
    const release = host.holdStarts();
    const first = project.up();
    await until(() => host.exists("/libvirt/domains/web-0.json"));
    expect((await project.run(["cancel", "--yes", "--stack", project.stack])).code).to.equal(0);

    const other = new EngineProject({
      program: machineProgram(host, { stack: "other", name: "web-9", pins: "[3, 4]" }),
      config: { "kvmesh:identityFile": host.identityFile },
    });
    const ended: string[] = [];
    const noted = async (who: string, run: Promise<EngineResult>): Promise<EngineResult> => {
      const result = await run;
      ended.push(who);
      return result;
    };
    const logins = host.server.logins;
    const second = noted("second", project.up());
    const third = noted("third", other.up());
    await until(() => host.server.logins >= logins + 2);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(ended, "who went past the host's lock").to.deep.equal([]);
    release();

    const refused = await third;
    expect(refused.code).not.to.equal(0);
    expect(refused.text).to.match(/CPU 3 by test\/test\/web-0 since \d{4}-/);
    other.dispose();
    const results = [await first, await second];
    for (const result of results) expect(result.code, result.text).to.equal(0);
    expect(results[1]?.text).to.match(/web-0.* is taken over as it is/s);
    expect(await running()).to.equal("web-0");
    const after = await project.up();
    expect(after.code, after.text).to.equal(0);
    expect(changesIn(after)).to.deep.equal({ same: 4 });
  });

  it("the state can't be written any more in the middle of a run: the run fails, and the next one resumes without a second machine", async () => {
    const release = host.holdStarts();
    const first = project.up();
    await until(() => host.exists("/libvirt/domains/web-0.json"));
    const restore = project.refuseState();
    release();
    const failed = await first;
    restore();
    expect(failed.code).not.to.equal(0);
    const uuid = (await host.shell("virsh domuuid web-0")).stdout.trim();
    expect(await running()).to.equal("web-0");

    await project.run(["cancel", "--yes", "--stack", project.stack]);
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(result.text).to.contain(`it is taken over as it is (${uuid})`);
    expect(changesIn(result)["create"]).to.equal(1);
    expect((await project.outputs())["uuid"]).to.equal(uuid);
    expect(await running()).to.equal("web-0");
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}
