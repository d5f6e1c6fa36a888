import { expect } from "chai";
import * as fc from "fast-check";
import { catalogue } from "../../policies/catalogue";
import { message } from "../../policies/frame";
import { evaluate } from "../../report/evaluate";
import { Observations, type EngineEvent } from "../../report/events";
import { peekMessage } from "../../report/finding";
import { escape as escapeHtml, renderHtml } from "../../report/html";
import { escape as escapeMarkdown, renderMarkdown } from "../../report/markdown";
import type { Header, Report, RuleResult } from "../../report/model";
import { verdict } from "../../report/text";

const PACK = { policyPackName: "kvmesh", policyPackVersion: "0.1.0" };
const URN = "urn:pulumi:prod::kvmesh::kvmesh:index:Domain::web-1";

const header: Header = {
  judged: "preview",
  stack: "prod",
  environment: "production",
  commit: "0123456789abcdef",
  packName: "kvmesh",
  packVersion: "0.1.0",
  packDigest: "sha256:aa",
  configDigest: "sha256:bb",
  cliVersion: "3.259.0",
  time: "2026-01-01T00:00:00.000Z",
  command: "pulumi preview",
  exitCode: 0,
  end: { state: "ended" },
};

const passed = (id: string, resourceUrn = URN): EngineEvent => ({
  policyAnalyzeSummaryEvent: { ...PACK, resourceUrn, passed: [id] },
});
const stackDone = (...ids: string[]): EngineEvent => ({ policyAnalyzeStackSummaryEvent: { ...PACK, passed: ids } });
const violation = (policyName: string, text: string, enforcementLevel = "mandatory"): EngineEvent => ({
  policyEvent: { ...PACK, resourceUrn: URN, policyName, message: text, enforcementLevel },
});
const cannotRun = (id: string): EngineEvent =>
  violation(
    id,
    `can't run policy '${id}' from policy pack 'kvmesh@v0.1.0' during preview: string value at .host can't be known during preview`,
    "advisory",
  );

function reportOf(events: readonly EngineEvent[], disabled: readonly string[] = [], judged = header.judged): Report {
  const observations = new Observations("kvmesh");
  for (const event of events) observations.add(event);
  return evaluate({ header: { ...header, judged }, observations, disabled: new Set(disabled) });
}

function ruleIn(report: Report, id: string): RuleResult {
  const found = report.domains.flatMap(({ rules }) => rules).find((rule) => rule.id === id);
  if (!found) throw new Error(`no ${id}`);
  return found;
}

