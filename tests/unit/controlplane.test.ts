import { expect } from "chai";
import fc from "fast-check";
import { parse } from "yaml";
import { initConfig } from "../../components/cluster/kubeadm-config";
import { PartialError, UserError } from "../../provider/core/kind";
import { controlPlaneKind } from "../../provider/controlplane/kind";
import { renameKubeconfig } from "../../provider/controlplane/kubeconfig";
import { decide, parseState, STATE_SCRIPT, type NodeState } from "../../provider/controlplane/state";
import { runJob } from "../../provider/node/job";
import { redact } from "../../provider/node/kubeadm";
import { markOf } from "../../provider/node/mark";
import { kubeadmSettings } from "../support/cluster-spec";
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
};
const started = markOf(owner, "cp-0", "first-control-plane", "started");
const done = markOf(owner, "cp-0", "first-control-plane", "done");

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

describe("control plane: what to do with a machine in some state", () => {
  for (const [what, state, expected] of [
    ["nothing is there", nothing, "init"],
    ["our mark and nothing else", { ...nothing, mark: started }, "init"],
    [
      "cut off before etcd held anything",
      { ...nothing, mark: started, adminConf: true, manifests: true },
      "clear-and-init",
    ],
    [
      "cut off with etcd's data there",
      { ...nothing, mark: started, adminConf: true, manifests: true, etcdData: true },
      "resume",
    ],
    [
      "cut off, and the API answers already",
      { ...nothing, mark: started, adminConf: true, etcdData: true, apiHealthy: true },
      "resume",
    ],
    ["made, API silent", { ...nothing, mark: done, adminConf: true, manifests: true, etcdData: true }, "wait"],
    [
      "made and healthy",
      { ...nothing, mark: done, adminConf: true, manifests: true, etcdData: true, apiHealthy: true },
      "adopt",
    ],
    ["somebody's cluster", { ...nothing, adminConf: true, etcdData: true, apiHealthy: true }, "refuse"],
    ["somebody's etcd data alone", { ...nothing, etcdData: true }, "refuse"],
    ["another stack's mark", { ...nothing, mark: { ...done, stack: "other" } }, "refuse"],
    ["a worker of ours", { ...nothing, mark: markOf(owner, "cp-0", "worker", "done"), kubeletConf: true }, "refuse"],
    ["a mark that can't be read", { ...nothing, mark: "unreadable" }, "refuse"],
  ] as const) {
    it(`${what}: ${expected}`, () => {
      expect(decide(state, owner, "cp-0")).to.equal(expected);
    });
  }

  it("never clears a machine whose etcd holds data, and never touches what is not ours", () => {
    const bool = fc.boolean();
    const mark = fc.constantFrom(
      undefined,
      "unreadable" as const,
      started,
      done,
      { ...done, stack: "other" },
      { ...done, node: "x" },
    );
    const states = fc.record({
      mark,
      adminConf: bool,
      kubeletConf: bool,
      manifests: bool,
      etcdData: bool,
      apiHealthy: bool,
      serverVersion: fc.constant(""),
    });
    fc.assert(
      fc.property(states, (state) => {
        const action = decide(state, owner, "cp-0");
        if (state.etcdData) expect(action).to.not.be.oneOf(["init", "clear-and-init"]);
        const ours = state.mark === started || state.mark === done;
        if (!ours && action !== "init") expect(action).to.equal("refuse");
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

describe("control plane: jobs on the machine", () => {
  let machine: LocalMachine;
  beforeEach(() => (machine = new LocalMachine()));
  afterEach(() => machine.close());

  it("report every line once, in order, and the exit code", async () => {
    const lines: string[] = [];
    const job = { name: "j", command: "for i in 1 2 3; do echo line $i; done; (exit 7)", timeoutMs: 20_000 };
    const code = await runJob(testContext(machine), machine.endpoint, { ...job, onLine: (line) => lines.push(line) });
    expect([code, lines]).to.deep.equal([7, ["line 1", "line 2", "line 3"]]);
  });

  it("are followed by a second run, not started twice", async () => {
    const ctx = testContext(machine);
    const command = `echo x >>${machine.root}/starts; sleep 2; echo end`;
    const job = { name: "j", command, timeoutMs: 20_000, onLine: () => undefined };
    expect(await Promise.all([runJob(ctx, machine.endpoint, job), runJob(ctx, machine.endpoint, job)])).to.deep.equal([
      0, 0,
    ]);
    expect(machine.read("starts")).to.equal("x\n");
  });

  it("are told apart from ones that were killed", async () => {
    const job = { name: "j", command: "kill -9 $PPID $$", timeoutMs: 5000, onLine: () => undefined };
    try {
      await runJob(testContext(machine), machine.endpoint, job);
    } catch (error) {
      expect((error as Error).message).to.match(/j did not end within 5 s, or was killed; run `pulumi up` again/);
      return;
    }
    expect.fail("took it for finished");
  });
});

describe("control plane: handler", () => {
  const inputs = controlPlaneKind.check({
    endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() },
    owner,
    name: "cp-0",
    kubernetesVersion: "1.34.2",
    config: initConfig(kubeadmSettings(), { name: "cp-0", role: "control-plane", address: "10.0.0.10" }),
    timeoutSeconds: 20,
  }).inputs;

  it("leaves a foreign cluster untouched and says whose it is", async () => {
    const machine = new LocalMachine();
    machine.write("etc/kubernetes/kvmesh.json", JSON.stringify({ ...done, stack: "prod" }));
    machine.write("etc/kubernetes/admin.conf", adminConf);
    try {
      await controlPlaneKind.create(testContext(machine), inputs);
      expect.fail("took it");
    } catch (error) {
      expect(error).to.be.instanceOf(UserError).and.not.instanceOf(PartialError);
      expect((error as Error).message).to.match(
        /node cp-0 .*marked as node cp-0 of cluster c1 \(project kvmesh, stack prod\); nothing was changed/,
      );
    }
    expect(machine.scripts).to.have.length(1);
    machine.close();
  });

  it("keeps a failed init in state, with kubeadm's last words and without its token", async () => {
    const machine = new LocalMachine();
    machine.command(
      "kubeadm",
      'echo "[preflight] Running"; echo "[ERROR X]: no good, token abcdef.0123456789abcdef"; exit 1',
    );
    const ctx = testContext(machine);
    try {
      await controlPlaneKind.create(ctx, inputs);
      expect.fail("made it");
    } catch (error) {
      expect(error).to.be.instanceOf(PartialError);
      expect((error as Error).message).to.match(
        /kubeadm init failed in phase "preflight"[^]*\[ERROR X\]: no good, token \[token\]/,
      );
    }
    expect(JSON.parse(machine.read("etc/kubernetes/kvmesh.json")!)).to.deep.equal(started);
    expect(ctx.progressed.some((line) => line.includes("kubeadm init: preflight"))).to.equal(true);
    machine.close();
  });

  it("ends bounded and clear when the machine is gone at delete", async () => {
    const machine = new LocalMachine();
    machine.reachable = false;
    try {
      await controlPlaneKind.delete(testContext(machine), "cp-0", { ...inputs, kubeconfig: "", caCertHash: "" });
      expect.fail("deleted");
    } catch (error) {
      expect((error as Error).message).to.match(/can't be removed.*did not answer[^]*pulumi state delete 'urn:pulumi/);
    }
    machine.close();
  });

  it("refuses to plan a configuration that a running cluster would not get, by its paths", () => {
    const changed = initConfig(kubeadmSettings({ podCidr: "10.9.0.0/16" }), {
      name: "cp-0",
      role: "control-plane",
      address: "10.0.0.10",
    });
    const news = { ...inputs, config: changed };
    expect(() => controlPlaneKind.diff({ ...inputs, kubeconfig: "x", caCertHash: "y" }, news)).to.throw(
      /changed: ClusterConfiguration.networking.podSubnet/,
    );
    // Nothing runs yet, or another machine comes: then it is just taken.
    expect(controlPlaneKind.diff(inputs as never, news).map((change) => change.effect)).to.deep.equal(["record"]);
    expect(
      controlPlaneKind.diff({ ...inputs, kubeconfig: "x", caCertHash: "y" }, { ...news, identity: "other" })[0]?.effect,
    ).to.equal("replace");
  });

  it("refuses another version of a running cluster", async () => {
    const machine = new LocalMachine();
    try {
      await controlPlaneKind.update(
        testContext(machine),
        "cp-0",
        { ...inputs, kubeconfig: "x", caCertHash: "y" },
        { ...inputs, kubernetesVersion: "1.35.0" },
      );
      expect.fail("updated");
    } catch (error) {
      expect((error as Error).message).to.match(
        /runs Kubernetes 1.34.2, 1.35.0 is declared.*set kubernetes.version to "1.34.2"/,
      );
    }
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
