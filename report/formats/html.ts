import { createHash } from "node:crypto";
import { rulesOf, STATUSES, type DomainResult, type Finding, type Report, type RuleResult } from "../model";
import {
  cautions,
  CONCLUSION_TEXT,
  evidenceText,
  findingKey,
  grouped,
  headerRows,
  JUDGED_TEXT,
  plural,
  scope,
  STATUS_TEXT,
  subjectsText,
  verdict,
} from "../text";
import { filterForm, SCRIPT } from "./html-filter";
import { changesSection, evidenceSection, planSection, waiversSection } from "./html-sections";
import { STYLE } from "./html-style";
import { code, escape, places } from "./html-text";

const SCRIPT_HASH = createHash("sha256").update(SCRIPT).digest("base64");

/** One file that needs nothing else: no font, no picture from elsewhere. Its one script filters; without it all is shown. */
export function renderHtml(report: Report): string {
  const { conclusion } = report;
  const title = `${CONCLUSION_TEXT[conclusion]}: policy report of ${report.header.stack}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${SCRIPT_HASH}'">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#rules">Skip to the rules</a>
<header>
<p class="eyebrow">kvmesh policy report</p>
<h1>${escape(report.header.stack)} <span class="environment">${escape(report.header.environment)}</span></h1>
<p class="about">${escape(about(report))}</p>
<p class="verdict ${conclusion}">${escape(verdict(report))}</p>
${cautions(report)
  .map((text) => `<p class="caution">${escape(text)}</p>`)
  .join("\n")}
${tiles(report)}
</header>
<main>
${waiversSection(report)}
${changesSection(report)}
${filterForm(report)}
${findings(report)}
${planSection(report)}
<section id="rules" aria-labelledby="rules-title">
<h2 id="rules-title">All rules</h2>
${report.domains.map(domainTable).join("\n")}
</section>
${evidenceSection(report)}
<section aria-labelledby="run-title">
<h2 id="run-title">This run</h2>
<dl class="run">${headerRows(report)
    .map(([key, value]) => `<div><dt>${escape(key)}</dt><dd>${escape(value)}</dd></div>`)
    .join("")}</dl>
</section>
</main>
<footer><p>${escape(report.disclaimer)}</p><p>${LEGEND}</p></footer>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function about({ header }: Report): string {
  return `${JUDGED_TEXT[header.judged]} · commit ${header.commit.slice(0, 12)} · pack ${header.pack.name} ${header.pack.version} · ${header.time}`;
}

const LEGEND =
  "Not evaluated is no pass: a value was not known yet, something could not be looked into, the evidence is too old, or the run ended " +
  "early. Not applicable: nothing in this stack is what the rule is about. Planned: there is no policy for the rule yet; it is not " +
  "counted. Controls: CIS Kubernetes Benchmark 1.12, ISO/IEC 27001:2022 Annex A, GDPR, NIS2 Art. 21(2).";

function tiles(report: Report): string {
  const tile = (status: (typeof STATUSES)[number]): string =>
    `<li class="tile ${status}${report.counts[status] === 0 ? " none" : ""}"><span class="count">${report.counts[status]}</span> <span>${STATUS_TEXT[status]}</span></li>`;
  return `<ul class="tiles" aria-label="Rules by result">${STATUSES.map(tile).join("")}</ul>`;
}

/** What needs a person: failures first, then what is waived, then what could not be judged on a named resource. */
function findings(report: Report): string {
  const rules = rulesOf(report);
  const cards = [
    ...rules.filter(({ status }) => status === "fail").map(failure),
    ...rules.filter(({ waived }) => waived.length > 0).map(waivedRule),
    ...rules.filter(({ gaps }) => gaps.some(({ subject }) => subject !== "")).map(openRule),
  ];
  if (cards.length === 0) return "";
  return `<section aria-labelledby="findings-title">
<h2 id="findings-title">To look at</h2>
${cards.join("\n")}
</section>`;
}

function failure(rule: RuleResult): string {
  const blocks = rule.violations.some(({ level }) => level === "mandatory");
  return `<article class="card ${blocks ? "fail" : "advisory"}" id="${escape(rule.id)}"${data(rule)}>
<h3>${chip(rule)} <code>${escape(rule.id)}</code></h3>
<p class="title">${escape(rule.title)}</p>
<p class="meta">${blocks ? "Mandatory: blocks the run" : "Advisory"} · severity ${rule.severity}${controls(rule)}</p>
<ul class="violations">${groupedFindings(rule, rule.violations)}</ul>
</article>`;
}

function waivedRule(rule: RuleResult): string {
  return `<article class="card waived"${data({ ...rule, status: "waived" })}>
<h3><span class="chip waived">${STATUS_TEXT.waived}</span> <code>${escape(rule.id)}</code></h3>
<p class="title">${escape(rule.title)}</p>
<p class="meta">Violated, and accepted until a day · severity ${rule.severity}${controls(rule)}</p>
<ul class="violations">${groupedFindings(rule, rule.waived)}</ul>
</article>`;
}

function groupedFindings(rule: RuleResult, findings: readonly Finding[]): string {
  return grouped(findings, findingKey)
    .map(({ item, subjects }) => violation(rule, item, subjects))
    .join("\n");
}

function violation(rule: RuleResult, finding: Finding, subjects: readonly string[]): string {
  const { found, required, remedy, evidence, waiver } = finding;
  const line = (name: string, html: string | undefined): string =>
    html === undefined ? "" : `<div><dt>${name}</dt><dd>${html}</dd></div>`;
  return `<li>
<h4>${escape(subjectsText(subjects))}</h4>
<dl class="finding">${line("Found", escape(found))}${line("Required", required && escape(required))}${line("Evidence", evidence && escape(evidenceText(evidence)))}${line(
    "Waived",
    waiver && escape(`until ${waiver.expires}, by ${waiver.owner} (${waiver.ticket}): ${waiver.reason}`),
  )}${line("Remedy", code(remedy === "" ? rule.remedy : remedy))}${line("Where", places(finding.location))}</dl>
</li>`;
}

function openRule(rule: RuleResult): string {
  const gaps = rule.gaps.filter(({ subject }) => subject !== "");
  const items = grouped(gaps, ({ reason }) => reason).map(
    ({ item: { reason }, subjects }) => `<li><strong>${escape(subjectsText(subjects))}</strong>: ${code(reason)}</li>`,
  );
  const held = rule.passed > 0 ? `Held for ${plural(rule.passed, "other resource")}, open for:` : "Open for:";
  return `<article class="card not-evaluated"${data({ ...rule, status: "not-evaluated" })}>
<h3><span class="chip not-evaluated">${STATUS_TEXT["not-evaluated"]}</span> <code>${escape(rule.id)}</code></h3>
<p class="title">${escape(rule.title)}</p>
<p class="meta">${held}</p>
<ul>${items.join("")}</ul>
</article>`;
}

function domainTable({ name, rules }: DomainResult): string {
  const rows = rules.map(
    (rule) => `<tr${data(rule)}>
<td>${chip(rule)}</td>
<th scope="row"><code>${rule.status === "fail" ? `<a href="#${escape(rule.id)}">${escape(rule.id)}</a>` : escape(rule.id)}</code><span class="title">${escape(rule.title)}</span></th>
<td>${rule.level}<span class="severity">${rule.severity}</span></td>
<td>${rule.controls.map((control) => `<span class="control">${escape(control)}</span>`).join(" ") || "—"}</td>
<td>${code(scope(rule))}${rule.evidence.map((one) => `<span class="evidence">${escape(evidenceText(one))}</span>`).join("")}</td>
</tr>`,
  );
  return `<div class="scroll" role="region" aria-label="${escape(name)}" tabindex="0"><table>
<caption>${escape(name)}</caption>
<thead><tr><th scope="col">Result</th><th scope="col">Rule</th><th scope="col">Level</th><th scope="col">Controls</th><th scope="col">Evidence</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table></div>`;
}

/** What the filter looks at. */
function data(rule: RuleResult): string {
  const subjects = [...rule.violations, ...rule.waived, ...rule.gaps].map(({ subject }) => subject);
  const resources = [...new Set([...subjects, ...rule.evidence.map(({ on }) => on)])].join(" | ");
  return ` data-item data-result="${rule.status}" data-rule="${escape(rule.id)}" data-controls="${escape(rule.controls.join("|"))}" data-resources="${escape(resources)}"`;
}

function chip(rule: RuleResult): string {
  const advisory = rule.status === "fail" && rule.violations.every(({ level }) => level === "advisory");
  return `<span class="chip ${advisory ? "advisory" : rule.status}">${STATUS_TEXT[rule.status]}</span>`;
}

function controls(rule: RuleResult): string {
  return rule.controls.length > 0 ? ` · ${escape(rule.controls.join(", "))}` : "";
}
