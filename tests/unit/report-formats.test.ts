import { DOMParser, onErrorStopParsing } from "@xmldom/xmldom";
import { expect } from "chai";
import * as fc from "fast-check";
import * as fs from "node:fs";
import * as path from "node:path";
import { formats, type Extension } from "../../report/formats";
import { escape as escapeHtml } from "../../report/formats/html-text";
import { escape as escapeXml, renderJunit } from "../../report/formats/junit";
import { escape as escapeMarkdown, renderMarkdown } from "../../report/formats/markdown";
import { renderHtml } from "../../report/formats/html";
import { renderSarif } from "../../report/formats/sarif";
import { parseReport, reportJsonSchema, type Report } from "../../report/model";
import { fullReport, header, passed, reportOf, stackDone, violation } from "../support/report";

interface Sarif {
  readonly runs: readonly [
    {
      readonly tool: {
        readonly driver: {
          readonly rules: readonly { readonly id: string; readonly properties: { readonly tags: readonly string[] } }[];
        };
      };
      readonly invocations: readonly [
        {
          readonly executionSuccessful: boolean;
          readonly toolExecutionNotifications: readonly {
            readonly level: string;
            readonly message: { readonly text: string };
          }[];
        },
      ];
      readonly results: readonly {
        readonly ruleId: string;
        readonly ruleIndex: number;
        readonly level: string;
        readonly suppressions?: readonly unknown[];
        readonly partialFingerprints: Readonly<Record<string, string>>;
        readonly locations: readonly [
          {
            readonly physicalLocation: {
              readonly artifactLocation: { readonly uri: string };
              readonly region: { readonly startLine: number };
            };
          },
        ];
      }[];
    },
  ];
}

const sarifOf = (report: Report) => (JSON.parse(renderSarif(report)) as Sarif).runs[0];
const junitOf = (report: Report) =>
  new DOMParser({ onError: onErrorStopParsing }).parseFromString(renderJunit(report), "text/xml");

