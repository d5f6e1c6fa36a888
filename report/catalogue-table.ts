import * as fs from "node:fs";
import * as path from "node:path";
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

/** The pages of docs/policies/, by file name: a section a rule, with all that the catalogue knows of it. */
export function domainPages(): ReadonlyMap<string, string> {
  return new Map(
    domains.map(({ name, page, rules }) => {
      const intro = `Made of policies/catalogue by \`node dist/report/catalogue-table.js\`; how to read it: [policies.md](../policies.md).`;
      return [`${page}.md`, `# ${name}\n\n${intro}\n\n${rules.map(section).join("\n\n")}\n`];
    }),
  );
}

function section(rule: Rule): string {
  const { production, staging, development } = rule.level;
  return [
    `## ${rule.id}`,
    "",
    `${rule.title}.${rule.status === "planned" ? " Planned: what it is about can't be declared yet." : ""}`,
    "",
    `- severity: ${rule.severity}`,
    `- level: ${production} in production, ${staging} in staging, ${development} in development`,
    `- judged: ${WHEN[rule.kind]}`,
    `- controls: ${controlNames(rule).join(", ") || "none"}`,
    `- remedy: ${rule.remedy}`,
  ].join("\n");
}

if (require.main === module) {
  process.stdout.write(`${catalogueTables()}\n`);
  const folder = path.resolve(__dirname, "../../docs/policies");
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, page] of domainPages()) fs.writeFileSync(path.join(folder, name), page);
}
