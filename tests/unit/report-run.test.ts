import { expect } from "chai";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { EXIT } from "../../report/conclusion";
import { runWithReport, type ReportOptions, type ReportResult } from "../../report/run";

const PACK = { policyPackName: "kvmesh", policyPackVersion: "0.1.0" };
const URN = "urn:pulumi:prod::kvmesh::kvmesh:index:Domain::web-1";
const PRELUDE = { preludeEvent: { config: {} } };
const JUDGED = { policyAnalyzeSummaryEvent: { ...PACK, resourceUrn: URN, passed: ["node-min-vcpus"] } };
const STACK_JUDGED = { policyAnalyzeStackSummaryEvent: { ...PACK, passed: [] } };
const END = { cancelEvent: {} };
const planned = { resourcePreEvent: { planning: true } };
const made = { resourcePreEvent: {} };
const summary = (isPreview: boolean): object => ({ summaryEvent: { isPreview, result: "succeeded" } });
const violation = {
  policyEvent: {
    ...PACK,
    resourceUrn: URN,
    policyName: "canary-weights",
    message: "t\nVirtualService cart: found 110\nrequired: 100\nremedy: Sum to 100.",
    enforcementLevel: "mandatory",
  },
};

const lines = (...events: readonly object[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join("");
const WHOLE = lines(PRELUDE, planned, JUDGED, STACK_JUDGED, summary(true), END);

describe("a report of a run that did not end well", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-report-test-"));
    fs.writeFileSync(path.join(folder, "Pulumi.prod.yaml"), "config: { kvmesh:environment: production }\n");
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** A CLI that leaves this event log and ends like this: `exit 0`, or `kill -9 $$`. */
  const run = (
    log: string | undefined,
    end = "exit 0",
    options: Partial<ReportOptions> = {},
  ): Promise<ReportResult> => {
    const bin = path.join(folder, "bin");
    fs.mkdirSync(bin, { recursive: true });
    if (log !== undefined) fs.writeFileSync(path.join(folder, "log"), log);
    const script = `#!/bin/sh
[ "$1" = version ] && { echo v3.0.0; exit; }
while [ "$1" != --event-log ]; do shift; done
${log === undefined ? "" : `cp ${folder}/log "$2"`}
${end}
`;
    fs.writeFileSync(path.join(bin, "pulumi"), script, { mode: 0o755 });
    const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ""}` };
    return runWithReport({ kind: "preview", stack: "prod", cwd: folder, env, ...options });
  };

  const expectBroken = ({ exitCode, report, files }: ReportResult, reason: RegExp): void => {
    expect(exitCode).to.equal(EXIT.broken);
    expect(report.complete).to.equal(false);
    expect(report.counts.pass).to.equal(0);
    const markdown = fs.readFileSync(files.md, "utf8");
    expect(markdown.split("\n")[0]).to.match(/^## ⛔ No verdict/);
    expect(markdown.split("\n")[2]).to.match(reason);
    expect(markdown).to.not.include("🛡️");
    const html = fs.readFileSync(files.html, "utf8");
    expect(html)
      .to.match(/<title>No verdict/)
      .and.include('class="verdict broken"');
    expect(html).to.not.include('class="verdict clear"');
  };

  it("is whole when the log is", async () => {
    const { exitCode, report } = await run(WHOLE);
    expect(exitCode).to.equal(EXIT.ok);
    expect(report.header).to.deep.include({ judged: "preview", end: { state: "ended" } });
    expect(report.counts.pass).to.equal(1);
  });

  it("says that the log is cut off, wherever it is cut", async () => {
    const last = WHOLE.length - lines(END).length;
    for (const length of [0, 10, WHOLE.indexOf("passed") + 9, last, WHOLE.length - 4])
      expectBroken(await run(WHOLE.slice(0, length)), /event log|\*\*No verdict/);
    expectBroken(await run(`${WHOLE.slice(0, last - 20)}\n${lines(END)}`), /cut off in line 5/);
  });

  it("says that there is no log", async () => {
    expectBroken(await run(undefined), /wrote no event log/);
  });

  it("says that Pulumi was killed, and what it had found", async () => {
    const result = await run(lines(PRELUDE, planned, violation), "kill -9 $$");
    expectBroken(result, /SIGKILL killed Pulumi.*Until then: 1 violation of mandatory rules/);
    expect(result.report.header.exitCode).to.equal(137);
  });

  it("says that Pulumi could not be started", async () => {
    const result = await run(WHOLE, "exit 0", { env: { PATH: "/nowhere" } });
    expectBroken(result, /there is no .*pulumi.* on PATH/);
  });

  it("never takes an `up` for a preview because its summary is missing", async () => {
    const whole = lines(PRELUDE, planned, JUDGED, STACK_JUDGED, summary(true), END);
    const begun = `${whole}${lines(PRELUDE, made, JUDGED)}`;
    const result = await run(begun, "exit 1", { kind: "up" });
    expectBroken(result, /stops before the engine's last event/);
    expect(result.report.header.judged).to.equal("deployed");
    expect((await run(lines(PRELUDE), "exit 1", { kind: "up" })).report.header.judged).to.equal("deployed");
    expect((await run(whole, "exit 1", { kind: "up" })).report.header.judged).to.equal("preview");
  });

  it("is no success when Pulumi fails for another reason, or says that it succeeded and did not judge all", async () => {
    const failed = await run(lines(PRELUDE, planned, JUDGED, summary(true), END), "exit 255");
    expect(failed.exitCode).to.equal(EXIT.failed);
    expect(fs.readFileSync(failed.files.md, "utf8")).to.match(/^## ❌ Pulumi failed/);
    const partly = await run(lines(PRELUDE, planned, JUDGED, summary(true), END));
    expect(partly.exitCode).to.equal(EXIT.broken);
    expect(fs.readFileSync(partly.files.md, "utf8")).to.match(/^## ⛔ No verdict/);
  });

  it("is blocked when a mandatory rule is violated, whatever Pulumi's exit code", async () => {
    const blocked = await run(lines(PRELUDE, planned, violation, STACK_JUDGED, summary(true), END));
    expect(blocked.exitCode).to.equal(EXIT.blocked);
    expect(fs.readFileSync(blocked.files.md, "utf8")).to.match(/^## ❌ Blocked/);
  });

  it("never leaves an older report as the newest", async () => {
    const { files } = await run(WHOLE);
    const before = fs.readFileSync(files.md, "utf8");
    // While the next run goes on, what stands under the name says so.
    const reports = path.dirname(files.md);
    await run(WHOLE, `cp ${files.md} ${folder}/meanwhile.md; cp ${files.html} ${folder}/meanwhile.html`);
    const meanwhile = fs.readFileSync(path.join(folder, "meanwhile.md"), "utf8");
    expect(meanwhile)
      .to.match(/^## ⛔ No verdict/)
      .and.include("has not ended, or was killed");
    expect(fs.readFileSync(path.join(folder, "meanwhile.html"), "utf8")).to.include('class="verdict broken"');
    expect(fs.readFileSync(path.join(reports, "prod-preview.older.md"), "utf8")).to.equal(before);
    // Nor when the next run can't even begin.
    fs.writeFileSync(path.join(folder, "Pulumi.prod.yaml"), "config: [}");
    let error: unknown;
    await run(WHOLE).catch((caught: unknown) => (error = caught));
    expect(String(error)).to.match(/Pulumi\.prod\.yaml/);
    for (const file of fs.readdirSync(reports)) expect(file).to.match(/^prod-preview\.older\./);
  });
});
