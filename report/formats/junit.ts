import { CONCLUSION_TEXT, scope, verdict } from "../text";
import type { DomainResult, Report, RuleResult } from "../model";

/**
 * JUnit XML: a suite a domain, a case a rule. What was not evaluated is skipped, never passed; so is what is waived.
 * Rules that the run has nothing for, and planned ones, are no cases. A run that did not end well is an error.
 */
export function renderJunit(report: Report): string {
  const suites = [runSuite(report), ...report.domains.map((domain) => suite(domain, report.header.time))];
  const total = (key: keyof Counts): number => suites.reduce((sum, { counts }) => sum + counts[key], 0);
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="${escape(`kvmesh policies: ${report.header.stack}`)}" tests="${total("tests")}" failures="${total("failures")}" errors="${total("errors")}" skipped="${total("skipped")}" time="0">
${suites.map(({ xml }) => xml).join("\n")}
</testsuites>
`;
}

interface Counts {
  readonly tests: number;
  readonly failures: number;
  readonly errors: number;
  readonly skipped: number;
}

interface Suite {
  readonly counts: Counts;
  readonly xml: string;
}

function runSuite(report: Report): Suite {
  const bad = report.conclusion === "broken" || report.conclusion === "failed";
  const error = `<error type="${report.conclusion}" message="${escape(CONCLUSION_TEXT[report.conclusion])}">${escape(verdict(report))}</error>`;
  const counts = { tests: 1, failures: 0, errors: bad ? 1 : 0, skipped: 0 };
  const cases = [
    `    <testcase classname="The run" name="ended well and judged every rule" time="0">${bad ? error : ""}</testcase>`,
  ];
  return { counts, xml: suiteXml("The run", report.header.time, counts, cases) };
}

function suite({ name, rules }: DomainResult, time: string): Suite {
  const judged = rules.filter(({ status }) => status !== "not-applicable" && status !== "planned");
  const of = (...statuses: readonly string[]): number =>
    judged.filter(({ status }) => statuses.includes(status)).length;
  const counts = { tests: judged.length, failures: of("fail"), errors: 0, skipped: of("not-evaluated", "waived") };
  return {
    counts,
    xml: suiteXml(
      name,
      time,
      counts,
      judged.map((rule) => testCase(name, rule)),
    ),
  };
}

function suiteXml(name: string, time: string, counts: Counts, cases: readonly string[]): string {
  const { tests, failures, errors, skipped } = counts;
  return `  <testsuite name="${escape(name)}" timestamp="${escape(time)}" tests="${tests}" failures="${failures}" errors="${errors}" skipped="${skipped}" time="0">
${cases.join("\n")}
  </testsuite>`;
}

function testCase(domain: string, rule: RuleResult): string {
  return `    <testcase classname="${escape(domain)}" name="${escape(`${rule.id}: ${rule.title}`)}" time="0">${outcome(rule)}</testcase>`;
}

function outcome(rule: RuleResult): string {
  if (rule.status === "fail") {
    const lines = rule.violations.map(
      ({ subject, found, required, remedy, location: { file, line } }) =>
        `${subject} (${file}:${line}): found ${found}${required === undefined ? "" : `; required: ${required}`}; remedy: ${remedy}`,
    );
    const level = rule.violations.some((violation) => violation.level === "mandatory") ? "mandatory" : "advisory";
    return `<failure type="${level}" message="${escape(scope(rule))}">${escape(lines.join("\n"))}</failure>`;
  }
  if (rule.status === "waived") {
    const lines = rule.waived.map(
      ({ subject, found, waiver }) =>
        `${subject}: ${found}; waived until ${waiver?.expires ?? ""} by ${waiver?.owner ?? ""} (${waiver?.ticket ?? ""})`,
    );
    return `<skipped message="${escape(`waived: ${lines.join("; ")}`)}"/>`;
  }
  if (rule.status === "not-evaluated") return `<skipped message="${escape(`not evaluated: ${scope(rule)}`)}"/>`;
  return "";
}

/** For text and attributes; characters that XML 1.0 can't hold become a question mark. */
export function escape(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])/g, "?")
    .replace(/(?<![\ud800-\udbff])[\udc00-\udfff]/g, "?")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/[\r\n\t]+/g, (blank) => (blank.includes("\n") ? "&#10;" : " "));
}
