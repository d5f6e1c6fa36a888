import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { EngineProject, stepsOf, type StateResource } from "../support/engine";
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
