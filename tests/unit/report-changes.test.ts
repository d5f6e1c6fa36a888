import { expect } from "chai";
import { withChanges } from "../../report/changes";
import { renderHtml } from "../../report/formats/html";
import { renderMarkdown } from "../../report/formats/markdown";
import type { Changes, Report } from "../../report/model";
import { cannotRun, header, passed, reportOf, stackDone, violation, waiverOf } from "../support/report";

const weights = (name: string, waived = false): ReturnType<typeof violation> =>
  violation(
    "canary-weights",
    `t\nVirtualService ${name}: found 110\nrequired: 100\nremedy: r.${
      waived
        ? "\nwaived: until 2026-12-31 by payments (PAY-7): The old client speaks no TLS; it is gone in December."
        : ""
    }`,
    waived ? "advisory" : "mandatory",
  );

describe("a report against its base", () => {
  const base = reportOf([weights("old"), weights("cured"), weights("excused"), passed("gateway-tls"), stackDone()]);
  const changesOf = (report: Report, against = base): Changes => withChanges(report, against).changes!;
  const subjects = (items: Changes["fixed"]): readonly string[] => items.map(({ subject }) => subject);

  it("names what is new, fixed, newly waived and newly not evaluated", () => {
    const changes = changesOf(
      reportOf([weights("old"), weights("new"), weights("excused", true), cannotRun("gateway-tls"), stackDone()], {
        waivers: waiverOf("canary-weights", "VirtualService excused"),
      }),
    );
    expect(subjects(changes.newFailures)).to.deep.equal(["VirtualService new"]);
    expect(subjects(changes.fixed)).to.deep.equal(["VirtualService cured"]);
    expect(subjects(changes.newlyWaived)).to.deep.equal(["VirtualService excused"]);
    expect(changes.newlyNotEvaluated.map(({ rule }) => rule)).to.deep.equal(["gateway-tls"]);
    expect(changes.newWaivers.map(({ resource }) => resource)).to.deep.equal(["VirtualService excused"]);
    expect(changes.configuration).to.deep.equal(["the file of waivers is not the base's"]);
  });

  it("calls nothing fixed that was not judged", () => {
    expect(subjects(changesOf(reportOf([passed("gateway-tls")])).fixed)).to.deep.equal([]);
    // The same resources, with a value that isn't known yet.
    expect(subjects(changesOf(reportOf([cannotRun("canary-weights"), stackDone()])).fixed)).to.deep.equal([]);
    const whole = violation("canary-weights", "t\nthe stack: not evaluated: unseen", "advisory");
    expect(subjects(changesOf(reportOf([whole, stackDone()])).fixed)).to.deep.equal([]);
  });

  it("says that the judge itself is another", () => {
    const other = reportOf([stackDone()], {
      header: { ...header, pack: { ...header.pack, digest: "sha256:cc" }, environment: "development" },
    });
    expect(changesOf(other).configuration).to.deep.equal([
      "the policy pack's code is not the base's",
      "environment: production → development",
    ]);
  });

  it("puts new waivers and failures first", () => {
    const report = withChanges(
      reportOf([weights("new"), weights("excused", true), stackDone()], {
        waivers: waiverOf("canary-weights", "VirtualService excused"),
      }),
      base,
    );
    const markdown = renderMarkdown(report);
    const order = ["### New waivers", "### Against the base", "New failures: 1", "### ❌ canary-weights"];
    const places = order.map((text) => markdown.indexOf(text));
    expect(places).to.not.include(-1);
    expect(places).to.deep.equal([...places].sort((a, b) => a - b));
    expect(renderHtml(report)).to.include("<strong>New:</strong>").and.include("New failures: 1");
  });

  it("says so when nothing changes", () => {
    expect(renderMarkdown(withChanges(base, base))).to.include("No verdict changes");
  });
});
