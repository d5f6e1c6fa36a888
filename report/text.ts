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

/** One sentence a reviewer can act on. */
export function verdict(report: Report): string {
  const { counts, blocking } = report;
  const rules = report.domains.flatMap(({ rules: ofDomain }) => ofDomain);
  const advisory = rules.filter(
    ({ status, violations }) => status === "fail" && violations.every(({ level }) => level === "advisory"),
  ).length;
  const parts: string[] = [];
  if (blocking > 0) parts.push(`${plural(blocking, "violation")} of mandatory rules: blocked`);
  else if (counts.fail === 0) parts.push(report.complete ? "No rule failed" : "No verdict");
  if (advisory > 0) parts.push(`${plural(advisory, "advisory rule")} failed`);
  const open = counts["not-evaluated"];
  const because = (why: string): number => rules.filter(({ gaps }) => gaps.some(({ reason }) => reason === why)).length;
  const [planned, untold] = [because(PLANNED), because(UNTOLD)];
  if (untold > 0) parts.push(`${plural(untold, "rule")} not violated`);
  if (open > untold)
    parts.push(
      `${plural(open - untold, "rule")} not evaluated${planned > 0 ? ` (${planned} have no policy yet)` : ""}`,
    );
  if (untold === 0) parts.push(`${counts.pass} passed`);
  if (report.header.exitCode !== 0 && blocking === 0)
    parts.push(`Pulumi itself failed (exit code ${report.header.exitCode})`);
  if (!report.complete) parts.push("the run ended before all policies had run");
  return `${parts.join("; ")}.`;
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
    ["Command", `${header.command} (exit code ${header.exitCode})`],
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
