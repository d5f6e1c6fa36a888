import { STYLE } from "./html-style";
import { STATUSES, urnParts, type DomainResult, type Report, type RuleResult } from "./model";
import { conclusionOf } from "./conclusion";
import { CONCLUSION_TEXT, headerRows, JUDGED_TEXT, plural, scope, STATUS_TEXT, verdict } from "./text";

/** One file that needs nothing else: no script, no font, no picture from elsewhere. */
export function renderHtml(report: Report): string {
  const conclusion = conclusionOf(report);
  const title = `${CONCLUSION_TEXT[conclusion]}: policy report of ${report.header.stack}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
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
${tiles(report)}
</header>
<main>
${findings(report)}
<section id="rules" aria-labelledby="rules-title">
<h2 id="rules-title">All rules</h2>
${report.domains.map(domainTable).join("\n")}
</section>
<section aria-labelledby="run-title">
<h2 id="run-title">This run</h2>
<dl class="run">${headerRows(report)
    .map(([key, value]) => `<div><dt>${escape(key)}</dt><dd>${escape(value)}</dd></div>`)
    .join("")}</dl>
</section>
</main>
<footer><p>${escape(report.disclaimer)}</p><p>${LEGEND}</p></footer>
</body>
</html>
`;
}

function about({ header }: Report): string {
  return `${JUDGED_TEXT[header.judged]} · commit ${header.commit.slice(0, 12)} · pack ${header.packName} ${header.packVersion} · ${header.time}`;
}

const LEGEND =
  "Not evaluated is no pass: a value was not known yet, the run ended early, or there is no policy for the rule so far. " +
  "Not applicable: nothing in this stack is what the rule is about. " +
  "Controls: CIS Kubernetes Benchmark 1.12, ISO/IEC 27001:2022 Annex A, GDPR, NIS2 Art. 21(2).";

function tiles(report: Report): string {
  const tile = (status: (typeof STATUSES)[number]): string =>
    `<li class="tile ${status}${report.counts[status] === 0 ? " none" : ""}"><span class="count">${report.counts[status]}</span> <span>${STATUS_TEXT[status]}</span></li>`;
  return `<ul class="tiles" aria-label="Rules by result">${STATUSES.map(tile).join("")}</ul>`;
}

/** What needs a person: failures first, then what could not be judged on a named resource. */
function findings(report: Report): string {
  const rules = report.domains.flatMap(({ rules: all }) => all);
  const failed = rules.filter(({ status }) => status === "fail");
  const open = rules.filter(({ gaps }) => gaps.some(({ urn }) => urn !== ""));
  if (failed.length + open.length === 0) return "";
  return `<section aria-labelledby="findings-title">
<h2 id="findings-title">To look at</h2>
${failed.map(failure).join("\n")}
${open.map(openRule).join("\n")}
</section>`;
}

function failure(rule: RuleResult): string {
  const blocks = rule.violations.some(({ level }) => level === "mandatory");
  const items = rule.violations.map(
    ({ urn, subject, found, required, remedy }) => `<li>
<h4>${escape(subject ?? (urnParts(urn).name || "the stack"))}</h4>
<dl class="finding"><div><dt>Found</dt><dd>${escape(found)}</dd></div>${
      required === undefined ? "" : `<div><dt>Required</dt><dd>${escape(required)}</dd></div>`
    }<div><dt>Remedy</dt><dd>${code(remedy === "" ? rule.remedy : remedy)}</dd></div></dl>
</li>`,
  );
  return `<article class="card fail" id="${escape(rule.id)}">
<h3>${chip(rule)} <code>${escape(rule.id)}</code></h3>
<p class="title">${escape(rule.title)}</p>
<p class="meta">${blocks ? "Mandatory: blocks the run" : "Advisory"} · severity ${rule.severity}${controls(rule, " · ")}</p>
<ul class="violations">${items.join("\n")}</ul>
</article>`;
}

function openRule(rule: RuleResult): string {
  const items = rule.gaps.map(
    ({ urn, reason }) => `<li><strong>${escape(urnParts(urn).name || "the stack")}</strong>: ${escape(reason)}</li>`,
  );
  return `<article class="card not-evaluated">
<h3><span class="chip not-evaluated">${STATUS_TEXT["not-evaluated"]}</span> <code>${escape(rule.id)}</code></h3>
<p class="title">${escape(rule.title)}</p>
<p class="meta">${rule.passed > 0 ? `Held for ${plural(rule.passed, "other resource")}, open for:` : "Open for:"}</p>
<ul>${items.join("")}</ul>
</article>`;
}

function domainTable({ name, rules }: DomainResult): string {
  const rows = rules.map(
    (rule) => `<tr>
<td>${chip(rule)}</td>
<th scope="row"><code>${rule.status === "fail" ? `<a href="#${escape(rule.id)}">${escape(rule.id)}</a>` : escape(rule.id)}</code><span class="title">${escape(rule.title)}</span></th>
<td>${rule.level}<span class="severity">${rule.severity}</span></td>
<td>${rule.controls.map((control) => `<span class="control">${escape(control)}</span>`).join(" ") || "—"}</td>
<td>${escape(scope(rule))}</td>
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

function chip(rule: RuleResult): string {
  const advisory = rule.status === "fail" && rule.violations.every(({ level }) => level === "advisory");
  return `<span class="chip ${advisory ? "advisory" : rule.status}">${STATUS_TEXT[rule.status]}</span>`;
}

function controls(rule: RuleResult, before: string): string {
  return rule.controls.length > 0 ? `${before}${escape(rule.controls.join(", "))}` : "";
}

/** Remedies hold settings in backquotes. */
function code(text: string): string {
  return escape(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

export function escape(text: string): string {
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;");
}
