import { expect } from "chai";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { digestOf } from "../../rules/canonical-json";
import type { EvidenceRecord } from "../../provider/evidence/schema";
import { EXIT } from "../../report/conclusion";
import { renderHtml } from "../../report/formats/html";
import { rulesOf, type Report, type RuleResult } from "../../report/model";
import { runWithReport, type ReportOptions, type ReportResult } from "../../report/run";

const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "v1:hunter2" };
const NOW = "2026-11-28T12:00:00.000Z";

const urnOf = (type: string, name: string): string => `urn:pulumi:prod::kvmesh::${type}::${name}`;
const resource = (type: string, name: string, inputs: object, outputs: object = inputs): object => ({
  urn: urnOf(type, name),
  type,
  custom: true,
  inputs,
  outputs,
});

const route = (...weights: readonly number[]): object =>
  resource("kubernetes:networking.istio.io/v1:VirtualService", "cart", {
    metadata: { name: "cart", namespace: "shop" },
    spec: { http: [{ route: weights.map((weight) => ({ destination: { host: "cart" }, weight })) }] },
  });

const record = (takenAt: string, fsync: number): EvidenceRecord => ({
  schema: 1,
  machine: "cp-0",
  address: "192.0.2.1",
  project: "kvmesh",
  stack: "prod",
  cluster: "nor",
  environment: "production",
  role: "control-plane",
  plan: "dedicated",
  takenAt,
  tools: { fio: "fio-3.39" },
  verdict: "pass",
  values: [
    { id: "fsync-p99-1", what: "fdatasync, 99th percentile", measured: fsync, unit: "ms", limit: 10, verdict: "pass" },
    { id: "disk", what: "disk of etcd", measured: "vda, nvme", limit: null, verdict: "info" },
  ],
});

const controlPlane = (of: EvidenceRecord, digest = digestOf(of)): readonly object[] => [
  resource("kvmesh:index:ClusterNode", "cp-0", { name: "cp-0", role: "control-plane" }),
  resource(
    "kvmesh:index:Evidence",
    "cp-0",
    { name: "cp-0", plan: "metal", maxAgeSeconds: 30 * 86_400 },
    {
      ...{ name: "cp-0", plan: "metal", maxAgeSeconds: 30 * 86_400 },
      record: of,
      digest,
      takenAt: of.takenAt,
      contradictions: [],
    },
  ),
];

