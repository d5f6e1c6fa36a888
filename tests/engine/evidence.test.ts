import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { checkout, EngineProject, stepsOf, type EngineResult, type StateResource } from "../support/engine";
import { SimulatedHost } from "../support/simulated-host";

/** fio as it reports: its p99 is in a file of the machine, in nanoseconds. */
const FIO = `#!/bin/sh
[ "$1" = --version ] && { echo fio-3.39; exit; }
p99=$(cat "$KVMESH_SIMULATED_ROOT/p99")
printf '{"jobs":[{"sync":{"lat_ns":{"N":900,"percentile":{"50.000000":400000,"99.000000":%s}}}}]}\\n' "$p99"
`;

describe("evidence under the real engine", () => {
  let machine: SimulatedHost;
  let project: EngineProject;
  const program = (changes: object = {}): string => {
    const owner = { project: "test", stack: "test", cluster: "c", environment: "production" };
    const args = {
      ...{ endpoint: machine.endpoint, owner, name: "m1", role: "control-plane", plan: "dedicated", vcpus: 1 },
      ...{ hypervisors: ["none"], maxStealPercent: 100, maxFsyncMs: 10, directory: "/var/lib/etcd" },
      ...{ windowSeconds: 1, fsyncSeconds: 1, ...changes },
    };
    return `const proof = new kvmesh.Evidence("m1", ${JSON.stringify(args)});
module.exports = { digest: proof.digest, takenAt: proof.takenAt, verdict: proof.record.apply((record) => record.verdict) };`;
  };
  const slow = (ms: number): void => fs.writeFileSync(path.join(machine.root, "p99"), String(ms * 1e6));
  const stored = async (): Promise<StateResource> =>
    (await project.resources()).find(({ type }) => type === "kvmesh:index:Evidence")!;

  before(async () => {
    machine = await SimulatedHost.start({ commands: { fio: FIO } });
    slow(2.5);
    project = new EngineProject({ program: program(), config: { "kvmesh:identityFile": machine.identityFile } });
  });
  after(async () => {
    project.dispose();
    await machine.stop();
  });

  it("is measured once: the second run changes nothing and asks nobody", async () => {
    const first = await project.up();
    expect(first.code, first.text).to.equal(0);
    expect(await project.outputs()).to.include({ verdict: "pass" });
    const asked = machine.server.scripts.length;
    const second = await project.up();
    expect(stepsOf(second, "m1")[0]?.op).to.equal("same");
    expect(machine.server.scripts.length).to.equal(asked);
  });

  it("is planned anew when it is too old, offline and with the reason, and up measures it", async () => {
    const file = path.join(project.folder, "state.json");
    await project.run(["stack", "export", "--stack", "test", "--file", file]);
    const { takenAt } = (await stored()).outputs as { takenAt: string };
    const old = new Date(Date.now() - 40 * 86_400_000).toISOString();
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").split(takenAt).join(old));
    await project.run(["stack", "import", "--stack", "test", "--file", file]);

    const connections = machine.server.connections;
    const plan = await project.preview({
      wrapper: ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"],
    });
    expect(plan.code, plan.text).to.equal(0);
    expect(stepsOf(plan, "m1")[0]?.op).to.equal("update");
    expect(Object.keys(stepsOf(plan, "m1")[0]?.detailedDiff ?? {})).to.deep.equal(["takenAt"]);
    expect(plan.text).to.include(`evidence of ${old} is older than 30 d: measured again by up`);
    expect(machine.server.connections).to.equal(connections);

    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(Date.parse((await project.outputs())["takenAt"] as string)).to.be.greaterThan(Date.parse(takenAt));
  });

  it("is measured on demand", async () => {
    const before = await project.outputs();
    const { urn } = await stored();
    const result = await project.up({ args: ["--target-replace", urn] });
    expect(result.code, result.text).to.equal(0);
    expect((await project.outputs())["takenAt"]).not.to.equal(before["takenAt"]);
  });

  it("ends the run with the numbers when the disk became slow, and keeps what was true before", async () => {
    slow(24.5);
    const before = await stored();
    project.setProgram(program({ maxFsyncMs: 9 }));
    const result = await project.up();
    expect(result.code).not.to.equal(0);
    expect(result.text).to.include("99th percentile: 24.5 ms; required: at most 9 ms");
    expect((await stored()).outputs).to.deep.equal(before.outputs);
  });
});

