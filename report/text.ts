import { rulesOf } from "./model";
import type { Conclusion, EvidenceRef, Finding, Header, Plan, Report, RuleResult, Status, Step } from "./model";

/** Words shared by the formats. */
export const STATUS_TEXT: Readonly<Record<Status, string>> = {
  fail: "Fail",
  "not-evaluated": "Not evaluated",
  waived: "Waived",
  pass: "Pass",
  "not-applicable": "Not applicable",
  planned: "Planned",
};

export const JUDGED_TEXT: Readonly<Record<Header["judged"], string>> = {
  preview: "preview: the plan, before anything was made",
  deployed: "deployed: what `up` made",
  state: "state of the deployed stack",
};

const STATE_TEXT: Readonly<Record<Header["state"], string>> = {
  own: "the stack's own",
  none: "none: from committed facts alone",
  file: "an exported file, without login",
};

/** The first words of a report. */
export const CONCLUSION_TEXT: Readonly<Record<Conclusion, string>> = {
  broken: "No verdict",
  blocked: "Blocked",
  failed: "Pulumi failed",
  warned: "Warnings",
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
  const { counts, blocking, complete, conclusion, planned } = report;
  const { end, exitCode } = report.header;
  const broken = conclusion === "broken";
  const advisory = rulesOf(report).filter(
    ({ status, violations }) => status === "fail" && violations.every(({ level }) => level === "advisory"),
  ).length;
  const parts: string[] = [];
  if (conclusion === "failed")
    parts.push(`Pulumi failed, and not for a rule (exit code ${exitCode}); its own words say why`);
  if (blocking > 0) parts.push(`${plural(blocking, "violation")} of mandatory rules: blocked`);
  else if (counts.fail === 0 && end.state === "ended" && complete) parts.push("No rule failed");
  else if (broken && end.state === "ended") parts.push("No verdict");
  if (advisory > 0) parts.push(`${plural(advisory, "advisory rule")} failed`);
  if (counts.waived > 0) parts.push(`${plural(counts.waived, "rule")} waived`);
  if (report.waivers.findings.length > 0) parts.push(`${plural(report.waivers.findings.length, "waiver")} to mend`);
  if (!broken) {
    if (counts["not-evaluated"] > 0) parts.push(`${plural(counts["not-evaluated"], "rule")} not evaluated`);
    parts.push(`${counts.pass} passed`);
    if (planned > 0) parts.push(`${planned} planned (no policy yet, not counted)`);
  }
  if (!complete && end.state === "ended") parts.push("the run ended before all policies had run");
  return parts.join("; ");
}

export function headerRows({ header, waivers }: Report): readonly (readonly [string, string])[] {
  const { pack, packConfig, stackFile, end } = header;
  const ended = end.state === "running" ? "not ended" : `exit code ${header.exitCode}`;
  return [
    ["Judged", JUDGED_TEXT[header.judged]],
    ["State read", STATE_TEXT[header.state]],
    ["Stack", header.stack],
    ["Environment", header.environment],
    ["Commit", header.commit],
    ["Policy pack", `${pack.name} ${pack.version}, ${pack.folder}, ${pack.digest}`],
    ["Pack's configuration", packConfig.digest === "none" ? "none" : packConfig.digest],
    ...packConfig.settings.map(({ rule, text }): readonly [string, string] => [`— ${rule}`, text]),
    ["Stack file", `${stackFile.path}, ${stackFile.digest}`],
    ["Waivers", waivers.digest === "none" ? "none" : `${waivers.file}, ${waivers.digest}`],
    ["Pulumi CLI", header.cliVersion],
    ["Command", `${header.command} (${ended})`],
    ["Time of evaluation", header.time],
    ...header.notes.map((note): readonly [string, string] => ["Note", note]),
  ];
}

/** What a reader must know before the verdicts: settings that weaken the pack, and what the run could not see. */
export function cautions({ header }: Report): readonly string[] {
  const weakened = header.packConfig.settings.map(({ rule, text }) => `${rule}: ${text}`);
  return [
    ...header.notes,
    ...(weakened.length > 0 ? [`The pack's configuration changes what is judged: ${weakened.join("; ")}.`] : []),
  ];
}

/** "4 resources", or what the rule still needs. */
export function scope(rule: RuleResult): string {
  if (rule.status === "fail") return plural(rule.violations.length, "violation");
  if (rule.status === "pass") return `held for ${plural(rule.passed, "resource")}`;
  if (rule.status === "not-applicable") return "nothing in this stack that it is about";
  if (rule.status === "planned") return "there is no policy for this rule yet";
  if (rule.status === "waived") {
    const until = [...new Set(rule.waived.map(({ waiver }) => waiver?.expires ?? ""))].sort();
    return `${plural(rule.waived.length, "violation")}, accepted until ${until[0] ?? ""}`;
  }
  const [first] = rule.gaps;
  const where = first === undefined || first.subject === "" ? "" : `${first.subject}: `;
  return `${where}${first?.reason ?? ""}${rule.gaps.length > 1 ? ` (and ${rule.gaps.length - 1} more)` : ""}`;
}

