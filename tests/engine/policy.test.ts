import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { rulesOf, type RuleResult } from "../../report/model";
import { runWithReport, type ReportOptions, type ReportResult } from "../../report/run";
import { checkout, EngineProject } from "../support/engine";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3";

/** Two machines on a host nobody can reach; `pins` are the second one's. The first one's host key is made in the run. */
function program(pins: string, weight = 10): string {
  return `
const owner = { project: "kvmesh", stack: "test", cluster: "c", environment: "production" };
const host = { address: "192.0.2.1", hostKey: "${KEY}" };
// The default provider would take the stack's configuration (namespace kvmesh) for its own settings.
const opts = { provider: new kvmesh.Provider("kvmesh") };
const key = new kvmesh.HostKey("web-0-key", {}, opts);
const machine = (name, vcpuPins) => new kvmesh.Domain(name, {
  host, owner, name, type: "kvm", vcpus: 4, vcpuPins, emulatorPin: [0], ioThreadPin: [0], memoryBytes: 4294967296, numaNode: 0,
  disks: [{ type: "file", path: "/var/lib/kvmesh/" + name + ".qcow2", format: "qcow2", target: "vda" }],
  interfaces: [{ type: "bridge", bridge: "br0", mac: "52:54:00:00:00:0" + name.at(-1) }],
  cloudInit: { userData: "#cloud-config", metaData: "{}", networkConfig: "{}" }, storage: "/var/lib/kvmesh",
}, opts);
machine("web-0", [4, 5, 6, 7]);
machine("web-1", ${pins});
new kvmesh.Machine("web-0-machine", {
  endpoint: { address: "10.0.0.10", hostKey: key.publicKey }, owner, name: "web-0", source: "carved", plan: "dedicated",
  vcpus: 4, hypervisors: ["kvm"], maxStealPercent: 1, country: "NO",
}, opts);

// Stand for the Kubernetes provider's resources: same type, same inputs.
class VirtualService extends pulumi.ComponentResource {
  constructor(name, args) { super("kubernetes:networking.istio.io/v1:VirtualService", name, args); }
}
class PeerAuthentication extends pulumi.ComponentResource {
  constructor(name, args) { super("kubernetes:security.istio.io/v1:PeerAuthentication", name, args); }
}
// Its mode is known only in the run.
new PeerAuthentication("shop-peers", {
  metadata: { name: "default", namespace: "shop" }, spec: { mtls: { mode: key.publicKey.apply(() => "STRICT") } },
});
class DestinationRule extends pulumi.ComponentResource {
  constructor(name, args) { super("kubernetes:networking.istio.io/v1:DestinationRule", name, args); }
}
new DestinationRule("cart-subsets", { metadata: { name: "cart", namespace: "shop" }, spec: { host: "cart", subsets: [
  { name: "v1", labels: { version: "v1" } }, { name: "v2", labels: { version: "v2" } } ] } });
new VirtualService("cart", { metadata: { name: "cart", namespace: "shop" }, spec: { http: [{ route: [
  { destination: { host: "cart", subset: "v1" }, weight: 90 },
  { destination: { host: "cart", subset: "v2" }, weight: ${weight} } ] }] } });
`;
}

/** As a state has them: a machine on shared CPUs, one abroad, and a canary of 110 %. */
const shared = [
  { type: "kvmesh:index:Domain", inputs: { name: "web-9", type: "kvm", vcpus: 4, vcpuPins: [] } },
  { type: "kvmesh:index:Machine", inputs: { name: "web-9", vcpus: 4, plan: "dedicated", country: "US" } },
  {
    type: "kubernetes:networking.istio.io/v1:VirtualService",
    inputs: {
      metadata: { name: "cart", namespace: "shop" },
      spec: { http: [{ route: [90, 20].map((weight) => ({ destination: { host: "cart" }, weight })) }] },
    },
  },
].map(({ type, inputs }) => ({
  urn: `urn:pulumi:test::test::${type}::web-9`,
  custom: true,
  id: "web-9",
  ...{ type, inputs, outputs: inputs },
  provider: "urn:pulumi:test::test::pulumi:providers:kvmesh::kvmesh::any",
}));

