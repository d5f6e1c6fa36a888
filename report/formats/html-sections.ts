import type { Measurement, Reference, Report } from "../model";
import { creations, grouped, planSummary, stepText, subjectsText } from "../text";
import { code, escape } from "./html-text";

/** Waivers stand first: whoever reads the report answers for them, too. */
export function waiversSection({ waivers, changes }: Report): string {
  const added = new Set(changes?.newWaivers.map(({ where }) => where) ?? []);
  const entries = waivers.entries.map(
    ({ rule, resource, owner, expires, ticket, reason, where }) =>
      `<li>${added.has(where) ? "<strong>New:</strong> " : ""}<code>${escape(rule)}</code> on ${escape(resource)} until ${escape(expires)}, by ${escape(owner)} (${escape(ticket)}, ${escape(where)}): ${escape(reason)}</li>`,
  );
  const findings = waivers.findings.map(
    ({ where, rule, text }) =>
      `<li><strong>To mend:</strong> ${escape(where)}${rule === undefined ? "" : ` (<code>${escape(rule)}</code>)`}: ${escape(text)}</li>`,
  );
  if (entries.length + findings.length === 0) return "";
  return section("waivers", "Waivers", `<ul class="plain">${[...findings, ...entries].join("\n")}</ul>`);
}

export function changesSection({ changes }: Report): string {
  if (!changes) return "";
  const group = (title: string, items: readonly Reference[]): string =>
    items.length === 0
      ? ""
      : `<h3>${title}: ${items.length}</h3><ul class="plain">${grouped(items, ({ rule, text }) => [rule, text])
          .map(
            ({ item: { rule, text }, subjects }) =>
              `<li><code>${escape(rule)}</code> ${escape(subjectsText(subjects))}: ${code(text)}</li>`,
          )
          .join("")}</ul>`;
  const groups =
    group("New failures", changes.newFailures) +
    group("Newly not evaluated", changes.newlyNotEvaluated) +
    group("Newly waived", changes.newlyWaived) +
    group("Fixed", changes.fixed);
  const notes = changes.configuration.map((text) => `<p class="caution">${escape(text)}</p>`).join("");
  const { commit, time } = changes.base;
  return section(
    "changes",
    "Against the base",
    `<p class="about">Base: commit ${escape(commit.slice(0, 12))}, judged for ${escape(time)}</p>${notes}${groups || "<p>No verdict changes.</p>"}`,
  );
}

export function planSection(report: Report): string {
  const { plan, header } = report;
  if (!plan) return "";
  const steps = plan.steps.filter(({ op }) => op !== "create");
  const lines = [
    ...steps.map(
      (step) =>
        `<li${step.op === "delete" || step.op === "replace" ? ' class="loss"' : ""}>${escape(stepText(step))}</li>`,
    ),
    ...creations(plan).map((line) => `<li>Create ${escape(line)}</li>`),
  ];
  const list = lines.length === 0 ? "" : `<ul class="plain">${lines.join("\n")}</ul>`;
  const title = header.judged === "preview" ? "The plan" : "What was done";
  return section("plan", title, `<p>${escape(planSummary(report))}</p>${list}`);
}

export function evidenceSection({ evidence }: Report): string {
  if (evidence.length === 0) return "";
  return section("evidence", "Evidence", evidence.map(machine).join("\n"));
}

function machine({
  machine: name,
  takenAt,
  ageDays,
  limitDays,
  tooOld,
  digest,
  digestHolds,
  values,
}: Measurement): string {
  const old = tooOld ? ` <strong>Too old: it may be ${limitDays} days old.</strong>` : "";
  const wrong = digestHolds ? "" : " <strong>The digest is not the record's: one of them was changed.</strong>";
  const rows = values.map(
    ({ what, measured, limit, verdict }) =>
      `<tr><th scope="row">${escape(what)}</th><td>${escape(measured)}</td><td>${escape(limit) || "—"}</td><td>${escape(verdict)}</td></tr>`,
  );
  return `<div class="scroll" role="region" aria-label="Evidence of ${escape(name)}" tabindex="0"><table class="evidence-table">
<caption>${escape(name)}<span class="severity">Measured at ${escape(takenAt)}, ${ageDays} days before; ${escape(digest)}.${old}${wrong}</span></caption>
<thead><tr><th scope="col">What</th><th scope="col">Measured</th><th scope="col">Limit</th><th scope="col">Verdict</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table></div>`;
}

function section(id: string, title: string, body: string): string {
  return `<section aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${body}
</section>`;
}
