import { expect } from "chai";
import fc from "fast-check";
import { parse } from "yaml";
import { clusterConfig, initConfig } from "../../components/cluster/kubeadm-config";
import { PartialError, UserError } from "../../provider/core/kind";
import { decideFounding, type Looked, type OnRecord } from "../../provider/cluster/decide";
import { clusterKind } from "../../provider/cluster/kind";
import { renameKubeconfig } from "../../provider/cluster/kubeconfig";
import { runJob } from "../../provider/node/job";
import { redact } from "../../provider/node/kubeadm";
import { markOf, type Mark } from "../../provider/node/mark";
import { parseState, STATE_SCRIPT, type NodeState } from "../../provider/node/state";
import { failure } from "../support/failure";
import { kubeadmSettings } from "../support/cluster-spec";
import { CA_CERTIFICATE } from "../support/simulated-cluster/certificate";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

const nothing: NodeState = {
  mark: undefined,
  adminConf: false,
  kubeletConf: false,
  manifests: false,
  etcdData: false,
  apiHealthy: false,
  serverVersion: "",
  job: "",
};
const mark = (node: string, phase: Mark["phase"], making: Mark["making"] = "init", id = "id-1"): Mark =>
  markOf(owner, id, node, { role: "control-plane", making, phase });
const started = mark("cp-0", "started");
const done = mark("cp-0", "done");

const ca = `-----BEGIN CERTIFICATE-----
MIIBKTCB0KADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCmt1YmVybmV0
-----END CERTIFICATE-----`;
const adminConf = `apiVersion: v1
kind: Config
clusters: [{name: kubernetes, cluster: {certificate-authority-data: ${Buffer.from(ca).toString("base64")}, server: "https://10.0.0.10:6443"}}]
users: [{name: kubernetes-admin, user: {client-key-data: c2VjcmV0}}]
contexts: [{name: kubernetes-admin@kubernetes, context: {cluster: kubernetes, user: kubernetes-admin}}]
current-context: kubernetes-admin@kubernetes
`;

const data = { adminConf: true, kubeletConf: true, manifests: true, etcdData: true };
const whole = { ...nothing, ...data, apiHealthy: true };
const UNKNOWN_CLUSTER: OnRecord = { whole: false };

/** What was seen on cp-0, cp-1, …; undefined: it did not answer. */
function looked(...states: readonly (NodeState | undefined)[]): Looked[] {
  return states.map((state, i) => ({
    machine: {
      name: `cp-${i}`,
      endpoint: { address: `192.0.2.${i}`, port: 22, user: "root", hostKey: "" },
      config: "x",
    },
    state,
  }));
}

