import {
  rulesOf,
  STATUSES,
  type Changes,
  type Conclusion,
  type Finding,
  type Plan,
  type Reference,
  type Report,
  type RuleResult,
  type Status,
} from "../model";
import {
  cautions,
  CONCLUSION_TEXT,
  creations,
  evidenceText,
  findingKey,
  grouped,
  headerRows,
  plural,
  planSummary,
  scope,
  STATUS_TEXT,
  stepText,
  subjectsText,
  verdict,
} from "../text";

const ICON: Readonly<Record<Status, string>> = {
  fail: "❌",
  "not-evaluated": "⚪",
  waived: "🔶",
  pass: "✅",
  "not-applicable": "➖",
  planned: "🕓",
};

const SIGN: Readonly<Record<Conclusion, string>> = {
  broken: "⛔",
  blocked: "❌",
  failed: "❌",
  warned: "⚠️",
  open: "⚪",
  clear: "✅",
};

/** GitHub takes 65,536 characters of a comment. */
const MOST_CHARACTERS = 60_000;
const MOST_FINDINGS = 25;
const MOST_STEPS = 40;

/**
 * For a pull request: the verdict, what it changes against its base, what to do first, then the plan in words. The whole
 * table is folded away, and left out where it would not fit into a comment.
 */
export function renderMarkdown(report: Report): string {
  const { conclusion, header, changes, plan } = report;
  const first = [
    `## ${SIGN[conclusion]} ${CONCLUSION_TEXT[conclusion]}: policy report of ${escape(header.stack)}`,
    `**${escape(verdict(report))}**`,
    STATUSES.map((status) => `${ICON[status]} ${report.counts[status]} ${STATUS_TEXT[status].toLowerCase()}`).join(
      " · ",
    ),
    ...cautions(report).map((text) => `> ⚠️ ${escape(text)}`),
    ...waivers(report),
    ...(changes ? [againstBase(changes)] : []),
  ];
  const body = [...findings(report), ...(plan ? [planSection(report, plan)] : [])];
  const tables = details(
    "All rules",
    report.domains.map(({ name, rules }) => `#### ${escape(name)}\n\n${table(rules)}`).join("\n\n"),
  );
  const last = [
    details(
      "This run",
      ["| | |", "|---|---|", ...headerRows(report).map((cells) => row(cells.map(escape)))].join("\n"),
    ),
    `<sub>${escape(report.disclaimer)}</sub>`,
  ];
  return fitting(first, [...body, tables], last);
}

/** Sections of the middle are left out from the end on until the text fits, and the reader is told. */
function fitting(first: readonly string[], middle: readonly string[], last: readonly string[]): string {
  const text = (kept: readonly string[], note: readonly string[]): string =>
    `${[...first, ...kept, ...note, ...last].join("\n\n")}\n`;
  for (let count = middle.length; count >= 0; count -= 1) {
    const left = middle.length - count;
    const note = left === 0 ? [] : [`_${plural(left, "section")} did not fit here; the HTML report has everything._`];
    const whole = text(middle.slice(0, count), note);
    if (whole.length <= MOST_CHARACTERS || count === 0) return whole;
  }
  return text([], []);
}

/** Waivers stand first: whoever reviews a pull request accepts them. */
function waivers({ waivers: file, changes }: Report): readonly string[] {
  const added = changes?.newWaivers ?? [];
  const entry = ({ rule, resource, owner, expires, ticket, reason, where }: (typeof file.entries)[number]): string =>
    `- 🔶 **${escape(rule)}** on ${escape(resource)} until ${escape(expires)}, by ${escape(owner)} (${escape(ticket)}, ${escape(where)}): ${escape(reason)}`;
  return [
    ...(added.length > 0 ? [["### New waivers: approving this accepts them", "", ...added.map(entry)].join("\n")] : []),
    ...(file.findings.length > 0
      ? [
          [
            "### Waivers to mend",
            "",
            ...file.findings.map(
              ({ where, rule, text }) =>
                `- ⚠️ ${escape(where)}${rule === undefined ? "" : ` (${escape(rule)})`}: ${escape(text)}`,
            ),
          ].join("\n"),
        ]
      : []),
  ];
}

function againstBase(changes: Changes): string {
  const group = (icon: string, title: string, items: readonly Reference[]): string[] =>
    items.length === 0
      ? []
      : [
          `**${icon} ${title}: ${items.length}**`,
          list(
            grouped(items, ({ rule, text }) => [rule, text]).map(
              ({ item: { rule, text }, subjects }) =>
                `- \`${rule}\` ${escape(subjectsText(subjects))}: ${withCode(text)}`,
            ),
          ),
        ];
  const groups = [
    ...group(ICON.fail, "New failures", changes.newFailures),
    ...group(ICON["not-evaluated"], "Newly not evaluated", changes.newlyNotEvaluated),
    ...group(ICON.waived, "Newly waived", changes.newlyWaived),
    ...group(ICON.pass, "Fixed", changes.fixed),
  ];
  return [
    `### Against the base (${escape(changes.base.commit.slice(0, 12))})`,
    ...changes.configuration.map((text) => `> ⚠️ ${escape(text)}`),
    ...(groups.length === 0 ? ["No verdict changes."] : groups),
  ].join("\n\n");
}