export function evidenceText({ what, on, takenAt, digest }: EvidenceRef): string {
  return `${what}; measured on ${on} at ${takenAt}, ${digest}`;
}

const OP_TEXT: Readonly<Record<Step["op"], readonly [string, string]>> = {
  delete: ["to delete", "deleted"],
  replace: ["to replace", "replaced"],
  change: ["to change", "changed"],
  create: ["to create", "created"],
};

/** "1 to replace, 2 to change, 104 unchanged"; of what `up` made, what was done. */
export function planSummary({ plan, header, complete }: Report): string {
  if (plan === undefined) return "";
  const { judged } = header;
  const parts = (["delete", "replace", "change", "create"] as const).flatMap((op) => {
    const count = plan.steps.filter((step) => step.op === op).length;
    return count === 0 ? [] : [`${count} ${OP_TEXT[op][judged === "preview" ? 0 : 1]}`];
  });
  const failed = plan.steps.filter(({ ended }) => ended === "failed").length;
  const begun = plan.steps.filter(({ ended }) => ended === "begun").length;
  if (failed > 0) parts.push(`${failed} of them failed`);
  if (begun > 0) parts.push(`${begun} of them begun and not ended`);
  const until = complete ? "" : "Until the run ended: ";
  if (parts.length === 0) return complete ? "Nothing changes." : `${until}nothing.`;
  return `${until}${parts.join(", ")}; ${plan.same} unchanged.`;
}

const VERB: Readonly<Record<Step["op"], string>> = {
  delete: "Delete",
  replace: "Replace",
  change: "Change",
  create: "Create",
};

/** A step in words: what, and why. */
export function stepText({ op, kind, name, changes, ended }: Step): string {
  const decisive =
    op === "replace" && changes.some(({ replaces }) => replaces) ? changes.filter((c) => c.replaces) : changes;
  const details = decisive.map(({ path, values }) => (values ? `${path} ${values[0]} → ${values[1]}` : path));
  const shown = details.slice(0, 6).join(", ") + (details.length > 6 ? ` and ${details.length - 6} more` : "");
  const why = shown === "" ? "" : op === "replace" ? `, because of ${shown}` : `: ${shown}`;
  const end = ended === "failed" ? " (failed)" : ended === "begun" ? " (begun, not ended)" : "";
  return `${VERB[op]} ${kind} ${name}${op === "create" ? "" : why}${end}`;
}

/** Creations by kind: "6 × Domain: a, b, …". */
export function creations(plan: Plan): readonly string[] {
  const names = new Map<string, string[]>();
  for (const { op, kind, name } of plan.steps) if (op === "create") names.set(kind, [...(names.get(kind) ?? []), name]);
  return [...names].map(([kind, all]) => {
    const shown = all.slice(0, 8).join(", ") + (all.length > 8 ? ` and ${all.length - 8} more` : "");
    return `${all.length} × ${kind}: ${shown}`;
  });
}

/** Items that say the same of several resources are told once; in the order of the first of each. */
export function grouped<T extends { readonly subject: string }>(
  items: readonly T[],
  same: (item: T) => unknown,
): readonly { readonly item: T; readonly subjects: readonly string[] }[] {
  const groups = new Map<string, { readonly item: T; readonly subjects: string[] }>();
  for (const item of items) {
    const key = JSON.stringify(same(item));
    const group = groups.get(key) ?? { item, subjects: [] };
    groups.set(key, group);
    if (!group.subjects.includes(item.subject)) group.subjects.push(item.subject);
  }
  return [...groups.values()];
}

/** What is the same of findings that are told once. */
export function findingKey({ found, required, remedy, level, location, evidence, waiver }: Finding): unknown {
  return [found, required, remedy, level, location, evidence, waiver];
}

const MOST_NAMES = 12;

/** "Domain web-0, web-1; Machine web-0": the kind once for all of it. */
export function subjectsText(subjects: readonly string[]): string {
  const kinds = new Map<string, string[]>();
  for (const subject of subjects.slice(0, MOST_NAMES)) {
    const [kind = "", ...name] = subject.split(" ");
    kinds.set(kind, [...(kinds.get(kind) ?? []), name.join(" ")]);
  }
  const text = [...kinds].map(([kind, names]) => `${kind} ${names.join(", ")}`.trim()).join("; ");
  return subjects.length > MOST_NAMES ? `${text} and ${subjects.length - MOST_NAMES} more` : text;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
