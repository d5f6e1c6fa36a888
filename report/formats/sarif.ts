import { rulesOf, type Finding, type Report, type RuleResult } from "../model";
import { CONCLUSION_TEXT, scope, verdict } from "../text";

/** GitHub shows 5,000 results of a run; the worst come first. It refuses more than 25,000. */
const MOST_RESULTS = 5000;
/** GitHub takes 20 tags of a rule at most. */
const MOST_TAGS = 20;
/** GitHub's limit of a message is in characters of text that people see; beyond it, it is cut there. */
const MOST_TEXT = 1000;

/** What GitHub calls critical, high, medium and low, by the number in the middle of each. */
const SECURITY_SEVERITY = { critical: "9.5", high: "8.0", medium: "5.5", low: "2.0" } as const;

/**
 * SARIF 2.1.0, in the part of it that GitHub reads: one result a violation, with the line of the stack file that it comes
 * from. A waived violation is a suppressed result. What was not evaluated is a notification, because it is no result.
 */
export function renderSarif(report: Report): string {
  const rules = rulesOf(report);
  const index = new Map(rules.map(({ id }, place) => [id, place]));
  const all = rules
    .flatMap((rule) => [...rule.violations, ...rule.waived].map((finding) => ({ rule, finding })))
    .sort((a, b) => rank(a.finding) - rank(b.finding));
  const shown = all.slice(0, MOST_RESULTS);
  const run = {
    tool: {
      driver: {
        name: "kvmesh",
        version: report.header.pack.version,
        rules: rules.map(descriptor),
      },
    },
    automationDetails: { id: `kvmesh/${report.header.stack}/${report.header.judged}/` },
    columnKind: "utf16CodeUnits",
    invocations: [
      {
        executionSuccessful: report.conclusion !== "broken" && report.conclusion !== "failed",
        exitCode: report.header.exitCode,
        endTimeUtc: report.header.time,
        toolExecutionNotifications: [
          ...runNotifications(report),
          ...rules.flatMap((rule) => openNotification(rule, index.get(rule.id)!)),
          ...(all.length > shown.length
            ? [{ level: "warning", message: { text: `${all.length - shown.length} more results are in the report.` } }]
            : []),
        ],
      },
    ],
    results: shown.map(({ rule, finding }) => result(rule, index.get(rule.id)!, finding)),
  };
  const schema = "https://json.schemastore.org/sarif-2.1.0.json";
  return `${JSON.stringify({ $schema: schema, version: "2.1.0", runs: [run] }, undefined, 2)}\n`;
}

/** Mandatory before advisory, open before waived. */
function rank({ level, waiver }: Finding): number {
  return (waiver ? 2 : 0) + (level === "mandatory" ? 0 : 1);
}

function descriptor({ id, title, severity, level, controls, remedy }: RuleResult) {
  const tags = ["security", ...controls.map((control) => `control/${control}`)].slice(0, MOST_TAGS);
  return {
    id,
    name: id.split(/[-/]/).map(capital).join(""),
    shortDescription: { text: sentence(title) },
    fullDescription: { text: sentence(title) },
    help: {
      text: `${remedy}${controls.length > 0 ? ` Controls: ${controls.join(", ")}.` : ""}`,
      markdown: `${remedy}${controls.length > 0 ? `\n\nControls: ${controls.join(", ")}.` : ""}`,
    },
    defaultConfiguration: { level: level === "mandatory" ? "error" : "warning" },
    properties: { tags, precision: "very-high", "security-severity": SECURITY_SEVERITY[severity] },
  };
}

function result({ id }: RuleResult, ruleIndex: number, finding: Finding) {
  const { subject, found, required, remedy, level, waiver, location, urn, fingerprint } = finding;
  const text = `${subject}: found ${found}.${required === undefined ? "" : ` Required: ${required}.`} ${remedy}`;
  return {
    ruleId: id,
    ruleIndex,
    level: level === "mandatory" ? "error" : "warning",
    message: { text: text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT - 1)}…` : text },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: encodeURI(location.file) }, region: { startLine: location.line } },
        ...(urn !== "" && { logicalLocations: [{ fullyQualifiedName: urn, kind: "resource" }] }),
      },
    ],
    partialFingerprints: { "kvmesh/v1": fingerprint },
    ...(waiver && {
      suppressions: [
        {
          kind: "external",
          status: "accepted",
          justification: `${waiver.reason} Until ${waiver.expires}, by ${waiver.owner} (${waiver.ticket}).`,
        },
      ],
    }),
  };
}

function runNotifications(report: Report) {
  if (report.conclusion !== "broken" && report.conclusion !== "failed") return [];
  const text = `${CONCLUSION_TEXT[report.conclusion]}. ${verdict(report)}`;
  return [{ level: "error", message: { text } }];
}

function openNotification(rule: RuleResult, index: number) {
  if (rule.gaps.length === 0) return [];
  return [
    {
      level: "note",
      associatedRule: { id: rule.id, index },
      message: { text: sentence(`${rule.id} was not evaluated: ${scope({ ...rule, status: "not-evaluated" })}`) },
    },
  ];
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
