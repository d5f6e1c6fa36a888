import { STATUSES, urnParts, type Report, type RuleResult, type Status } from "./model";
import { conclusionOf, type Conclusion } from "./conclusion";
import { CONCLUSION_TEXT, headerRows, scope, STATUS_TEXT, verdict } from "./text";

const ICON: Readonly<Record<Status, string>> = {
  fail: "❌",
  "not-evaluated": "⚪",
  waived: "🔶",
  pass: "✅",
  "not-applicable": "➖",
};

const SIGN: Readonly<Record<Conclusion, string>> = {
  broken: "⛔",
  blocked: "❌",
  failed: "❌",
  warned: "⚠️",
  open: "⚪",
  clear: "✅",
};

/** For a pull request: the verdict and what to do first, the whole table folded away. */
export function renderMarkdown(report: Report): string {
  const rules = report.domains.flatMap(({ rules: ofDomain }) => ofDomain);
  const failed = rules.filter(({ status }) => status === "fail");
  const open = rules.filter(({ status, gaps }) => status === "not-evaluated" && gaps.some(({ urn }) => urn !== ""));
  const conclusion = conclusionOf(report);
  const sections = [
    `## ${SIGN[conclusion]} ${CONCLUSION_TEXT[conclusion]}: policy report of ${escape(report.header.stack)}`,
    `**${escape(verdict(report))}**`,
    STATUSES.map((status) => `${ICON[status]} ${report.counts[status]} ${STATUS_TEXT[status].toLowerCase()}`).join(
      " · ",
    ),
    ...failed.map(failure),
    ...(open.length > 0 ? ["### Not evaluated", ...open.map(openRule)] : []),
    details("All rules", report.domains.map(({ name, rules: all }) => `#### ${name}\n\n${table(all)}`).join("\n\n")),
    details(
      "This run",
      ["| | |", "|---|---|", ...headerRows(report).map(([key, value]) => row([key, escape(value)]))].join("\n"),
    ),
    `<sub>${escape(report.disclaimer)}</sub>`,
  ];
  return `${sections.join("\n\n")}\n`;
}

function failure(rule: RuleResult): string {
  const level = rule.violations.some(({ level: one }) => one === "mandatory") ? "mandatory, blocks" : "advisory";
  const controls = rule.controls.length > 0 ? ` · ${rule.controls.map(escape).join(", ")}` : "";
  return [
    `### ${ICON.fail} ${rule.id}`,
    `${escape(rule.title)} _(${level}, ${rule.severity}${controls})_`,
    ...rule.violations.map(({ urn, subject, found, required, remedy }) =>
      [
        `- **${escape(subject ?? urnParts(urn).name)}**: ${escape(found)}`,
        ...(required === undefined ? [] : [`  required: ${escape(required)}`]),
        `  remedy: ${withCode(remedy === "" ? rule.remedy : remedy)}`,
      ].join("  \n"),
    ),
  ].join("\n\n");
}

function openRule(rule: RuleResult): string {
  return rule.gaps
    .map(
      ({ urn, reason }) =>
        `- ${ICON["not-evaluated"]} **${rule.id}** on ${escape(urnParts(urn).name || "the stack")}: ${escape(reason)}`,
    )
    .join("\n");
}

function table(rules: readonly RuleResult[]): string {
  const rows = rules.map((rule) =>
    row([
      `${ICON[rule.status]} ${STATUS_TEXT[rule.status]}`,
      `\`${rule.id}\``,
      escape(rule.title),
      rule.level,
      escape(rule.controls.join(", ")),
      escape(scope(rule)),
    ]),
  );
  return [
    row(["Status", "Rule", "What it checks", "Level", "Controls", "Evidence"]),
    "|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}

function details(title: string, body: string): string {
  return `<details><summary>${title}</summary>\n\n${body}\n\n</details>`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** Remedies hold settings in backquotes. */
function withCode(text: string): string {
  return text
    .split("`")
    .map((part, index) => (index % 2 === 1 ? `\`${part}\`` : escape(part)))
    .join("");
}

/** Names and values come from the stack: they must not become markup, mentions or table cells. */
export function escape(text: string): string {
  return text
    .replace(/[\r\n]+/g, " ")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/[\\`*_[\]|~#]/g, "\\$&")
    .replace(/@/g, "&#64;");
}
