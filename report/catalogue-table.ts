import { controlNames, domains, type Rule } from "../policies/catalogue";

const WHEN: Readonly<Record<Rule["kind"], string>> = { resource: "before", stack: "whole stack", both: "both" };

/** The tables of docs/policies.md; a test compares them with the file. `node dist/report/catalogue-table.js` prints them. */
export function catalogueTables(): string {
  return domains
    .map(({ name, rules }) =>
      [
        `### ${name}`,
        "",
        "| Rule | What it checks | production | staging | development | Judged | Controls |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        ...rules.map((rule) => `| ${cells(rule).join(" | ")} |`),
      ].join("\n"),
    )
    .join("\n\n");
}

function cells(rule: Rule): readonly string[] {
  const { production, staging, development } = rule.level;
  const id = `\`${rule.id}\`${rule.status === "planned" ? " (planned)" : ""}`;
  return [id, rule.title, production, staging, development, WHEN[rule.kind], controlNames(rule).join(", ") || "—"];
}

if (require.main === module) process.stdout.write(`${catalogueTables()}\n`);