describe("policy pack and report with the real CLI", function () {
  let project: EngineProject;
  let result: ReportResult;

  const preview = async (source: string, packConfig?: object): Promise<ReportResult> => {
    project.setProgram(source);
    const file = path.join(project.folder, "pack-config.json");
    if (packConfig) fs.writeFileSync(file, JSON.stringify(packConfig));
    return runWithReport({
      kind: "preview",
      stack: project.stack,
      cwd: project.folder,
      env: project.env,
      args: ["--non-interactive", "--color=never"],
      ...(packConfig && { packConfig: file }),
    });
  };
  const rule = (id: string): RuleResult => {
    const found = result.report.domains.flatMap(({ rules }) => rules).find((one) => one.id === id);
    if (!found) throw new Error(`no rule ${id} in the report`);
    return found;
  };

  before(async () => {
    project = new EngineProject({ program: "", config: { "kvmesh:environment": "production" } });
    await project.run(["stack", "init", project.stack]);
  });
  after(() => {
    project.dispose();
  });

  describe("a plan that holds", () => {
    before(async () => {
      result = await preview(program("[8, 9, 10, 11]"));
    });

    it("passes, and says for how many resources", () => {
      expect(result.exitCode).to.equal(0);
      expect(result.report.complete).to.equal(true);
      expect(rule("node-dedicated-cpu")).to.include({ status: "pass", passed: 3, level: "mandatory" });
      expect(rule("canary-weights")).to.include({ status: "pass", passed: 1 });
    });

    it("does not show as passed what depends on a value that is not known yet", () => {
      const { status, gaps, passed } = rule("mtls-exception");
      expect(status).to.equal("not-evaluated");
      expect(passed).to.equal(0);
      expect(gaps.map(({ urn }) => urn.split("::").at(-1))).to.deep.equal(["shop-peers"]);
      expect(gaps[0]?.reason).to.include("spec.mtls.mode");
    });

    it("takes a host key that is made in the run for declared", () => {
      expect(rule("ssh-host-key")).to.deep.include({ status: "pass", passed: 3, gaps: [] });
    });

    it("shows planned rules as planned, and rules without a subject as not applicable", () => {
      expect(rule("backup-tested").status).to.equal("planned");
      expect(rule("gateway-tls").status).to.equal("not-applicable");
    });

    it("names what was judged", () => {
      const { header } = result.report;
      expect(header).to.include({ judged: "preview", stack: "test", environment: "production", exitCode: 0 });
      expect(header.pack.version).to.equal("0.1.0");
      expect(header.pack.digest).to.match(/^sha256:[0-9a-f]{64}$/);
      expect(header.stackFile.digest).to.match(/^sha256:[0-9a-f]{64}$/);
      expect(header.cliVersion).to.match(/^v?\d+\.\d+\.\d+/);
    });
  });

  describe("a plan with shared vCPUs and weights of 110", () => {
    before(async () => {
      result = await preview(program("[]", 20));
    });

    it("is blocked in the preview, with node, value and remedy", () => {
      expect(result.exitCode).to.equal(1);
      const [violation, ...more] = rule("node-dedicated-cpu").violations;
      expect(more).to.deep.equal([]);
      expect(violation).to.include({ level: "mandatory", subject: "Domain web-1" });
      expect(violation?.found).to.include("vcpuPins [] for 4 vCPUs");
      expect(violation?.remedy).to.include("cpu: dedicated");
      expect(rule("canary-weights").violations[0]?.found).to.equal("http[0] weights 90 + 20 = 110");
    });

    it("stands in all three files", () => {
      const { md, html, json } = result.files;
      expect(fs.readFileSync(md, "utf8")).to.include("❌ node-dedicated-cpu").and.include("Domain web-1");
      expect(fs.readFileSync(html, "utf8")).to.include("vcpuPins [] for 4 vCPUs");
      expect(JSON.parse(fs.readFileSync(json, "utf8"))).to.deep.equal(JSON.parse(JSON.stringify(result.report)));
    });
  });

  it("a chart whose cluster isn't known is no pass for the rules that it could break, and a waived violation does not block", async () => {
    const chart = `
class Chart extends pulumi.ComponentResource {
  constructor(name) { super("kubernetes:helm.sh/v4:Chart", name, {}); }
}
new Chart("shop");
`;
    const file = path.join(project.folder, "waivers.yaml");
    const expires = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
    const waiver = {
      ...{ rule: "node-dedicated-cpu", resource: "Domain web-1", owner: "team-web", ticket: "WEB-1", expires },
      reason: "The host with more cores is delivered next week.",
    };
    fs.writeFileSync(file, JSON.stringify({ version: 1, waivers: [waiver] }));
    project.setProgram(program("[]") + chart);
    result = await runWithReport({
      kind: "preview",
      stack: project.stack,
      cwd: project.folder,
      env: { ...project.env, KVMESH_WAIVERS: file },
      args: ["--non-interactive", "--color=never"],
    });
    expect(result.exitCode).to.equal(0);
    expect(rule("node-dedicated-cpu").status).to.equal("waived");
    // Nothing else of the stack is a gateway; the chart may hold one.
    for (const id of ["gateway-tls", "canary-weights", "objects-seen"]) {
      expect(rule(id).status, id).to.equal("not-evaluated");
      expect(
        rule(id).gaps.map(({ subject }) => subject),
        id,
      ).to.deep.equal(["Chart shop"]);
    }
    expect(rule("node-min-vcpus").status).to.equal("pass");
  });

  it("a rule that the pack's configuration turns off is shown as not evaluated", async () => {
    result = await preview(program("[]"), { "node-dedicated-cpu": "disabled" });
    expect(result.exitCode).to.equal(0);
    expect(rule("node-dedicated-cpu").status).to.equal("not-evaluated");
    expect(rule("node-dedicated-cpu").gaps[0]?.reason).to.include("turned off");
  });

  it("a program that fails leaves its rules without a verdict", async () => {
    // The first line is docs/decisions/0071: without it, Node.js 20.20 never ends printing the error.
    result = await preview(
      `Error.prepareStackTrace = undefined;\n${program("[8, 9, 10, 11]")}\nthrow new Error("broken program");`,
    );
    expect(result.exitCode).to.equal(3);
    expect(result.report.complete).to.equal(false);
    expect(rule("mtls-conflict").status).to.equal("not-evaluated");
    expect(result.report.counts.pass).to.equal(0);
  });

  describe("a deployed stack", () => {
    // A resource that exists only in the state; its weights are wrong, and nothing of it needs a host.
    const deployed = `
class VirtualService extends pulumi.ComponentResource {
  constructor(name, args) { super("kubernetes:networking.istio.io/v1:VirtualService", name, args); }
}
new kvmesh.HostKey("web-0-key", {}, { provider: new kvmesh.Provider("kvmesh") });
new VirtualService("cart", { metadata: { name: "cart", namespace: "shop" }, spec: { http: [{ route: [
  { destination: { host: "cart" }, weight: 90 }, { destination: { host: "cart" }, weight: 20 } ] }] } });
`;
    const time = "2027-01-02T03:04:05.000Z";

    const analyze = (more: Partial<ReportOptions> = {}): Promise<ReportResult> =>
      runWithReport({ kind: "analyze", stack: project.stack, cwd: project.folder, env: project.env, ...more });

    before(async () => {
      project.setProgram(deployed);
      const up = await project.up();
      expect(up.code, up.text).to.equal(0);
    });

    it("is judged from its state, for the time that is asked for", async () => {
      result = await analyze({ env: { ...project.env, KVMESH_EVALUATION_TIME: time } });
      expect(result.report.header).to.include({ judged: "state", state: "own", time });
      expect(result.report.complete).to.equal(true);
      expect(result.exitCode).to.equal(result.report.blocking > 0 ? 1 : 0);
    });

    it("has the same verdicts from an exported file, without a login", async () => {
      const { stdout } = await project.run(["stack", "export", "--stack", project.stack]);
      const stateFile = path.join(project.folder, "export.json");
      fs.writeFileSync(stateFile, stdout);
      const { report } = await analyze({ stateFile, env: { PATH: "/nowhere", KVMESH_EVALUATION_TIME: time } });
      expect(report.domains).to.deep.equal(result.report.domains);
    });

    it("has the violations that Pulumi's own `policy analyze` finds", async () => {
      const { stdout } = await project.run(["stack", "export", "--stack", project.stack]);
      const state = JSON.parse(stdout) as { deployment: { resources: object[] } };
      state.deployment.resources.push(...shared);
      const stateFile = path.join(project.folder, "violating.json");
      fs.writeFileSync(stateFile, JSON.stringify(state));
      const pack = path.join(checkout, "policies");
      const analyzed = await project.run(["policy", "analyze", "--json", "--file", stateFile, "--policy-pack", pack]);
      const events = analyzed.stdout
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as { policyEvent?: { policyName: string; message: string } });
      const theirs = events.flatMap(({ policyEvent }) =>
        policyEvent && !policyEvent.message.includes("can't run policy") ? [policyEvent.policyName] : [],
      );
      const { report } = await analyze({ stateFile });
      const ours = rulesOf(report).flatMap(({ id, violations }) => violations.map(() => id));
      expect(theirs).to.include.members(["node-dedicated-cpu", "canary-weights", "location-allowed"]);
      expect(ours.sort()).to.deep.equal(theirs.sort());
    });
  });

  it("previews from committed facts alone, without a login and without the key of encrypted values", async () => {
    project.setProgram(program("[8, 9, 10, 11]"));
    const file = path.join(project.folder, "Pulumi.fork.yaml");
    const secure = { "kvmesh:environment": "production", "kvmesh:token": { secure: "v1:x:y" } };
    fs.writeFileSync(file, JSON.stringify({ encryptionsalt: "v1:someone-else", config: secure }));
    const env: NodeJS.ProcessEnv = { ...project.env };
    delete env.PULUMI_BACKEND_URL;
    delete env.PULUMI_CONFIG_PASSPHRASE;
    const before = fs.readFileSync(file, "utf8");
    const { exitCode, report, files } = await runWithReport({
      kind: "preview",
      stack: "fork",
      cwd: project.folder,
      env,
      withoutState: true,
      args: ["--non-interactive", "--color=never"],
    });
    expect(exitCode).to.equal(0);
    expect(report.header.state).to.equal("none");
    expect(fs.readFileSync(files.md, "utf8"))
      .to.include("from committed facts alone")
      .and.include("1 encrypted values");
    expect(fs.readFileSync(file, "utf8")).to.equal(before);
  });
});
