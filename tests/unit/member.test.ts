import { expect } from "chai";
import fc from "fast-check";
import { parse } from "yaml";
import { joinConfig } from "../../components/cluster/kubeadm-config";
import { completeJoin } from "../../provider/member/credentials";
import { MEMBERS_SCRIPT, parseMembers, quorumAfterRemoval, type EtcdMember } from "../../provider/member/etcd";
import { decideJoin } from "../../provider/member/join";
import { memberKind } from "../../provider/member/kind";
import { drainError } from "../../provider/member/drain";
import type { MemberInputs } from "../../provider/member/schema";
import { markOf } from "../../provider/node/mark";
import { kubeadmSettings } from "../support/cluster-spec";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

function inputs(role: "worker" | "control-plane" = "worker"): MemberInputs {
  const checked = memberKind.check({
    endpoint: { address: "192.0.2.2", hostKey: exampleHostKey() },
    owner,
    name: "w-0",
    role,
    kubernetesVersion: "1.34.2",
    controlPlane: { address: "192.0.2.1", hostKey: exampleHostKey() },
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
};

describe("member: joining", () => {
  it("decides from what is on the machine and what the cluster knows", () => {
    const done = markOf(owner, "w-0", "worker", "done");
    const started = markOf(owner, "w-0", "worker", "started");
    const one = inputs();
    expect(decideJoin(nothing, one, false)).to.equal("join");
    expect(decideJoin({ ...nothing, mark: started }, one, false)).to.equal("join");
    expect(decideJoin({ ...nothing, mark: started, kubeletConf: true }, one, true)).to.equal("reset-and-join");
    expect(decideJoin({ ...nothing, mark: done, kubeletConf: true }, one, true)).to.equal("adopt");
    expect(decideJoin({ ...nothing, mark: done, kubeletConf: true }, one, false)).to.equal("reset-and-join");
    expect(decideJoin({ ...nothing, kubeletConf: true }, one, true)).to.equal("refuse");
    expect(decideJoin({ ...nothing, mark: { ...done, cluster: "c2" } }, one, true)).to.equal("refuse");
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
    const machine = new LocalMachine();
    machine.command(
      "kubeadm",
      `case "$1 $2" in
  "token create") echo abcdef.0123456789abcdef ;;
  "token delete") echo "$*" >>${machine.root}/deleted ;;
  *) cp "$3" ${machine.root}/seen; echo "[preflight] x"; exit 1 ;;
esac`,
    );
    machine.command("kubectl", "exit 1");
    const ctx = testContext(machine);
    try {
      await memberKind.create(ctx, inputs());
      expect.fail("joined");
    } catch (error) {
      expect((error as Error).message).to.match(/kubeadm join failed in phase "preflight"/);
    }
    expect(machine.read("seen")).to.contain("token: abcdef.0123456789abcdef");
    expect(machine.read("run/kvmesh/join.yaml")).to.equal(undefined);
    expect(machine.read("deleted")).to.match(/token delete .* abcdef\n$/);
    expect(machine.scripts.join() + ctx.progressed.join()).not.to.contain("0123456789abcdef");
    machine.close();
  });
});

describe("member: leaving", () => {
  const member = (name: string, healthy = true, learner = false): EtcdMember => ({ id: "1", name, healthy, learner });

  it("is refused when the rest would have no majority, with the numbers", () => {
    expect(quorumAfterRemoval([member("a"), member("b"), member("c")], "a")).to.equal(undefined);
    expect(quorumAfterRemoval([member("a"), member("b"), member("c", false)], "a")).to.match(
      /3 voting members; without it 2 stay, of which 1 is healthy \(b\), and 2 are needed/,
    );
    // The dead one may go.
    expect(quorumAfterRemoval([member("a"), member("b"), member("c", false)], "c")).to.equal(undefined);
    expect(quorumAfterRemoval([], "a")).to.match(/unknown/);
  });

  it("never leaves fewer healthy voters than a majority", () => {
    const members = fc.array(fc.record({ healthy: fc.boolean(), learner: fc.boolean() }), {
      minLength: 1,
      maxLength: 7,
    });
    fc.assert(
      fc.property(members, fc.nat(6), (list, pick) => {
        const named = list.map((one, i) => ({ id: String(i), name: `n${i}`, ...one }));
        const gone = named[pick % named.length]!.name;
        if (quorumAfterRemoval(named, gone) !== undefined) return;
        const voters = named.filter((one) => one.name !== gone && !one.learner);
        expect(voters.filter((one) => one.healthy).length).to.be.greaterThan(voters.length / 2);
      }),
    );
  });

  it("asks etcd with kubectl, by a real shell", async () => {
    const machine = new LocalMachine();
    const list =
      '{"header":{},"members":[{"ID":"10501334649042878790","name":"a","clientURLs":["https://10.0.0.1:2379"]},{"ID":"5","clientURLs":["https://10.0.0.2:2379"],"isLearner":true},{"ID":"6","name":"c","clientURLs":["https://10.0.0.3:2379"]}]}';
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
    expect(parseMembers(stdout)).to.deep.equal([
      { id: "10501334649042878790", name: "a", healthy: true, learner: false },
      { id: "5", name: "", healthy: false, learner: true },
      { id: "6", name: "c", healthy: false, learner: false },
    ]);
    machine.command("kubectl", "exit 1");
    expect(parseMembers((await machine.script(machine.endpoint, MEMBERS_SCRIPT)).stdout)).to.deep.equal([]);
    machine.close();
  });

  it("says which budget blocks a drain", () => {
    const said = `evicting pod istio-system/istiod-6d9f\nerror when evicting pods/"istiod-6d9f" -n "istio-system" (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.\n@@ budgets\nistio-system/istiod\n`;
    expect(drainError("w-0", said).message).to.match(
      /node w-0 could not be drained within 180 s: PodDisruptionBudget istio-system\/istiod allows no disruption of istiod-6d9f; give its workload one replica more/,
    );
  });

  it("skips the drain when the whole cluster goes, and does not hang when nobody answers", async () => {
    const machine = new LocalMachine();
    machine.write(
      "etc/kubernetes/kvmesh.json",
      JSON.stringify({ ...markOf(owner, "w-0", "worker", "done"), ending: true }),
    );
    machine.command("kubeadm", `echo "$*" >>${machine.root}/kubeadm`);
    machine.command("kubectl", `echo "$*" >>${machine.root}/kubectl`);
    machine.command("ip", "true");
    machine.command("systemctl", "true");
    await memberKind.delete(testContext(machine), "w-0", inputs());
    expect(machine.read("kubeadm")).to.equal("reset -f --skip-phases=remove-etcd-member\n");
    expect(machine.read("kubectl") ?? "").not.to.contain("drain");
    expect(machine.read("etc/kubernetes/kvmesh.json")).to.equal(undefined);
    machine.reachable = false;
    const ctx = testContext(machine);
    await memberKind.delete(ctx, "w-0", inputs());
    expect(ctx.warned.join()).to.match(/does not answer and was not reset/);
    machine.close();
  });
});
