import { expect } from "chai";
import fc from "fast-check";
import { parse } from "yaml";
import { joinConfig } from "../../components/cluster/kubeadm-config";
import { completeJoin } from "../../provider/clusternode/credentials";
import { decideJoin } from "../../provider/clusternode/decide";
import { clusterNodeKind } from "../../provider/clusternode/kind";
import type { ClusterNodeInputs } from "../../provider/clusternode/schema";
import { MEMBERS_SCRIPT, membersOf, parseMembers, type EtcdMember } from "../../provider/etcd/members";
import { quorumAfterRemoval } from "../../provider/etcd/quorum";
import { drainError } from "../../provider/membership/drain";
import { markOf } from "../../provider/node/mark";
import { kubeadmSettings } from "../support/cluster-spec";
import { exampleHostKey } from "../support/hosts";
import { failure } from "../support/failure";
import { LocalMachine, owner } from "../support/local-machine";
import { SimulatedCluster } from "../support/simulated-cluster";

function inputs(role: "worker" | "control-plane" = "worker"): ClusterNodeInputs {
  const checked = clusterNodeKind.check({
    endpoint: { address: "192.0.2.2", hostKey: exampleHostKey() },
    owner,
    name: "w-0",
    role,
    kubernetesVersion: "1.34.2",
    clusterId: "id-1",
    controlPlanes: [{ name: "cp-0", endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() } }],
    caCertHash: `sha256:${"a".repeat(64)}`,
    apiEndpoint: "10.0.0.10:6443",
    config: joinConfig(kubeadmSettings(), { name: "w-0", role, address: "10.0.0.20" }),
    timeoutSeconds: 20,
  });
  expect(checked.failures).to.deep.equal([]);
  return checked.inputs;
}

const nothing = {
  mark: undefined,
  adminConf: false,
  kubeletConf: false,
  manifests: false,
  etcdData: false,
  apiHealthy: false,
  serverVersion: "",
  job: "",
};

describe("cluster node: joining", () => {
  it("decides from what is on the machine and what the cluster knows", () => {
    const done = markOf(owner, "id-1", "w-0", { role: "worker", making: "join", phase: "done" });
    const started = { ...done, phase: "started" } as const;
    const one = inputs();
    const [known, unknown] = [{ registered: true }, { registered: false }];
    expect(decideJoin(nothing, one, unknown)).to.equal("join");
    expect(decideJoin({ ...nothing, mark: started }, one, unknown)).to.equal("join");
    expect(decideJoin({ ...nothing, mark: started, kubeletConf: true }, one, unknown)).to.equal("undo-and-join");
    expect(decideJoin({ ...nothing, mark: started, kubeletConf: true }, one, known)).to.equal("finish");
    expect(decideJoin({ ...nothing, mark: done, kubeletConf: true }, one, known)).to.equal("adopt");
    expect(decideJoin({ ...nothing, mark: done, kubeletConf: true }, one, unknown)).to.equal("undo-and-join");
    expect(decideJoin({ ...nothing, kubeletConf: true }, one, known)).to.equal("refuse");
    expect(decideJoin({ ...nothing, mark: { ...done, cluster: "c2" } }, one, known)).to.equal("refuse");
    expect(decideJoin({ ...nothing, mark: { ...done, clusterId: "id-2" } }, one, known)).to.equal("refuse");
  });

  it("resets no control plane that has been one, and takes a half one for none", () => {
    const one = inputs("control-plane");
    const done = markOf(owner, "id-1", "w-0", { role: "control-plane", making: "join", phase: "done" });
    const whole = { ...nothing, adminConf: true, kubeletConf: true, manifests: true, etcdData: true };
    const voter = { registered: true, voter: true };
    expect(decideJoin({ ...whole, mark: done }, one, voter)).to.equal("adopt");
    expect(decideJoin({ ...whole, mark: { ...done, phase: "left" } }, one, voter)).to.equal("adopt");
    expect(decideJoin({ ...whole, mark: done }, one, { registered: true, voter: false })).to.equal("repair");
    expect(decideJoin({ ...whole, mark: done }, one, { registered: false, voter: true })).to.equal("repair");
    const started = { ...done, phase: "started" } as const;
    expect(decideJoin({ ...whole, mark: started }, one, voter)).to.equal("finish");
    expect(decideJoin({ ...whole, mark: started }, one, { registered: true, voter: false })).to.equal("undo-and-join");
  });

  it("completes the configuration in memory, keeping what v1beta3 has in the same section", () => {
    const old = joinConfig(kubeadmSettings({ version: "1.28.0" }), {
      name: "w-0",
      role: "worker",
      address: "10.0.0.20",
    });
    const join = parse(completeJoin({ ...inputs(), config: old }, { token: "abcdef.0123456789abcdef" })) as Record<
      string,
      unknown
    >;
    expect(join.discovery).to.deep.equal({
      timeout: "8m0s",
      bootstrapToken: {
        apiServerEndpoint: "10.0.0.10:6443",
        token: "abcdef.0123456789abcdef",
        caCertHashes: [`sha256:${"a".repeat(64)}`],
      },
      tlsBootstrapToken: "abcdef.0123456789abcdef",
    });
    const plane = parse(
      completeJoin(inputs("control-plane"), { token: "abcdef.0123456789abcdef", certificateKey: "k" }),
    ) as {
      controlPlane: Record<string, unknown>;
    };
    expect(plane.controlPlane.certificateKey).to.equal("k");
  });

  it("leaves no token behind, on the machine or in what was said, when kubeadm fails", async () => {
    const cluster = await SimulatedCluster.whole(["cp-0"], ["w-0"]);
    await cluster.leave("w-0");
    cluster.change((state) => (state.faults["w-0 join"] = "fail"));
    const ctx = cluster.context();
    const error = await failure(clusterNodeKind.create(ctx, cluster.nodeInputs("w-0")));
    expect(error.message).to.match(/kubeadm join failed in phase "preflight"/);
    expect(cluster.machine("w-0").read("run/kvmesh/join.yaml")).to.equal(undefined);
    expect(cluster.state.tokens).to.deep.equal([]);
    const said = cluster.machine("w-0").scripts.join() + cluster.machine("cp-0").scripts.join();
    expect(said + ctx.progressed.join()).not.to.contain("0123456789abcdef");
    cluster.close();
  });
});