describe("a report of a state", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-report-test-"));
    fs.writeFileSync(path.join(folder, "Pulumi.prod.yaml"), "config: { kvmesh:environment: production }\n");
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const judge = (resources: readonly object[], more: Partial<ReportOptions> = {}): Promise<ReportResult> => {
    const stateFile = path.join(folder, "state.json");
    fs.writeFileSync(stateFile, JSON.stringify({ version: 3, deployment: { resources } }));
    // Neither a CLI nor a login is there.
    const env = { PATH: "/nowhere", KVMESH_EVALUATION_TIME: NOW };
    return runWithReport({ kind: "analyze", stack: "prod", cwd: folder, stateFile, env, ...more });
  };
  const rule = (report: Report, id: string): RuleResult => {
    const found = rulesOf(report).find((one) => one.id === id);
    if (!found) throw new Error(`no ${id}`);
    return found;
  };

  it("knows what passed and what had nothing to judge, without a CLI and without a login", async () => {
    const { exitCode, report } = await judge([route(90, 10)]);
    expect(exitCode).to.equal(EXIT.ok);
    expect(report.header).to.include({ judged: "state", state: "file", time: NOW });
    expect(rule(report, "canary-weights")).to.include({ status: "pass", passed: 1 });
    expect(rule(report, "node-min-vcpus").status).to.equal("not-applicable");
  });

  it("blocks on what is violated", async () => {
    const { exitCode, report } = await judge([route(90, 20)]);
    expect(exitCode).to.equal(EXIT.blocked);
    expect(rule(report, "canary-weights").violations[0]).to.include({ subject: "VirtualService shop/cart" });
  });

  it("takes the pack's configuration as Pulumi does", async () => {
    const packConfig = path.join(folder, "config.json");
    fs.writeFileSync(packConfig, JSON.stringify({ "canary-weights": "advisory", "node-min-vcpus": "disabled" }));
    const { exitCode, report } = await judge([route(90, 20)], { packConfig });
    expect(exitCode).to.equal(EXIT.ok);
    expect(rule(report, "canary-weights").violations[0]?.level).to.equal("advisory");
    expect(rule(report, "node-min-vcpus").status).to.equal("not-evaluated");
  });

  it("never shows a secret: what is encrypted can't be judged", async () => {
    const machine = resource("kvmesh:index:Machine", "web-0", { name: "web-0", country: SECRET });
    const { report, files } = await judge([machine]);
    expect(rule(report, "location-allowed").status).to.equal("not-evaluated");
    for (const file of Object.values(files)) expect(fs.readFileSync(file, "utf8")).to.not.include("hunter2");
  });

  it("says that an update was interrupted", async () => {
    const stateFile = path.join(folder, "pending.json");
    const pending = [{ type: "creating", resource: { urn: urnOf("kvmesh:index:Domain", "web-0") } }];
    fs.writeFileSync(stateFile, JSON.stringify({ deployment: { resources: [], pending_operations: pending } }));
    const { report } = await judge([], { stateFile });
    expect(report.header.notes[0]).to.include("creating of kvmesh:index:Domain::web-0 is pending");
    expect(renderHtml(report)).to.include("An update was interrupted");
  });

  it("refuses an export that is cut off, and leaves no older report as the newest", async () => {
    const { files } = await judge([route(90, 10)]);
    const stateFile = path.join(folder, "cut.json");
    fs.writeFileSync(stateFile, '{"deployment": {"resources": [');
    let error: unknown;
    await judge([], { stateFile }).catch((caught: unknown) => (error = caught));
    expect(String(error)).to.include("cut.json").and.include("cut off");
    expect(fs.existsSync(files.html)).to.equal(false);
  });

  it("says that a state can't be read, when there is no CLI", async () => {
    const { exitCode, report } = await judge([], { stateFile: undefined });
    expect(exitCode).to.equal(EXIT.broken);
    expect(report.header.end).to.deep.include({ state: "broken" });
  });

  describe("evidence", () => {
    const measured = record("2026-11-20T12:00:00Z", 4.2);

    it("stands beside the verdict that rests on it", async () => {
      const { report } = await judge(controlPlane(measured));
      const { status, evidence } = rule(report, "etcd-fsync");
      expect(status).to.equal("pass");
      expect(evidence).to.deep.equal([
        {
          what: "fdatasync, 99th percentile: 4.2 ms (10 ms)",
          on: "cp-0",
          takenAt: "2026-11-20T12:00:00Z",
          digest: digestOf(measured),
        },
      ]);
      expect(report.evidence[0]).to.include({ ageDays: 8, limitDays: 30, tooOld: false, digestHolds: true });
      expect(renderHtml(report)).to.include("4.2 ms").and.include(digestOf(measured));
    });

    it("that is too old, or has no date, is no ground for a pass", async () => {
      for (const takenAt of ["2026-10-01T12:00:00Z", "never"]) {
        const { report } = await judge(controlPlane(record(takenAt, 4.2)));
        expect(rule(report, "etcd-fsync")).to.include({ status: "not-evaluated" });
        expect(rule(report, "etcd-fsync").gaps[0]?.reason).to.match(/58 days old; it may be 30|dated "never"/);
      }
    });

    it("that was changed is no ground for a pass", async () => {
      const { report } = await judge(controlPlane({ ...measured, plan: "metal" }, digestOf(measured)));
      expect(rule(report, "etcd-fsync").status).to.equal("not-evaluated");
      expect(rule(report, "etcd-fsync").gaps[0]?.reason).to.include("the digest is not the record's");
    });

    it("is judged for the time of the evaluation, not for the clock's", async () => {
      const env = { PATH: "/nowhere", KVMESH_EVALUATION_TIME: "2027-03-01T00:00:00Z" };
      const { report } = await judge(controlPlane(measured), { env });
      expect(report.evidence[0]?.tooOld).to.equal(true);
      expect(rule(report, "etcd-fsync").status).to.equal("not-evaluated");
    });
  });
});
