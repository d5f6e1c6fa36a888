import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { expect } from "chai";
import { clusterProgram, type ClusterProgram } from "../support/cluster-program";
import { changesIn, EngineProject } from "../support/engine";
import { SimulatedCluster } from "../support/simulated-cluster";
import { SimulatedHost } from "../support/simulated-host";

/** Machines that the plugin reaches over SSH, and a kubectl and kubeadm on them that act on one shared state. */
class Machines {
  readonly hosts = new Map<string, SimulatedHost>();
  private constructor(readonly cluster: SimulatedCluster) {}

  static async start(names: readonly string[]): Promise<Machines> {
    const machines = new Machines(await SimulatedCluster.start([]));
    for (const name of names) await machines.add(name);
    return machines;
  }

  private async add(name: string): Promise<void> {
    const identityFile = [...this.hosts.values()][0]?.identityFile;
    const commands = { ...this.cluster.commandsOf(name), systemctl: "#!/bin/sh\n" };
    const host = await SimulatedHost.start({ commands, identityFile });
    this.cluster.placeAt(name, host.root);
    this.hosts.set(name, host);
  }

  get identityFile(): string {
    return [...this.hosts.values()][0]!.identityFile;
  }

  program(planes: readonly string[], workers: readonly string[], more: Partial<ClusterProgram> = {}): string {
    const endpoints = new Map([...this.hosts].map(([name, host]) => [name, host.endpoint]));
    return clusterProgram({ planes, workers, endpoints, ...more });
  }

  log(): string {
    return this.cluster.state.log.join("\n");
  }

  async stop(): Promise<void> {
    for (const host of this.hosts.values()) await host.stop();
    this.cluster.close();
  }
}

describe("the plugin under the real engine: a cluster", () => {
  let machines: Machines;
  let project: EngineProject;
  afterEach(async () => {
    project.dispose();
    await machines.stop();
  });
  const start = async (planes: readonly string[], workers: readonly string[]): Promise<void> => {
    machines = await Machines.start([...planes, ...workers]);
    project = new EngineProject({
      program: machines.program(planes, workers),
      config: { "kvmesh:identityFile": machines.identityFile, "kvmesh:attempts": 1 },
    });
  };

  it("one node is destroyed as a target with all that depends on it: itself alone, drained and guarded; then all goes undrained", async () => {
    await start(["cp-0", "cp-1", "cp-2"], ["w-0"]);
    const made = await project.up();
    expect(made.code, made.text).to.equal(0);
    expect(Object.keys(changesIn(await project.up()))).to.deep.equal(["same"]);
    const target = (await project.resources()).find(
      ({ type, urn }) => type.endsWith("ClusterNode") && urn.endsWith("cp-2"),
    );
    const one = await project.destroy({ args: ["--target", target?.urn ?? "", "--target-dependents"] });
    expect(one.code, one.text).to.equal(0);
    expect(changesIn(one)).to.deep.include({ delete: 1 });
    expect(machines.log()).to.match(/drained cp-2[^]*removed member cp-2[^]*reset cp-2/);
    expect(machines.cluster.members()).to.deep.equal(["cp-0", "cp-1"]);

    // It comes back by the program, and then everything goes, although budgets block every drain.
    const back = await project.up();
    expect(back.code, back.text).to.equal(0);
    machines.cluster.change((state) => (state.blocked = ["cp-0", "cp-1", "cp-2", "w-0"]));
    const before = machines.cluster.state.log.length;
    const all = await project.destroy();
    expect(all.code, all.text).to.equal(0);
    expect(machines.cluster.state.log.slice(before).join("\n")).to.not.match(/drained|removed/);
    expect(await project.resources()).to.deep.equal([]);
    for (const host of machines.hosts.values()) expect(host.exists("/etc/kubernetes/kvmesh.json")).to.equal(false);
  });

  it("the founding fails, and only a timeout is corrected: it is run again, and nothing goes into another cluster", async () => {
    let asked = 0;
    const decoy = http.createServer((_request, response) => {
      asked++;
      response.end("{}");
    });
    await new Promise<void>((done) => decoy.listen(0, "127.0.0.1", done));
    const { port } = decoy.address() as AddressInfo;
    machines = await Machines.start(["cp-0"]);
    const file = path.join(machines.hosts.get("cp-0")!.root, "ambient");
    fs.writeFileSync(
      file,
      `apiVersion: v1
kind: Config
clusters: [{ name: decoy, cluster: { server: "http://127.0.0.1:${port}" } }]
users: [{ name: decoy, user: { token: x } }]
contexts: [{ name: decoy, context: { cluster: decoy, user: decoy } }]
current-context: decoy
`,
    );
    const more = `
const k8s = require("@pulumi/kubernetes");
const provider = new k8s.Provider("inside", { kubeconfig: requireKubeconfig(cluster.kubeconfig, "c1") });
new k8s.core.v1.ConfigMap("thing", { metadata: { name: "thing" } }, { provider, customTimeouts: { create: "5s" } });`;
    project = new EngineProject({
      program: machines.program(["cp-0"], [], { more }),
      config: { "kvmesh:identityFile": machines.identityFile, "kvmesh:attempts": 1 },
      env: { KUBECONFIG: file, PULUMI_K8S_CLIENT_TIMEOUT: "3" },
    });
    machines.cluster.change((state) => (state.faults["cp-0 init"] = "fail"));
    const failed = await project.up();
    expect(failed.code).not.to.equal(0);
    expect(failed.text).to.contain("kubeadm init failed");

    project.setProgram(machines.program(["cp-0"], [], { more, timeoutSeconds: 21 }));
    const again = await project.up();
    expect(again.code, "a change that is only recorded does not make it whole").not.to.equal(0);
    expect(again.text).to.contain("kubeadm init failed");
    expect(machines.log()).to.equal("");
    const refreshed = await project.refresh();
    expect(refreshed.code, refreshed.text).to.equal(0);

    machines.cluster.change((state) => (state.faults = {}));
    project.setProgram(machines.program(["cp-0"], [], { timeoutSeconds: 22 }));
    const founded = await project.up();
    expect(founded.code, founded.text).to.equal(0);
    expect(machines.log()).to.match(/^init cp-0$/m);
    expect(asked, "the ambient kubeconfig was never used").to.equal(0);
    decoy.close();
  });
});