describe("a measurement that is due, under the real engine", () => {
  let machine: SimulatedHost;
  let project: EngineProject;
  const slow = (ms: number): void => fs.writeFileSync(path.join(machine.root, "p99"), String(ms * 1e6));
  const stored = async (type: string): Promise<StateResource> =>
    (await project.resources()).find((resource) => resource.type === `kvmesh:index:${type}`)!;
  /** As the components declare it: the preflight gates what is installed, the evidence comes after what is urgent. */
  const program = (urgent: string): string => {
    const owner = { project: "test", stack: "test", cluster: "c", environment: "production" };
    const args = {
      ...{ endpoint: machine.endpoint, owner, name: "m1", role: "control-plane", plan: "dedicated", vcpus: 1 },
      ...{ hypervisors: ["none"], maxStealPercent: 100, maxFsyncMs: 10, directory: "/var/lib/etcd" },
      ...{ windowSeconds: 1, fsyncSeconds: 1 },
    };
    return `const { measurements } = require(${JSON.stringify(path.join(checkout, "dist/components/nodes/evidence"))});
let done;
const { preflight, evidence } = measurements("m1", ${JSON.stringify(args)},
  { maxAge: 30 * 86400 * 1000, afterwards: new Promise((resolve) => (done = resolve)) }, {});
const urgent = new kvmesh.HostKey("${urgent}", {}, { dependsOn: [preflight] });
urgent.urn.apply(done);
module.exports = { takenAt: evidence.takenAt, contradictions: evidence.contradictions };`;
  };
  /** As if the newest record, and with it its preflight's, were 40 days old. */
  const age = async (): Promise<string> => {
    const file = path.join(project.folder, "state.json");
    await project.run(["stack", "export", "--stack", "test", "--file", file]);
    const { takenAt } = (await stored("Evidence")).outputs as { takenAt: string };
    const old = new Date(Date.now() - 40 * 86_400_000).toISOString();
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").split(takenAt).join(old));
    await project.run(["stack", "import", "--stack", "test", "--file", file]);
    return old;
  };
  const finished = (result: EngineResult): string[] =>
    result.events.flatMap(({ resOutputsEvent }) => {
      const { op = "same", urn = "" } = resOutputsEvent?.metadata ?? {};
      return op === "same" ? [] : [`${op} ${urn.split("::").slice(2).join(" ").replace("kvmesh:index:", "")}`];
    });
  const only = { args: ["--parallel", "1"] };

  before(async () => {
    machine = await SimulatedHost.start({ commands: { fio: FIO } });
    slow(2.5);
    project = new EngineProject({
      program: program("a"),
      config: { "kvmesh:identityFile": machine.identityFile, "kvmesh:attempts": 2 },
    });
  });
  after(async () => {
    project.dispose();
    await machine.stop();
  });

  it("a new machine is measured once, before anything is made of it, and refused when it is unfit", async () => {
    slow(24.5);
    const refused = await project.up(only);
    expect(refused.code).not.to.equal(0);
    expect(refused.text).to.include("was measured and is not fit; nothing was installed on it");
    expect(await stored("HostKey")).to.equal(undefined);
    slow(2.5);
    const result = await project.up(only);
    expect(result.code, result.text).to.equal(0);
    expect(finished(result)).to.deep.equal(["create Preflight m1", "create HostKey a", "create Evidence m1"]);
    expect((await stored("Evidence")).outputs?.["record"]).to.deep.equal(
      (await stored("Preflight")).outputs?.["record"],
    );
  });

  it("comes after what is urgent, also where the engine has one turn; worse is a warning, and nothing is refused", async () => {
    const old = await age();
    slow(24.5);
    project.setProgram(program("b"));
    const result = await project.up(only);
    expect(result.code, result.text).to.equal(0);
    expect(finished(result)).to.deep.equal(["create HostKey b", "update Evidence m1", "delete HostKey a"]);
    expect(result.text).to.match(/warning: machine m1 was measured again and is worse than declared/);
    expect(result.text).to.include("99th percentile: 24.5 ms; required: at most 10 ms");
    const { takenAt, contradictions } = (await stored("Evidence")).outputs as Record<string, unknown>;
    expect(takenAt, "the last good record").to.equal(old);
    expect((contradictions as string[])[0]).to.match(/24\.5 ms; required: at most 10 ms;.* \(measured 20/);
  });

  it("is warned of as long as it is so, also when the machine does not answer, and is over when it holds again", async () => {
    project.setProgram(program("c"));
    const { port } = machine.server;
    await machine.server.close();
    const silent = await project.up(only);
    expect(silent.code, silent.text).to.equal(0);
    expect(silent.text).to.match(/warning: machine m1 could not be measured again/);
    await machine.server.listen(port);
    slow(2.5);
    const well = await project.up();
    expect(well.code, well.text).to.equal(0);
    expect((await project.outputs())["contradictions"]).to.deep.equal([]);
    const second = await project.up();
    expect(finished(second)).to.deep.equal([]);
  });

  it("is measured on demand", async () => {
    await age();
    const { urn } = await stored("Evidence");
    const result = await project.up({ args: ["--target-replace", urn] });
    expect(result.code, result.text).to.equal(0);
    expect(Date.now() - Date.parse((await project.outputs())["takenAt"] as string)).to.be.lessThan(60_000);
  });
});