describe("cluster: whether it is there, and what founds it", () => {
  for (const [what, seen, record, expected] of [
    ["nothing anywhere", looked(nothing, nothing, nothing), UNKNOWN_CLUSTER, "found"],
    ["a machine that does not answer", looked(nothing, undefined, nothing), UNKNOWN_CLUSTER, "refuse"],
    ["our mark and nothing else", looked({ ...nothing, mark: started }), UNKNOWN_CLUSTER, "go-on"],
    [
      "cut off before etcd held anything",
      looked({ ...nothing, mark: started, adminConf: true }),
      UNKNOWN_CLUSTER,
      "go-on",
    ],
    [
      "cut off with etcd's data there",
      looked({ ...nothing, ...data, mark: started }, undefined),
      UNKNOWN_CLUSTER,
      "go-on",
    ],
    [
      "begun on two machines",
      looked({ ...nothing, mark: started }, { ...nothing, mark: mark("cp-1", "started") }),
      UNKNOWN_CLUSTER,
      "refuse",
    ],
    ["made, API silent", looked({ ...nothing, ...data, mark: done }), UNKNOWN_CLUSTER, "wake"],
    ["made and healthy", looked({ ...whole, mark: done }), UNKNOWN_CLUSTER, "enter"],
    [
      "made and healthy on another than the first",
      looked(nothing, { ...whole, mark: mark("cp-1", "done", "join") }),
      UNKNOWN_CLUSTER,
      "enter",
    ],
    [
      "a finished one whose etcd is empty: its disk is not mounted",
      looked({ ...whole, etcdData: false, apiHealthy: false, mark: done }),
      UNKNOWN_CLUSTER,
      "refuse",
    ],
    [
      "only a join that was cut off",
      looked(nothing, { ...nothing, mark: mark("cp-1", "started", "join") }),
      UNKNOWN_CLUSTER,
      "refuse",
    ],
    ["whole on record, nothing anywhere", looked(nothing, nothing), { clusterId: "id-1", whole: true }, "refuse"],
    ["begun on record, nothing anywhere", looked(nothing), { clusterId: "id-1", whole: false }, "found"],
    [
      "two clusters",
      looked({ ...whole, mark: done }, { ...whole, mark: mark("cp-1", "done", "join", "id-2") }),
      UNKNOWN_CLUSTER,
      "refuse",
    ],
    ["another cluster than on record", looked({ ...whole, mark: done }), { clusterId: "id-2", whole: true }, "refuse"],
  ] as const) {
    it(`${what}: ${expected}`, () => {
      expect(decideFounding(owner, seen, record).do).to.equal(expected);
    });
  }

  it("never founds a second one, and never clears a machine whose etcd holds data", () => {
    const bool = fc.boolean();
    const state = fc.option(
      fc.record({
        mark: fc.constantFrom<Mark["phase"] | undefined>(undefined, "started", "done", "left"),
        making: fc.constantFrom<Mark["making"]>("init", "join"),
        adminConf: bool,
        etcdData: bool,
        apiHealthy: bool,
      }),
      { nil: undefined },
    );
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 5 }), bool, (states, isWhole) => {
        const seen = looked(
          ...states.map((one, i) => {
            if (one === undefined) return undefined;
            const made = one.mark !== undefined;
            const own = made ? mark(`cp-${i}`, one.mark!, one.making) : undefined;
            return { ...nothing, ...one, etcdData: made && one.etcdData, adminConf: made && one.adminConf, mark: own };
          }),
        );
        const verdict = decideFounding(owner, seen, { whole: isWhole, ...(isWhole ? { clusterId: "id-1" } : {}) });
        const anyMark = seen.some((one) => one.state?.mark !== undefined);
        const anySilent = seen.some((one) => one.state === undefined);
        if (anyMark || anySilent || isWhole) expect(verdict.do).to.not.equal("found");
        if (verdict.do === "go-on") {
          expect(
            seen.filter(({ state: one }) => typeof one?.mark === "object" && one.mark.phase !== "started"),
          ).to.deep.equal([]);
          if (verdict.on.state?.etcdData) expect(verdict.clear).to.equal(false);
        }
      }),
    );
  });

  it("is read from a machine by a real shell", async () => {
    const machine = new LocalMachine();
    const look = async (): Promise<NodeState> =>
      parseState((await machine.script(machine.endpoint, STATE_SCRIPT)).stdout);
    expect(await look()).to.deep.equal(nothing);
    machine.write("etc/kubernetes/kvmesh.json", `${JSON.stringify(done)}\n`);
    machine.write("etc/kubernetes/admin.conf", adminConf);
    machine.write("etc/kubernetes/manifests/etcd.yaml", "x");
    machine.write("var/lib/etcd/member/snap/db", "x");
    machine.command(
      "kubectl",
      `case "$*" in */readyz) printf ok ;; */version) printf '{\\n  "gitVersion": "v1.34.2"\\n}' ;; esac`,
    );
    expect(await look()).to.deep.equal({
      ...nothing,
      mark: done,
      adminConf: true,
      manifests: true,
      etcdData: true,
      apiHealthy: true,
      serverVersion: "v1.34.2",
    });
    machine.close();
  });
});

describe("jobs on the machine", () => {
  let machine: LocalMachine;
  beforeEach(() => (machine = new LocalMachine()));
  afterEach(() => machine.close());

  it("report every line once, in order, and the exit code", async () => {
    const lines: string[] = [];
    const job = { slot: "j", what: "x", command: "for i in 1 2 3; do echo line $i; done; (exit 7)", timeoutMs: 20_000 };
    const code = await runJob(testContext(machine), machine.endpoint, { ...job, onLine: (line) => lines.push(line) });
    expect([code, lines]).to.deep.equal([7, ["line 1", "line 2", "line 3"]]);
  });

  it("are followed by a second run, not started twice", async () => {
    const ctx = testContext(machine);
    const command = `echo x >>${machine.root}/starts; sleep 2; echo end`;
    const job = { slot: "j", what: "x", command, timeoutMs: 20_000, onLine: () => undefined };
    expect(await Promise.all([runJob(ctx, machine.endpoint, job), runJob(ctx, machine.endpoint, job)])).to.deep.equal([
      0, 0,
    ]);
    expect(machine.read("starts")).to.equal("x\n");
  });

  it("are told apart from ones that were killed", async () => {
    const job = { slot: "j", what: "x", command: "kill -9 $PPID $$", timeoutMs: 5000, onLine: () => undefined };
    try {
      await runJob(testContext(machine), machine.endpoint, job);
    } catch (error) {
      expect((error as Error).message).to.match(/j x did not end within 5 s, or was killed; run `pulumi up` again/);
      return;
    }
    expect.fail("took it for finished");
  });
});