describe("cluster node: leaving", () => {
  const member = (name: string, healthy = true, learner = false): EtcdMember => ({
    id: name,
    name,
    peerUrls: [`https://${name}:2380`],
    clientUrls: [],
    healthy,
    learner,
  });

  it("is refused when the rest would have no majority, with the numbers", () => {
    expect(quorumAfterRemoval([member("a"), member("b"), member("c")], ["a"])).to.equal(undefined);
    expect(quorumAfterRemoval([member("a"), member("b"), member("c", false)], ["a"])).to.match(
      /3 voting members; without it 2 stay, of which 1 is healthy \(b\), and 2 are needed/,
    );
    // The dead one may go, and a learner.
    expect(quorumAfterRemoval([member("a"), member("b"), member("c", false)], ["c"])).to.equal(undefined);
    expect(quorumAfterRemoval([member("a"), member("b", false), member("c", false, true)], ["c"])).to.equal(undefined);
    expect(quorumAfterRemoval([], ["a"])).to.match(/unknown/);
  });

  it("never leaves fewer healthy voters than a majority", () => {
    const members = fc.array(fc.record({ healthy: fc.boolean(), learner: fc.boolean() }), {
      minLength: 1,
      maxLength: 7,
    });
    fc.assert(
      fc.property(members, fc.nat(6), (list, pick) => {
        const named = list.map((one, i) => member(`n${i}`, one.healthy, one.learner));
        const gone = named[pick % named.length]!;
        if (quorumAfterRemoval(named, [gone.id]) !== undefined || gone.learner) return;
        const voters = named.filter((one) => one !== gone && !one.learner);
        expect(voters.filter((one) => one.healthy).length).to.be.greaterThan(voters.length / 2);
      }),
    );
  });

  it("finds a node's members by name, and by the address of the peer URL before they have one", () => {
    const nameless = { ...member("10.0.0.12"), id: "7", name: "" };
    const list = [member("a"), nameless, member("b")];
    expect(membersOf({ name: "c", address: "10.0.0.12" }, list).map(({ id }) => id)).to.deep.equal(["7"]);
    expect(membersOf({ name: "b", address: undefined }, list).map(({ id }) => id)).to.deep.equal(["b"]);
    expect(membersOf({ name: "c", address: "10.0.0.1" }, list)).to.deep.equal([]);
  });

  it("asks etcd with kubectl, by a real shell", async () => {
    const machine = new LocalMachine();
    const list =
      '{"header":{},"members":[{"ID":"10501334649042878790","name":"a","peerURLs":["https://10.0.0.1:2380"],"clientURLs":["https://10.0.0.1:2379"]},{"ID":"5","clientURLs":["https://10.0.0.2:2379"],"isLearner":true},{"ID":"6","name":"c","clientURLs":["https://10.0.0.3:2379"]}]}';
    machine.command(
      "kubectl",
      `case "$*" in
  *127.0.0.1*create*member/list*) printf '%s' '${list}' ;;
  *10.0.0.1*health*) echo '{"health":"true","reason":""}' ;;
  *10.0.0.2*health*) echo '{"health":"false","reason":"RAFT NO LEADER"}' ;;
  *) exit 1 ;;
esac`,
    );
    const { stdout } = await machine.script(machine.endpoint, MEMBERS_SCRIPT);
    const { list: seen, digest } = parseMembers(stdout);
    expect(seen.map(({ id, name, healthy, learner }) => ({ id, name, healthy, learner }))).to.deep.equal([
      { id: "10501334649042878790", name: "a", healthy: true, learner: false },
      { id: "5", name: "", healthy: false, learner: true },
      { id: "6", name: "c", healthy: false, learner: false },
    ]);
    expect(seen[0]?.peerUrls).to.deep.equal(["https://10.0.0.1:2380"]);
    expect(digest).to.match(/^[0-9a-f]{64}$/);
    machine.command("kubectl", "exit 1");
    expect(parseMembers((await machine.script(machine.endpoint, MEMBERS_SCRIPT)).stdout).list).to.deep.equal([]);
    machine.close();
  });

  it("says which budget blocks a drain", () => {
    const said = `evicting pod istio-system/istiod-6d9f\nerror when evicting pods/"istiod-6d9f" -n "istio-system" (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.\n@@ budgets\nistio-system/istiod\n`;
    expect(drainError("w-0", said).message).to.match(
      /node w-0 could not be drained within 180 s: PodDisruptionBudget istio-system\/istiod allows no disruption of istiod-6d9f; give its workload one replica more/,
    );
  });
});
