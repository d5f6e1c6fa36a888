import { conclusionOf, type Conclusion } from "./conclusion";
import { PLANNED, UNTOLD } from "./model";
import type { Header, Report, RuleResult, Status } from "./model";

/** Words shared by the renderings. */
export const STATUS_TEXT: Readonly<Record<Status, string>> = {
  fail: "Fail",
  "not-evaluated": "Not evaluated",
  pass: "Pass",
  "not-applicable": "Not applicable",
  waived: "Waived",
};

export const JUDGED_TEXT: Readonly<Record<Header["judged"], string>> = {
  preview: "preview: the plan, before anything was made",
  deployed: "deployed: what `up` made",
  state: "state of the deployed stack",
};

/** The first words of a report. */
export const CONCLUSION_TEXT: Readonly<Record<Conclusion, string>> = {
  broken: "No verdict",
  blocked: "Blocked",
  failed: "Pulumi failed",
  warned: "Advisory rules failed",
  open: "Nothing failed, not everything was judged",
  clear: "Nothing failed",
};

/** One sentence a reviewer can act on. */
export function verdict(report: Report): string {
  const found = foundSoFar(report);
  const { end } = report.header;
  if (end.state === "running")
    return "No verdict: this run has not ended, or was killed before it could write its report.";
  if (end.state === "broken")
    return `No verdict: the run did not end well: ${end.reason}. ${found === "" ? "" : `Until then: ${found}. `}What was not judged is not known to hold.`;
  return `${found}.`;
}

function foundSoFar(report: Report): string {
  const { counts, blocking, header, complete } = report;
  const rules = report.domains.flatMap(({ rules: ofDomain }) => ofDomain);
  const advisory = rules.filter(
    ({ status, violations }) => status === "fail" && violations.every(({ level }) => level === "advisory"),
  ).length;
  const broken = conclusionOf(report) === "broken";
  const parts: string[] = [];
  if (blocking > 0) parts.push(`${plural(blocking, "violation")} of mandatory rules: blocked`);
  else if (counts.fail === 0 && header.end.state === "ended") parts.push(complete ? "No rule failed" : "No verdict");
  if (advisory > 0) parts.push(`${plural(advisory, "advisory rule")} failed`);
  const open = counts["not-evaluated"];
  const because = (why: string): number => rules.filter(({ gaps }) => gaps.some(({ reason }) => reason === why)).length;
  const [planned, untold] = [because(PLANNED), because(UNTOLD)];
  if (untold > 0) parts.push(`${plural(untold, "rule")} not violated`);
  if (open > untold && !broken)
    parts.push(
      `${plural(open - untold, "rule")} not evaluated${planned > 0 ? ` (${planned} have no policy yet)` : ""}`,
    );
  if (untold === 0 && !broken) parts.push(`${counts.pass} passed`);
  if (header.exitCode !== 0 && blocking === 0 && !broken)
    parts.push(`Pulumi itself failed (exit code ${header.exitCode})`);
  if (!complete && header.end.state === "ended") parts.push("the run ended before all policies had run");
  return parts.join("; ");
}

export function headerRows({ header }: Report): readonly (readonly [string, string])[] {
  return [
    ["Judged", JUDGED_TEXT[header.judged]],
    ["Stack", header.stack],
    ["Environment", header.environment],
    ["Commit", header.commit],
    ["Policy pack", `${header.packName} ${header.packVersion}, ${header.packDigest}`],
    ["Stack file", header.configDigest],
    ["Pulumi CLI", header.cliVersion],
    ["Command", `${header.command} (${header.end.state === "running" ? "not ended" : `exit code ${header.exitCode}`})`],
    ["Time", header.time],
  ];
}

/** "4 resources", or what the rule still needs. */
export function scope(rule: RuleResult): string {
  if (rule.status === "fail") return plural(rule.violations.length, "violation");
  if (rule.status === "pass") return `held for ${plural(rule.passed, "resource")}`;
  if (rule.status === "not-applicable") return "nothing in this stack that it is about";
  const [first] = rule.gaps;
  return rule.gaps.length > 1 ? `${first?.reason ?? ""} (and ${rule.gaps.length - 1} more)` : (first?.reason ?? "");
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