describe("formats of the report", () => {
  it("are all made of the canonical JSON, byte by byte", () => {
    const report = fullReport();
    const rendered = (of: Report): Readonly<Record<Extension, string>> =>
      Object.fromEntries(formats.map(({ extension, render }) => [extension, render(of)])) as Record<Extension, string>;
    const first = rendered(report);
    expect(rendered(parseReport(first.json, "report.json"))).to.deep.equal(first);
    expect(rendered(fullReport())).to.deep.equal(first);
  });

  it("have the committed schema", () => {
    const file = path.resolve(__dirname, "../../../report/schema.json");
    expect(JSON.parse(fs.readFileSync(file, "utf8"))).to.deep.equal(JSON.parse(reportJsonSchema()));
  });

  it("refuse a JSON that is no report, and say where", () => {
    const json = JSON.stringify(fullReport());
    expect(() => parseReport("{", "a.json")).to.throw("a.json: this is no JSON");
    expect(() => parseReport("{}", "a.json")).to.throw("schema: found none, can read 1");
    expect(() => parseReport(json.replace('"schema":1', '"schema":2'), "a.json")).to.throw("found 2, can read 1");
    expect(() => parseReport(json.replace('"blocking":1', '"blocking":"1"'), "a.json")).to.throw("a.json: blocking:");
  });

  it("never let a name from the stack become markup", () => {
    const attack = '<script>alert(1)</script>" onload="x | `y` [z](http://e) @all </script> ]]> <!--';
    const report = reportOf([
      violation("canary-weights", `t\n${attack}: found ${attack}\nrequired: ${attack}\nremedy: ${attack}`),
      violation("gateway-tls", `t\n${attack}: not evaluated: ${attack}`, "advisory"),
      stackDone(),
    ]);
    expect(renderHtml(report).match(/<script>/g)).to.have.length(1);
    expect(renderHtml(report)).to.not.include('" onload="').and.not.include("<script>alert");
    expect(renderMarkdown(report)).to.not.include("<script>").and.not.include("[z](").and.not.include("@all");
    expect(junitOf(report).getElementsByTagName("script")).to.have.length(0);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(escapeHtml(text)).to.not.match(/[<>"']/);
        expect(escapeMarkdown(text)).to.not.match(/[<@\n]|(?<!\\)\|/);
        const xml = `<a b="${escapeXml(text)}">${escapeXml(text)}</a>`;
        new DOMParser({ onError: onErrorStopParsing }).parseFromString(xml, "text/xml");
      }),
    );
  });

  describe("HTML", () => {
    it("is one file that loads nothing and runs one script, by its hash", () => {
      const html = renderHtml(fullReport());
      expect(html).to.not.match(/<(link|img|iframe|object|embed)|https?:|url\(|src=/);
      expect(html).to.match(/default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[^']{44}'/);
      expect(html).to.include('lang="en"').and.include("not legal compliance");
    });

    it("holds all it says without the script", () => {
      const html = renderHtml(fullReport());
      for (const text of ["weights 90 + 20 = 110", "payments", "PERMISSIVE", "ssh-host-key", "90 → 80"])
        expect(html).to.include(text);
      expect(html.match(/ hidden/g)).to.have.length(1);
    });
  });

  describe("Markdown", () => {
    it("fits into a comment however much was found, and says what it left out", () => {
      const many = Array.from({ length: 3000 }, (_, i) =>
        violation("canary-weights", `t\nVirtualService v${i}: found ${i}${"x".repeat(2000)}\nrequired: y\nremedy: z`),
      );
      const gaps = Array.from({ length: 3000 }, (_, i) =>
        violation("gateway-tls", `t\nRelease r${i}: not evaluated: ${i}${"y".repeat(2000)}`, "advisory"),
      );
      const markdown = renderMarkdown(reportOf([...many, ...gaps, stackDone()]));
      expect(markdown.length).to.be.lessThan(65_536);
      expect(markdown)
        .to.match(/^## ❌ Blocked/)
        .and.include("2975 more")
        .and.include("did not fit");
    });

    it("tells once what is the same of several resources", () => {
      const same = ["Domain web-0", "Domain web-1", "Machine web-0"].map((subject) =>
        violation("canary-weights", `t\n${subject}: found x\nrequired: y\nremedy: z`),
      );
      const markdown = renderMarkdown(reportOf([...same, stackDone()]));
      expect(markdown).to.include("**Domain web-0, web-1; Machine web-0**: x");
      expect(markdown.match(/required: y/g)).to.have.length(1);
    });

    it("says the plan in words, with old and new of numbers only", () => {
      const markdown = renderMarkdown(fullReport());
      expect(markdown).to.include("1 to change, 1 to create");
      expect(markdown).to.include("weight 90 → 80").and.not.include("hunter2");
    });
  });

  describe("SARIF", () => {
    it("has a result for each violation, with rule, line and fingerprint", () => {
      const run = sarifOf(fullReport());
      const [blocks] = run.results;
      expect(blocks).to.deep.include({ ruleId: "canary-weights", level: "error" });
      expect(run.tool.driver.rules[blocks!.ruleIndex]?.id).to.equal("canary-weights");
      expect(blocks?.locations[0].physicalLocation).to.deep.equal({
        artifactLocation: { uri: "Pulumi.prod.yaml" },
        region: { startLine: 12 },
      });
      expect(blocks?.partialFingerprints["kvmesh/v1"]).to.match(/^[0-9a-f]{20}$/);
      expect(run.results.map(({ ruleId, level }) => [ruleId, level])).to.deep.equal([
        ["canary-weights", "error"],
        ["retry-budget", "warning"],
        ["mesh-strict", "warning"],
      ]);
      expect(run.results[2]?.suppressions).to.have.length(1);
    });

    it("says what was not evaluated and how the run ended, though it is no result", () => {
      const { toolExecutionNotifications: said } = sarifOf(fullReport()).invocations[0];
      expect(said.map(({ message }) => message.text).join("\n")).to.include("ssh-host-key was not evaluated");
      const broken = { ...header, end: { state: "broken" as const, reason: "SIGKILL killed Pulumi" } };
      const [invocation] = sarifOf(reportOf([passed("node-min-vcpus")], { header: broken })).invocations;
      expect(invocation.executionSuccessful).to.equal(false);
      expect(invocation.toolExecutionNotifications[0]?.message.text).to.include("SIGKILL killed Pulumi");
    });

    it("keeps GitHub's limits", () => {
      const many = Array.from({ length: 6000 }, (_, i) =>
        violation(
          i < 5990 ? "retry-budget" : "canary-weights",
          `t\nVirtualService v${i}: found x`,
          i < 5990 ? "advisory" : "mandatory",
        ),
      );
      const run = sarifOf(reportOf([...many, stackDone()]));
      expect(run.results).to.have.length(5000);
      expect(run.results.filter(({ level }) => level === "error")).to.have.length(10);
      for (const { properties } of run.tool.driver.rules) expect(properties.tags.length).to.be.at.most(20);
    });
  });

  describe("JUnit", () => {
    const cases = (report: Report, rule: string) =>
      [...junitOf(report).getElementsByTagName("testcase")].filter((one) =>
        (one.getAttribute("name") ?? "").startsWith(`${rule}:`),
      );

    it("fails what is violated, skips what was not evaluated or is waived, passes what held", () => {
      const report = fullReport();
      const children = (rule: string): readonly string[] =>
        cases(report, rule).flatMap((one) => [...one.childNodes].map(({ nodeName }) => nodeName));
      expect(children("canary-weights")).to.deep.equal(["failure"]);
      expect(children("ssh-host-key")).to.deep.equal(["skipped"]);
      expect(children("mesh-strict")).to.deep.equal(["skipped"]);
      expect(children("node-min-vcpus")).to.deep.equal([]);
      expect(cases(report, "gateway-tls")).to.have.length(0);
      expect(cases(report, "backup-tested")).to.have.length(0);
    });

    it("counts as it says", () => {
      const root = junitOf(fullReport()).documentElement!;
      for (const [attribute, tag] of [
        ["tests", "testcase"],
        ["failures", "failure"],
        ["errors", "error"],
        ["skipped", "skipped"],
      ] as const)
        expect(root.getAttribute(attribute), attribute).to.equal(String(root.getElementsByTagName(tag).length));
    });

    it("is an error when the run did not end well", () => {
      const broken = { ...header, end: { state: "broken" as const, reason: "its log is cut off" } };
      const root = junitOf(reportOf([passed("node-min-vcpus")], { header: broken })).documentElement!;
      expect(root.getAttribute("errors")).to.equal("1");
      expect(root.getElementsByTagName("error")[0]?.textContent).to.include("its log is cut off");
    });
  });
});