describe("cluster: handler", () => {
  const inputs = clusterKind.check({
    owner,
    apiEndpoint: "10.0.0.10:6443",
    kubernetesVersion: "1.34.2",
    config: clusterConfig(kubeadmSettings()),
    controlPlanes: [
      {
        name: "cp-0",
        endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() },
        config: initConfig(kubeadmSettings(), { name: "cp-0", role: "control-plane", address: "10.0.0.10" }),
      },
    ],
    timeoutSeconds: 20,
  }).inputs;
  const made = { ...inputs, clusterId: "id-1", kubeconfig: "x", caCertHash: "y" };

  it("leaves a foreign cluster untouched and says whose it is", async () => {
    const machine = new LocalMachine();
    machine.write("etc/kubernetes/kvmesh.json", JSON.stringify({ ...done, stack: "prod" }));
    machine.write("etc/kubernetes/admin.conf", adminConf);
    const error = await failure(clusterKind.create(testContext(machine), inputs));
    expect(error).to.be.instanceOf(UserError).and.not.instanceOf(PartialError);
    expect(error.message).to.match(
      /node cp-0 .*marked as node cp-0 of cluster c1 \(project kvmesh, stack prod, id id-1\); nothing was changed/,
    );
    expect(machine.scripts).to.have.length(1);
    machine.close();
  });

  it("refuses a finished control plane whose etcd is empty, and changes nothing", async () => {
    const machine = new LocalMachine();
    machine.write("etc/kubernetes/kvmesh.json", JSON.stringify(done));
    machine.write("etc/kubernetes/admin.conf", adminConf);
    const error = await failure(clusterKind.create(testContext(machine), inputs));
    expect(error.message).to.match(
      /cp-0 is a finished control plane, and \/var\/lib\/etcd there is empty: is its disk mounted\?/,
    );
    expect(machine.scripts).to.have.length(1);
    machine.close();
  });

  it("founds behind a virtual IP: the address is free, the founding pod is there during init, the lasting one after it", async () => {
    const machine = new LocalMachine();
    const manifest = "etc/kubernetes/manifests/kube-vip.yaml";
    const vip = { address: "10.0.0.9", port: 6443 };
    const staticPods = [{ name: "kube-vip", manifest: "lasting\n", founding: "founding\n" }];
    machine.command(
      "ip",
      `case "$*" in *"route get"*) echo "10.0.0.9 dev eth0" ;; *neigh*) cat ${machine.root}/neighbour ;; esac`,
    );
    machine.command("kubectl", "exit 0");
    machine.command(
      "kubeadm",
      `cp ${machine.path(manifest)} ${machine.root}/during-init; printf '%s' '${adminConf.replace(/(certificate-authority-data: )[^,]*/, `$1${CA_CERTIFICATE}`)}' >/etc/kubernetes/admin.conf`,
    );
    const founded = () => clusterKind.create(testContext(machine), { ...inputs, staticPods, virtualIp: vip });
    machine.write("neighbour", "10.0.0.9 dev eth0 lladdr 52:54:00:00:00:77 REACHABLE");
    expect((await failure(founded())).message).to.match(/10\.0\.0\.9 is answered by 52:54:00:00:00:77 already/);
    expect([machine.read("etc/kubernetes/kvmesh.json"), machine.read(manifest)]).to.deep.equal([undefined, undefined]);
    machine.write("neighbour", "10.0.0.9 dev eth0 FAILED");
    await founded();
    expect(machine.read("during-init")).to.equal("# made by kvmesh\nfounding\n");
    expect(machine.read(manifest)).to.equal("# made by kvmesh\nlasting\n");
    machine.close();
  });

  it("keeps a failed init in state, with kubeadm's last words and without its token", async () => {
    const machine = new LocalMachine();
    machine.command(
      "kubeadm",
      'echo "[preflight] Running"; echo "[ERROR X]: no good, token abcdef.0123456789abcdef"; exit 1',
    );
    const ctx = testContext(machine);
    const error = await failure(clusterKind.create(ctx, inputs));
    expect(error.message).to.match(/kubeadm init failed in phase "preflight"[^]*\[ERROR X\]: no good, token \[token\]/);
    const left = JSON.parse(machine.read("etc/kubernetes/kvmesh.json")!) as Mark;
    expect(left).to.deep.equal({ ...started, clusterId: left.clusterId });
    expect(error instanceof PartialError && error.id, "the id outlives the failure").to.equal(left.clusterId);
    expect(ctx.progressed.some((line) => line.includes("kubeadm init: preflight"))).to.equal(true);
    machine.close();
  });

  it("ends bounded and clear when the machines are gone at delete", async () => {
    const machine = new LocalMachine();
    machine.reachable = false;
    const error = await failure(clusterKind.delete(testContext(machine), "id-1", made));
    expect(error.message).to.match(
      /can't be removed: none of its control planes answers[^]*pulumi state delete 'urn:pulumi/,
    );
    machine.close();
  });

  it("refuses to plan a configuration that a running cluster would not get, by its paths", () => {
    const news = { ...inputs, config: clusterConfig(kubeadmSettings({ podCidr: "10.9.0.0/16" })) };
    expect(clusterKind.refuses?.(made, news)).to.match(/changed: ClusterConfiguration.networking.podSubnet/);
    // Nothing runs yet: then it is just taken.
    expect(clusterKind.refuses?.(inputs as never, news)).to.equal(undefined);
    expect(clusterKind.diff(inputs as never, news).map((change) => change.effect)).to.deep.equal(["record"]);
  });

  it("refuses to plan control planes that have none in common with those that are there: nobody could let them in", () => {
    const others = ["cp-7", "cp-8"].map((name) => ({ ...inputs.controlPlanes[0]!, name }));
    expect(clusterKind.refuses?.(made, { ...inputs, controlPlanes: others })).to.match(
      /none of its control planes \(cp-0.*\) is declared any more.*beside one of those first/,
    );
    const beside = [...others, inputs.controlPlanes[0]!];
    expect(clusterKind.refuses?.(made, { ...inputs, controlPlanes: beside })).to.equal(undefined);
    // Before it was founded, nobody is there to let anybody in.
    expect(clusterKind.refuses?.(inputs as never, { ...inputs, controlPlanes: others })).to.equal(undefined);
  });

  it("refuses another version of a running cluster", async () => {
    const machine = new LocalMachine();
    const error = await failure(
      clusterKind.update(testContext(machine), "id-1", made, { ...inputs, kubernetesVersion: "1.35.0" }),
    );
    expect(error.message).to.match(/runs Kubernetes 1.34.2, 1.35.0 is declared.*set kubernetes.version to "1.34.2"/);
    expect(machine.scripts).to.deep.equal([]);
    machine.close();
  });
});

describe("kubeconfig", () => {
  it("names cluster, context and user after the cluster and keeps everything else", () => {
    const config = parse(renameKubeconfig(adminConf, "prod-oslo", "cp-0")) as Record<string, unknown>;
    expect(config["current-context"]).to.equal("prod-oslo");
    expect(config.contexts).to.deep.equal([
      { name: "prod-oslo", context: { cluster: "prod-oslo", user: "prod-oslo-admin" } },
    ]);
    expect(config.users).to.deep.equal([{ name: "prod-oslo-admin", user: { "client-key-data": "c2VjcmV0" } }]);
    expect((config.clusters as { name: string; cluster: { server: string } }[])[0]).to.deep.include({
      name: "prod-oslo",
    });
  });

  it("says which node has an incomplete one", () => {
    expect(() => renameKubeconfig("", "c1", "cp-0")).to.throw(/node cp-0: admin.conf is no complete kubeconfig/);
  });

  it("redacts tokens and keys of any line", () => {
    expect(redact("join --token abcdef.0123456789abcdef --certificate-key " + "0a".repeat(32))).to.equal(
      "join --token [token] --certificate-key [key]",
    );
  });
});
