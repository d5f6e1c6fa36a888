import * as fs from "node:fs";
import * as path from "node:path";
import { expect } from "chai";
import { checkout, EngineProject, type EngineResult } from "../support/engine";
import { imageProgram } from "../support/machine-program";
import { SimulatedHost } from "../support/simulated-host";

const NODES = ["w-0", "w-1", "w-2", "w-3", "w-4"];

/** Whose machine runs is Ready; the host is also the control plane that is asked. `broken`: a node that never becomes Ready. */
const KUBECTL = `#!/bin/sh
for node in ${NODES.join(" ")}; do
  state=$(virsh domstate "$node" 2>/dev/null) || continue
  ready=False
  [ "$state" = running ] && [ "$(cat "$KVMESH_SIMULATED_ROOT/broken" 2>/dev/null)" != "$node" ] && ready=True
  echo "$node|$ready|"
done
`;

describe("a pool changes in turns, under the real engine", () => {
  let host: SimulatedHost;
  let project: EngineProject;
  /** Fewest machines that ran at once since the last `watch`. */
  let fewest = NODES.length;
  let sampler: NodeJS.Timeout | undefined;

  /** As the components declare it: what belongs to a node waits for its turn, and its turn ends when it is Ready. */
  const program = (content: string, maxUnavailable = 1): string => {
    const rollout = JSON.stringify(path.join(checkout, "dist/components/nodes/rollout"));
    const poolRollout = JSON.stringify(path.join(checkout, "dist/components/nodes/pool-rollout"));
    return `
    const { revisionOf, rolledOutFrom } = require(${rollout});
    const { afterTurn, PoolRollout } = require(${poolRollout});
    module.exports = async () => {
      const stackName = [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
      const { outputs } = await pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", { stackName });
      // After the question: the engine reads the state from a file, which it writes at every step.
      ${imageProgram(host, content)}
      const names = ${JSON.stringify(NODES)};
      const nodes = names.map((name) => ({ name, revision: revisionOf({ image: ${JSON.stringify(content)} }) }));
      const pool = new pulumi.ComponentResource("test:index:Pool", "pool");
      const rollout = new PoolRollout(
        { owner, what: "pool worker", nodes, maxUnavailable: ${maxUnavailable}, controlPlanes: [{ name: "cp-0", endpoint: host }], rolledOut: rolledOutFrom(outputs) },
        pool,
      );
      for (const name of names) {
        const turn = rollout.turnOf(name);
        const disk = new kvmesh.Volume(name, {
          host, owner, name: name + ".qcow2", storage, capacityBytes: 16 * 1024 * 1024, format: "qcow2", base: image.path, baseFormat: "raw",
        }, { dependsOn: afterTurn(turn) });
        const machine = new kvmesh.Domain(name, {
          host, owner, name, type: "qemu", vcpus: 1, vcpuPins: [], emulatorPin: [], ioThreadPin: [], memoryBytes: 512 * 1024 * 1024,
          disks: [{ type: "file", path: disk.path, format: "qcow2", target: "vda" }], interfaces: [],
          cloudInit: { userData: "#cloud-config\\n", metaData: "instance-id: " + name + "\\n", networkConfig: "version: 2\\n" },
          storage,
        }, { customTimeouts: { delete: "20s" } });
        rollout.readyOf(name, { identity: machine.uuid, timeoutSeconds: 4 }, { dependsOn: [machine] });
      }
    };`;
  };
  const running = (): number =>
    NODES.filter((name) => {
      const file = host.path(`/libvirt/domains/${name}.json`);
      try {
        return (JSON.parse(fs.readFileSync(file, "utf8")) as { live?: string }).live !== undefined;
      } catch {
        return false;
      }
    }).length;
  const watch = (): void => {
    fewest = NODES.length;
    sampler ??= setInterval(() => (fewest = Math.min(fewest, running())), 20);
  };
  /** Nodes whose machine was made in this run, in order. */
  const made = (result: EngineResult): string[] =>
    result.events.flatMap(({ resOutputsEvent }) => {
      const { op = "", urn = "" } = resOutputsEvent?.metadata ?? {};
      const domain = urn.split("::")[2] === "kvmesh:index:Domain";
      return domain && (op === "create" || op === "create-replacement") ? [urn.split("::").pop()!] : [];
    });

  before(async () => {
    host = await SimulatedHost.start({ commands: { kubectl: KUBECTL } });
    host.write("/etc/kubernetes/admin.conf", "");
    project = new EngineProject({ program: program("first"), config: { "kvmesh:identityFile": host.identityFile } });
  });
  after(async () => {
    clearInterval(sampler);
    project.dispose();
    await host.stop();
  });

  it("is made at once", async () => {
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(result.text).not.to.include("at a time");
    expect(running()).to.equal(5);
  });

  it("says in the plan what happens to which nodes, in which order", async () => {
    project.setProgram(program("second"));
    const plan = await project.preview();
    expect(plan.code, plan.text).to.equal(0);
    expect(plan.text).to.include("pool worker: 5 nodes change, at most 1 at a time:");
    NODES.forEach((name, i) => expect(plan.text).to.include(`${i + 1}. ${name}: replaced: another image`));
  });

  it("never has more than one out, also over a run that is killed; the next one goes on where it was", async () => {
    watch();
    const killed = await project.up({
      // In the middle of the third: its machine is gone, and not made again.
      killWhen: () => (host.exists("/libvirt/domains/w-2.json") ? undefined : "SIGKILL"),
    });
    expect(killed.code).not.to.equal(0);
    expect(made(killed)).to.deep.equal(["w-0", "w-1"]);
    await project.run(["cancel", "--yes", "--stack", "test"]);
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(made(result)).to.deep.equal(["w-2", "w-3", "w-4"]);
    expect(result.text).to.include("pool worker: 2 nodes change, at most 1 at a time, after w-2");
    expect(fewest).to.equal(4);
    expect(running()).to.equal(5);
    const again = await project.up();
    expect(made(again)).to.deep.equal([]);
  });

  it("stops at the first node that does not come back, with what to do, and goes on there when it is mended", async () => {
    watch();
    project.setProgram(program("third"));
    const stopped = await project.up({
      // Nobody is killed: the second machine is ill from its replacement on.
      killWhen: () => {
        if (!host.exists("/libvirt/domains/w-1.json")) fs.writeFileSync(path.join(host.root, "broken"), "w-1");
        return undefined;
      },
    });
    expect(stopped.code).not.to.equal(0);
    expect(stopped.text).to.match(
      /node w-1 is not Ready after 4 s: it is not Ready\..*the run goes on with this node/s,
    );
    expect(made(stopped)).to.deep.equal(["w-0", "w-1"]);
    fs.rmSync(path.join(host.root, "broken"));
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(made(result)).to.deep.equal(["w-2", "w-3", "w-4"]);
    expect(fewest).to.equal(4);
  });

  it("begins with nobody while another node is ill, and has two out where two may be", async () => {
    watch();
    project.setProgram(program("fourth"));
    fs.writeFileSync(path.join(host.root, "broken"), "w-4");
    const refused = await project.up();
    expect(refused.code).not.to.equal(0);
    expect(refused.text).to.match(
      /node w-0 is not changed: w-4 is not Ready, and of its pool at most 1 may be out at once/,
    );
    expect(made(refused)).to.deep.equal([]);
    fs.rmSync(path.join(host.root, "broken"));
    project.setProgram(program("fourth", 2));
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    expect(made(result)).to.have.members(NODES);
    expect(fewest).to.equal(3);
  });
});
