import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import type { RuleResult } from "../../report/model";
import { runWithReport, type ReportResult } from "../../report/run";
import { EngineProject } from "../support/engine";

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
new VirtualService("cart", { metadata: { name: "cart", namespace: "shop" }, spec: { http: [{ route: [
  { destination: { host: "cart", subset: "v1" }, weight: 90 },
  { destination: { host: "cart", subset: "v2" }, weight: ${weight} } ] }] } });
`;
}

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
});