describe("policy report", () => {
  it("has every rule of the catalogue, in its order, whatever the events", () => {
    const ids = reportOf([]).domains.flatMap(({ rules }) => rules.map(({ id }) => id));
    expect(ids).to.deep.equal(catalogue.map(({ id }) => id));
  });

  it("is never green for a rule that was not evaluated", () => {
    const unknown = reportOf([passed("ssh-host-key", `${URN}2`), cannotRun("ssh-host-key"), stackDone()]);
    expect(ruleIn(unknown, "ssh-host-key")).to.include({ status: "not-evaluated", passed: 1 });
    expect(ruleIn(unknown, "ssh-host-key").gaps[0]?.reason).to.equal(
      "string value at .host can't be known during preview",
    );
    const cut = reportOf([passed("node-min-vcpus")]);
    expect(ruleIn(cut, "node-min-vcpus").status).to.equal("not-evaluated");
    expect(ruleIn(reportOf([stackDone()], ["node-min-vcpus"]), "node-min-vcpus").status).to.equal("not-evaluated");
    expect(ruleIn(reportOf([stackDone()]), "backup-tested").status).to.equal("not-evaluated");
    expect(reportOf([]).counts).to.include({ pass: 0, fail: 0, "not-evaluated": catalogue.length });
  });

  it("tells pass, fail and not applicable apart in a whole run", () => {
    const report = reportOf([passed("node-min-vcpus"), violation("canary-weights", "x"), stackDone("mtls-conflict")]);
    expect(ruleIn(report, "node-min-vcpus").status).to.equal("pass");
    expect(ruleIn(report, "canary-weights").status).to.equal("fail");
    expect(ruleIn(report, "mtls-conflict").status).to.equal("pass");
    expect(ruleIn(report, "gateway-tls").status).to.equal("not-applicable");
    expect(report.blocking).to.equal(1);
  });

  it("takes nothing of a deployed state for a pass, because Pulumi names violations only", () => {
    const summary = { summaryEvent: { result: "succeeded", isPreview: false, PolicyPacks: { kvmesh: "0.1.0" } } };
    const report = reportOf([violation("canary-weights", "x", "advisory"), summary], [], "state");
    expect(report).to.deep.include({ complete: true, blocking: 0 });
    expect(ruleIn(report, "gateway-tls").gaps[0]?.reason).to.include("not violated");
    expect(verdict(report)).to.match(
      /^1 advisory rule failed; \d+ rules not violated; \d+ rules not evaluated \(\d+ have no policy yet\)\.$/,
    );
    expect(verdict(reportOf([{ summaryEvent: { result: "failed" } }], [], "state"))).to.include("No verdict");
  });

  it("lets a violation outweigh passes and gaps", () => {
    const report = reportOf([
      passed("canary-weights"),
      cannotRun("canary-weights"),
      violation("canary-weights", "x"),
      stackDone(),
    ]);
    expect(ruleIn(report, "canary-weights").status).to.equal("fail");
  });

  it("takes the last part of `up`, not the preview before it", () => {
    const report = reportOf([
      { preludeEvent: {} },
      violation("canary-weights", "x"),
      { preludeEvent: {} },
      stackDone(),
    ]);
    expect(ruleIn(report, "canary-weights").status).to.equal("not-applicable");
  });

  it("leaves other packs' events alone", () => {
    const other = { ...violation("canary-weights", "x").policyEvent!, policyPackName: "theirs" };
    expect(ruleIn(reportOf([{ policyEvent: other }, stackDone()]), "canary-weights").violations).to.deep.equal([]);
  });

  it("has the same order for any order of events", () => {
    const events = ["c", "a", "b"].map((subject) =>
      violation("canary-weights", `t\n${subject}: found x\nrequired: y\nremedy: z`),
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(events, { minLength: 3 }), (shuffled) => {
        const subjects = ruleIn(reportOf([...shuffled, stackDone()]), "canary-weights").violations.map(
          ({ subject }) => subject,
        );
        expect(subjects).to.deep.equal(["a", "b", "c"]);
      }),
    );
  });

  it("reads a violation's text as policies write it", () => {
    const line = fc
      .string({ minLength: 1 })
      .filter((text) => text.trim() === text && !/[\r\n]|: found | found /.test(text));
    fc.assert(
      fc.property(line, line, line, line, (subject, found, required, remedy) => {
        const text = `A title\n${message("canary-weights", { subject, found, required, remedy })}\n`;
        expect(peekMessage(text)).to.deep.equal({ subject, found, required, remedy });
      }),
    );
  });

  it("says in one sentence whether the run is blocked, and that a failed run gives no verdict", () => {
    expect(verdict(reportOf([violation("canary-weights", "x"), stackDone()]))).to.match(
      /^1 violation of mandatory rules: blocked/,
    );
    expect(verdict(reportOf([violation("retry-budget", "x", "advisory"), stackDone()]))).to.match(
      /^1 advisory rule failed/,
    );
    expect(verdict(reportOf([])))
      .to.match(/^No verdict/)
      .and.match(/ended before all policies/);
  });

  it("never lets a name from the stack become markup", () => {
    const attack = '<script>alert(1)</script>" onload="x | `y` [z](http://e) @all';
    const report = reportOf([
      violation("canary-weights", `t\n${attack}: found ${attack}\nrequired: ${attack}\nremedy: ${attack}`),
      stackDone(),
    ]);
    expect(renderHtml(report)).to.not.include("<script>").and.not.include('" onload="');
    expect(renderMarkdown(report)).to.not.include("<script>").and.not.include("[z](").and.not.include("@all");
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(escapeHtml(text)).to.not.match(/[<>"']/);
        expect(escapeMarkdown(text)).to.not.match(/[<@\n]|(?<!\\)\|/);
      }),
    );
  });

  it("is one HTML file that loads nothing", () => {
    const html = renderHtml(reportOf([stackDone()]));
    expect(html).to.not.match(/<(script|link|img|iframe)|https?:|url\(/);
    expect(html).to.include('lang="en"').and.include("not legal compliance");
  });
});
