import { isMap, isSeq, LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import type { Waiver, WaiverFinding } from "./waivers";

const line = (what: string, most: number) =>
  z
    .string()
    .trim()
    .min(3, `must say ${what}`)
    .max(most, `must be at most ${most} characters`)
    .regex(/^[^\n\r()]*$/, "must be one line without brackets");

const waiver = z.strictObject({
  rule: z
    .string()
    .regex(/^[a-z0-9-]+$/, "must be a rule's id")
    .describe("Id of the rule, as in docs/policies.md"),
  resource: z
    .string()
    .min(1)
    .max(200)
    .describe('The subject as the report names it, "PeerAuthentication shop/legacy"; * stands for any text'),
  owner: line("who answers for it", 60).describe("Team or person who answers for it"),
  reason: z
    .string()
    .trim()
    .min(15, "must be a sentence: why the violation is accepted, and what protects meanwhile")
    .max(500)
    .describe("Why the violation is accepted, and what protects meanwhile"),
  ticket: line("where the decision is recorded", 120).describe("Where the decision is recorded"),
  expires: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}$/, "must be a day, YYYY-MM-DD")
    .describe("The last day: at most a year from today, 90 days for a critical rule"),
});

export const waiverFileSchema = z
  .strictObject({ version: z.literal(1), waivers: z.array(waiver) })
  .describe("Accepted violations of kvmesh's policies: each is still judged, and shown as waived");

/** policies/waivers.schema.json; a test compares it with the file. `node dist/policies/waiver-schema.js` prints it. */
export function waiverJsonSchema(): string {
  return `${JSON.stringify({ title: "kvmesh waivers", ...z.toJSONSchema(waiverFileSchema) }, undefined, 2)}\n`;
}

interface Parsed {
  readonly entries: readonly Waiver[];
  readonly findings: readonly WaiverFinding[];
}

/** One entry that is wrong does not take the others with it; a file that is no YAML does. */
export function parseWaivers(text: string, file: string): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, schema: "core" });
  const unreadable = (where: string, why: string): WaiverFinding => ({ problem: "unreadable", where, text: why });
  const [error] = document.errors;
  if (error) {
    const where = `${file}:${lines.linePos(error.pos[0]).line}`;
    return { entries: [], findings: [unreadable(where, `is no YAML: ${error.message.split("\n")[0] ?? ""}`)] };
  }
  const content: unknown = document.toJS();
  const list = isMap(document.contents) ? document.contents.get("waivers") : undefined;
  const lineOf = (index: number): string => {
    const node = isSeq(list) ? (list.items[index] as { range?: readonly number[] } | undefined) : undefined;
    return `${file}:${node?.range ? lines.linePos(node.range[0]!).line : 1}`;
  };
  const findings: WaiverFinding[] = [];
  const wrong = new Set<number>();
  const result = waiverFileSchema.safeParse(content);
  for (const issue of result.error?.issues ?? []) {
    const [top, index, ...rest] = issue.path;
    if (top === "waivers" && typeof index === "number") {
      wrong.add(index);
      const field = rest.length > 0 ? `${rest.join(".")}: ` : "";
      findings.push(unreadable(lineOf(index), `${field}${issue.message}`));
    } else findings.push(unreadable(`${file}:1`, `${issue.path.join(".") || "the file"}: ${issue.message}`));
  }
  const outside = findings.length > 0 && wrong.size === 0;
  const given = (content as { waivers?: unknown } | null)?.waivers;
  if (outside || !Array.isArray(given)) return { entries: [], findings };
  const entries = given.flatMap((entry: unknown, index): Waiver[] =>
    wrong.has(index) ? [] : [{ ...waiver.parse(entry), where: lineOf(index) }],
  );
  return { entries, findings };
}

if (require.main === module) process.stdout.write(waiverJsonSchema());
