import type { Check, Diagnosis } from "./judge";
import { minutes } from "./judge-tools";

const marks: Readonly<Record<Check["verdict"], string>> = { ok: "✔", warn: "!", fail: "✘" };

/** The diagnosis as lines of at most `width` columns. */
export function diagnosisText(diagnosis: Diagnosis, width: number): readonly string[] {
  const { kinds, checks } = diagnosis;
  const column = Math.max(...checks.map(({ name }) => name.length), ...kinds.map(({ kind }) => kind.length));
  const row = (mark: string, name: string, text: string): readonly string[] =>
    hanging(`  ${mark} ${name.padEnd(column)}  `, text, width);
  return [
    "What this machine can be",
    ...kinds.flatMap(({ kind, possible, why }) => row(possible ? marks.ok : marks.fail, kind, why)),
    "",
    "What the quickstart will find",
    ...checks.flatMap(({ name, verdict, found, next }) => [
      ...row(marks[verdict], name, found),
      ...(next === undefined ? [] : hanging(`${" ".repeat(column + 6)}→ `, next, width)),
    ]),
    "",
    ...wrap(conclusion(diagnosis), width),
  ];
}

/** One sentence: whether it would work, and how long it would take. */
export function conclusion({ checks, site, tools, seconds }: Diagnosis): string {
  const stops = checks.filter(({ verdict }) => verdict === "fail");
  if (stops.length > 0) {
    const count = stops.length === 1 ? "One thing" : `${stops.length} things`;
    return `${count} would stop the quickstart: ${stops.map(({ name }) => name).join(", ")}.`;
  }
  const get = (how: string): number => tools.filter((tool) => tool.how === how).length;
  const parts = [
    get("build") > 0 ? `${get("build")} tools to build` : "",
    get("download") > 0 ? `${get("download")} to download` : "",
  ].filter((part) => part !== "");
  const what = site === "none" ? "a preview" : `a cluster on a site of the kind ${site}`;
  const todo = parts.length === 0 ? "every tool is here" : parts.join(", ");
  return `\`npm run quickstart\` makes ${what}: ${todo}, about ${minutes(seconds)} in all.`;
}

/** Text behind a head, its further lines below its first word. */
export function hanging(head: string, text: string, width: number): readonly string[] {
  const lines = wrap(text, Math.max(20, width - head.length));
  return lines.map((line, index) => (index === 0 ? head : " ".repeat(head.length)) + line);
}

/** Lines of at most `width` columns, broken at blanks; a longer word stands alone. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