function findings(report: Report): readonly string[] {
  const rules = rulesOf(report);
  const failed = rules.filter(({ status }) => status === "fail");
  const waived = rules.filter((rule) => rule.waived.length > 0);
  const open = rules.filter(({ gaps }) => gaps.some(({ subject }) => subject !== ""));
  return [
    ...failed.map(failure),
    ...(waived.length > 0 ? [["### Waived", ...waived.map(waivedRule)].join("\n\n")] : []),
    ...(open.length > 0 ? [["### Not evaluated", ...open.map(openRule)].join("\n\n")] : []),
  ];
}

function failure(rule: RuleResult): string {
  const level = rule.violations.some(({ level: one }) => one === "mandatory") ? "mandatory, blocks" : "advisory";
  const controls = rule.controls.length > 0 ? ` · ${rule.controls.map(escape).join(", ")}` : "";
  return [
    `### ${level === "advisory" ? "⚠️" : ICON.fail} ${escape(rule.id)}`,
    `${escape(rule.title)} _(${level}, ${rule.severity}${controls})_`,
    list(grouped(rule.violations, findingKey).map(({ item, subjects }) => violation(rule, item, subjects))),
  ].join("\n\n");
}

function violation(rule: RuleResult, finding: Finding, subjects: readonly string[]): string {
  const { found, required, remedy, location, evidence } = finding;
  return [
    `- **${escape(subjectsText(subjects))}**: ${escape(found)}`,
    ...(required === undefined ? [] : [`  required: ${escape(required)}`]),
    ...(evidence === undefined ? [] : [`  evidence: ${escape(evidenceText(evidence))}`]),
    `  remedy: ${withCode(remedy === "" ? rule.remedy : remedy)}`,
    `  in ${escape(location.file)}, line ${location.line}${location.key === "" ? "" : ` (${escape(location.key)})`}`,
  ].join("  \n");
}

function waivedRule(rule: RuleResult): string {
  return list(
    grouped(rule.waived, findingKey).map(
      ({ item: { found, waiver }, subjects }) =>
        `- ${ICON.waived} **${escape(rule.id)}** on ${escape(subjectsText(subjects))}: ${escape(found)}  \n  until ${escape(waiver?.expires ?? "")}, by ${escape(waiver?.owner ?? "")} (${escape(waiver?.ticket ?? "")}): ${escape(waiver?.reason ?? "")}`,
    ),
  );
}

function openRule(rule: RuleResult): string {
  const gaps = rule.gaps.filter(({ subject }) => subject !== "");
  return list(
    grouped(gaps, ({ reason }) => reason).map(
      ({ item: { reason }, subjects }) =>
        `- ${ICON["not-evaluated"]} **${escape(rule.id)}** on ${escape(subjectsText(subjects))}: ${withCode(reason)}`,
    ),
  );
}

/** What is beyond is in the HTML report. */
function list(lines: readonly string[]): string {
  const left = lines.length - MOST_FINDINGS;
  return [...lines.slice(0, MOST_FINDINGS), ...(left > 0 ? [`- … and ${left} more: see the HTML report`] : [])].join(
    "\n",
  );
}

function planSection(report: Report, plan: Plan): string {
  const title = report.header.judged === "preview" ? "The plan" : "What was done";
  const steps = plan.steps.filter(({ op }) => op !== "create");
  const made = creations(plan);
  const lines = [
    ...steps
      .slice(0, MOST_STEPS)
      .map((step) => `- ${step.op === "delete" || step.op === "replace" ? "⚠️ " : ""}${escape(stepText(step))}`),
    ...(steps.length > MOST_STEPS ? [`- … and ${steps.length - MOST_STEPS} more`] : []),
  ];
  const created = made.length === 0 ? [] : [details("Created", made.map((line) => `- ${escape(line)}`).join("\n"))];
  return [
    `### ${title}`,
    escape(planSummary(report)),
    ...(lines.length > 0 ? [lines.join("\n")] : []),
    ...created,
  ].join("\n\n");
}

function table(rules: readonly RuleResult[]): string {
  const rows = rules.map((rule) =>
    row([
      `${ICON[rule.status]} ${STATUS_TEXT[rule.status]}`,
      `\`${rule.id}\``,
      escape(rule.title),
      rule.level,
      escape(rule.controls.join(", ")),
      [withCode(scope(rule)), ...rule.evidence.map((one) => escape(evidenceText(one)))].join("<br>"),
    ]),
  );
  return [
    row(["Result", "Rule", "What it checks", "Level", "Controls", "Evidence"]),
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
    .map((part, index) => (index % 2 === 1 && /^[^`|\r\n]+$/.test(part) ? `\`${part}\`` : escape(part)))
    .join("");
}

/** Names and values come from the stack: they must not become markup, mentions, links or table cells. */
export function escape(text: string): string {
  return text
    .replace(/[\r\n]+/g, " ")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/[\\`*_[\]|~#]/g, "\\$&")
    .replace(/@/g, "&#64;");
}
