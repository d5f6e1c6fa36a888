import { expect } from "chai";
import { clusterKind } from "../../provider/cluster/kind";
import { clusterNodeKind } from "../../provider/clusternode/kind";
import { clusterReadyKind } from "../../provider/clusterready/kind";
import { PartialError } from "../../provider/core/kind";
import { failure } from "../support/failure";
import { SimulatedCluster } from "../support/simulated-cluster";

const PLANES = ["cp-0", "cp-1", "cp-2"];

describe("a cluster's control planes, one change after the other", function () {
  // Hundreds of processes of a shell each, on whatever else the machine does.
  this.timeout(240_000);
  let cluster: SimulatedCluster;
  afterEach(() => {
    cluster.close();
  });
  const three = async (): Promise<void> => {
    cluster = await SimulatedCluster.whole(PLANES, ["w-0"]);
  };
  const log = (): string => cluster.state.log.join("\n");

  it("are founded once and joined, and every mark carries the cluster's id", async () => {
    await three();
    expect(cluster.members()).to.deep.equal(PLANES);
    for (const name of [...PLANES, "w-0"])
      expect(cluster.mark(name)).to.include({ clusterId: cluster.outputs?.clusterId, phase: "done", node: name });
    expect(log().match(/^init/gm)).to.have.length(1);
    // A second run finds everything done.
    const before = log();
    const again = await clusterKind.create(cluster.context(), cluster.clusterInputs());
    for (const name of [...PLANES, "w-0"]) await cluster.join(name);
    expect(log()).to.equal(before);
    expect(again.outputs).to.deep.equal(cluster.outputs);
    expect(cluster.state.tokens, "no token stays").to.deep.equal([]);
    expect(cluster.state.lease).to.equal(undefined);
  });

  it("the founder dies: it is removed through a survivor, and a new machine of its name joins; the cluster stays the same", async () => {
    await three();
    const id = cluster.outputs?.clusterId;
    cluster.kill("cp-0");
    const ctx = await cluster.leave("cp-0");
    expect(cluster.members()).to.deep.equal(["cp-1", "cp-2"]);
    expect(cluster.state.nodes).to.not.have.property("cp-0");
    expect(ctx.warned.join()).to.match(/cp-0 does not answer and was not reset/);
    cluster.addMachine("cp-0");
    const news = cluster.clusterInputs();
    const outputs = await clusterKind.update(cluster.context(), id ?? "", cluster.clusterState(), news);
    expect(outputs).to.deep.equal(cluster.outputs);
    await cluster.join("cp-0");
    expect(cluster.members()).to.deep.equal(PLANES);
    expect(cluster.mark("cp-0")).to.include({ clusterId: id, making: "join" });
    expect(log().match(/^init/gm), "never founded again").to.have.length(1);
  });

  it("a snapshot is kept on the survivor, of root alone, before a member is removed", async () => {
    await three();
    await cluster.leave("cp-2");
    const { readdirSync, statSync } = await import("node:fs");
    const folder = cluster.machine("cp-0").path("var/lib/kvmesh/etcd-snapshots");
    const files = readdirSync(folder);
    expect(files).to.have.length(1);
    expect(files[0]).to.match(/^\d{8}T\d{6}Z-before-removal-of-cp-2\.db$/);
    expect(statSync(`${folder}/${files[0] ?? ""}`).mode & 0o777).to.equal(0o600);
    expect(log()).to.match(/drained cp-2[^]*removed member cp-2[^]*reset cp-2[^]*deleted node cp-2/);
    expect(cluster.mark("cp-2")).to.equal(undefined);
  });

  it("etcd's leader leaves: the leadership is moved away first", async () => {
    await three();
    expect(cluster.state.members.find(({ id }) => id === cluster.state.leader)?.name).to.equal("cp-0");
    await cluster.leave("cp-0");
    expect(log()).to.match(/^leader \d+$/m);
    expect(cluster.members()).to.deep.equal(["cp-1", "cp-2"]);
  });

  it("no other control plane is healthy: nothing is removed and nothing is reset", async () => {
    await three();
    cluster.kill("cp-1");
    cluster.kill("cp-2");
    const error = await failure(cluster.leave("cp-0"));
    expect(error.message).to.match(
      /node cp-0: it is not removed and its machine is not reset.*cp-1 \(cp-1\): does not answer; cp-2/,
    );
    expect(cluster.mark("cp-0")?.phase).to.equal("done");
    expect(log()).to.not.match(/reset|removed/);
  });

  it("one of three is dead: a healthy one is not removed, the dead one is", async () => {
    await three();
    cluster.kill("cp-1");
    const error = await failure(cluster.leave("cp-2"));
    expect(error.message).to.match(
      /cp-2 is not removed: etcd has 3 voting members; without it 2 stay, of which 1 is healthy/,
    );
    expect(error.message).to.match(/breakGlass: \{ node: cp-2, word: <a new word> \}/);
    expect(log()).to.not.match(/drained|reset|removed/);
    await cluster.leave("cp-1");
    expect(cluster.members()).to.deep.equal(["cp-0", "cp-2"]);
  });

  it("two leave at once: one after the other, and the last one stays", async () => {
    await three();
    await Promise.all([cluster.leave("cp-1"), cluster.leave("cp-2")]);
    expect(cluster.members()).to.deep.equal(["cp-0"]);
    const locks = cluster.state.log.filter((line) => /^(un)?locked leave/.test(line)).map((line) => line.split(" ")[0]);
    expect(locks).to.deep.equal(["locked", "unlocked", "locked", "unlocked"]);
    const error = await failure(cluster.leave("cp-0"));
    expect(error.message).to.match(/cp-0 is not removed: it is the last control plane/);
  });

  it("a learner that never started, which has no name, goes by its peer URL before the next join", async () => {
    cluster = await SimulatedCluster.whole(["cp-0"]);
    cluster.declare(["cp-0", "cp-1"]);
    cluster.addMachine("cp-1");
    cluster.change((state) => (state.faults["cp-1 join"] = "learner-stays"));
    const error = await failure(cluster.join("cp-1"));
    expect(error).to.be.instanceOf(PartialError);
    expect(cluster.members()).to.deep.equal(["cp-0", "https://10.0.1.11:2380"]);
    cluster.change((state) => (state.faults = {}));
    await cluster.join("cp-1");
    expect(cluster.members()).to.deep.equal(["cp-0", "cp-1"]);
    expect(log()).to.match(/removed member https:\/\/10.0.1.11:2380[^]*reset cp-1[^]*join cp-1$/m);
  });

  it("kubeadm had finished when the run ended: the node is taken as it is, never reset", async () => {
    await three();
    for (const name of ["cp-1", "w-0"]) {
      cluster
        .machine(name)
        .write("etc/kubernetes/kvmesh.json", JSON.stringify({ ...cluster.mark(name), phase: "started" }));
      await cluster.join(name);
      expect(cluster.mark(name)?.phase).to.equal("done");
    }
    expect(log()).to.not.match(/reset/);
  });

  it("the API does not say whether it knows the node: an error, never a reset", async () => {
    await three();
    cluster
      .machine("w-0")
      .write("etc/kubernetes/kvmesh.json", JSON.stringify({ ...cluster.mark("w-0"), phase: "started" }));
    for (const name of PLANES)
      cluster.machine(name).command("kubectl", `case "$*" in *readyz*) printf ok ;; *) exit 1 ;; esac`);
    const error = await failure(cluster.join("w-0"));
    expect(error.message).to.match(/it can't be known whether the cluster has it/);
    expect(log()).to.not.match(/reset/);
  });

  it("a join that outlived its run is waited for: no second one, no reset under it", async () => {
    cluster = await SimulatedCluster.whole(["cp-0"], ["w-0"]);
    await cluster.leave("w-0");
    cluster.change((state) => (state.faults["w-0 join"] = "hang"));
    const stop = new AbortController();
    const first = failure(cluster.join("w-0", { signal: stop.signal }));
    while (cluster.machine("w-0").read("run/kvmesh/kubeadm/what") !== "join\n")
      await new Promise((done) => setTimeout(done, 50));
    stop.abort(new Error("stopped on request"));
    const ctx = await cluster.join("w-0");
    await first;
    expect(ctx.progressed.join("\n")).to.match(/kubeadm join of an earlier run goes on there; waiting/);
    expect(log().match(/^join w-0$/gm)).to.have.length(2);
    expect(log().match(/^reset w-0$/gm), "by the leave alone").to.have.length(1);
    expect(cluster.mark("w-0")?.phase).to.equal("done");
  });

  it("Ctrl-C while a join goes on leaves no token", async () => {
    cluster = await SimulatedCluster.whole(["cp-0"], ["w-0"]);
    await cluster.leave("w-0");
    cluster.change((state) => (state.faults["w-0 join"] = "hang"));
    const stop = new AbortController();
    const run = failure(cluster.join("w-0", { signal: stop.signal }));
    while (cluster.machine("w-0").read("run/kvmesh/kubeadm/what") !== "join\n")
      await new Promise((done) => setTimeout(done, 50));
    stop.abort(new Error("stopped on request"));
    await run;
    expect(cluster.state.tokens, "the job still needs it").to.have.length(1);
    for (let i = 0; i < 200 && cluster.state.tokens.length > 0; i++) await new Promise((done) => setTimeout(done, 100));
    expect(cluster.state.tokens).to.deep.equal([]);
    expect(cluster.state.nodes).to.have.property("w-0");
  });

  it("a lock that another run holds is waited for, one whose run and job are gone is taken over", async () => {
    await three();
    const held = {
      holder: "join cp-1 x",
      annotations: { "kvmesh/node": "cp-1", "kvmesh/by": "p/s", "kvmesh/until": String(Date.now() / 1000 + 900) },
    };
    cluster.change((state) => (state.lease = { ...held, renewed: "1", version: 9 }));
    const ctx = await cluster.leave("cp-2");
    expect(ctx.progressed.join("\n")).to.match(
      /waiting for another change of the control planes: join cp-1 x, by p\/s[^]*stale; taking it over/,
    );
    expect(cluster.members()).to.deep.equal(["cp-0", "cp-1"]);
  });
});

describe("a drain that is blocked, and the break-glass word", function () {
  this.timeout(240_000);
  let cluster: SimulatedCluster;
  afterEach(() => {
    cluster.close();
  });

  it("is refused by name of the budget; a word for this node lets it go once", async () => {
    cluster = await SimulatedCluster.whole(PLANES, ["w-0"]);
    cluster.change((state) => (state.blocked = ["w-0", "cp-2"]));
    const error = await failure(cluster.leave("w-0"));
    expect(error.message).to.match(/PodDisruptionBudget shop\/web allows no disruption/);
    expect((await failure(cluster.leave("w-0", { breakGlass: { node: "cp-2", word: "a" } }))).message).to.match(
      /PodDisruptionBudget/,
    );
    const ctx = await cluster.leave("w-0", { breakGlass: { node: "w-0", word: "INC-1" } });
    expect(ctx.warned.join()).to.match(/done nevertheless, by the break-glass word "INC-1"/);
    expect(cluster.state.nodes).to.not.have.property("w-0");
    const twice = await failure(cluster.leave("cp-2", { breakGlass: { node: "cp-2", word: "INC-1" } }));
    expect(twice.message).to.match(/"INC-1" was used already, for w-0 .*it does not work twice/);
    expect(cluster.members()).to.deep.equal(PLANES);
  });
});

describe("the whole cluster goes", function () {
  this.timeout(240_000);
  let cluster: SimulatedCluster;
  afterEach(() => {
    cluster.close();
  });
  const readyInputs = () => ({
    ...cluster.nodeInputs("w-0"),
    nodes: [...PLANES, "w-0"],
  });
  const endReady = (onlyDeletes: boolean) =>
    clusterReadyKind.delete(cluster.context({ onlyDeletes }), "c", readyInputs());

  it("in one run: nothing is drained, no budget asked, no data taken before the Cluster itself goes", async () => {
    cluster = await SimulatedCluster.whole(PLANES, ["w-0"]);
    cluster.change((state) => (state.blocked = [...PLANES, "w-0"]));
    await endReady(true);
    await Promise.all([...PLANES, "w-0"].map((name) => cluster.leave(name, { onlyDeletes: true })));
    expect(cluster.state.log.join("\n")).to.not.match(/drained|removed/);
    expect(cluster.mark("w-0")).to.equal(undefined);
    for (const name of PLANES) expect(cluster.mark(name)?.phase).to.equal("left");
    expect(cluster.members()).to.deep.equal(PLANES);
    await clusterKind.delete(cluster.context({ onlyDeletes: true }), "id", cluster.clusterState());
    for (const name of PLANES) expect(cluster.mark(name)).to.equal(undefined);
  });

  it("no API answers any more: it goes all the same", async () => {
    cluster = await SimulatedCluster.whole(PLANES, ["w-0"]);
    await endReady(true);
    cluster.change((state) => (state.up = []));
    await Promise.all([...PLANES, "w-0"].map((name) => cluster.leave(name, { onlyDeletes: true })));
    expect(cluster.mark("w-0")).to.equal(undefined);
  });

  it("a destroy that goes on where one was broken off knows it by its control planes", async () => {
    cluster = await SimulatedCluster.whole(["cp-0"], ["w-0"]);
    cluster.change((state) => (state.blocked = ["w-0"]));
    await cluster.leave("cp-0", { onlyDeletes: true }).catch(() => undefined);
    expect(cluster.mark("cp-0")?.phase, "all control planes left").to.equal("left");
    await cluster.leave("w-0", { onlyDeletes: true });
    expect(cluster.state.log.join("\n")).to.not.match(/drained/);
  });

  it("a destroy that was broken off, then up: the node is drained and guarded as ever", async () => {
    cluster = await SimulatedCluster.whole(PLANES, ["w-0"]);
    await endReady(true);
    // The next run: what declares something takes the word back in memory, and a new process never had it.
    for (const name of PLANES) await cluster.join(name);
    await cluster.leave("w-0");
    expect(cluster.state.log.join("\n")).to.match(/drained w-0/);
  });

  it("one node is destroyed as a target: drained and guarded", async () => {
    cluster = await SimulatedCluster.whole(PLANES, ["w-0"]);
    await cluster.leave("cp-2", { onlyDeletes: true });
    expect(cluster.state.log.join("\n")).to.match(/drained cp-2[^]*removed member cp-2/);
  });
});

describe("a node's plan", () => {
  it("another list of control planes, another address: nothing is replaced", async () => {
    const cluster = await SimulatedCluster.whole(["cp-0"]);
    const olds = cluster.nodeInputs("cp-0");
    const effects = clusterNodeKind.diff(olds, {
      ...olds,
      controlPlanes: [...olds.controlPlanes, ...olds.controlPlanes],
    });
    expect([...new Set(effects.map(({ effect }) => effect))]).to.deep.equal(["record"]);
    const whole = cluster.clusterInputs();
    const news = { ...whole, controlPlanes: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" as never };
    const changes = clusterKind.diff(cluster.clusterState(), news);
    expect([...new Set(changes.map(({ effect }) => effect))], "not even when it is unknown").to.deep.equal(["record"]);
    cluster.close();
  });
});
