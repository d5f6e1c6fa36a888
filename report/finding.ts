import type { Violation } from "./model";

/** Takes a violation's text apart again: what policies/frame.ts's `message` wrote, after the rule's title. */
export function peekMessage(text: string): Omit<Violation, "urn" | "level"> {
  const lines = text.trim().split("\n");
  const observed = lines.findIndex((line) => / found /.test(line));
  const required = lines.find((line) => line.startsWith("required: "))?.slice("required: ".length);
  const remedy = lines.find((line) => line.startsWith("remedy: "))?.slice("remedy: ".length);
  const [, subject, found] = /^(.*?): found (.*)$/.exec(lines[observed] ?? "") ?? [];
  if (subject === undefined || found === undefined) return { found: lines.join(" "), remedy: remedy ?? "" };
  return { subject, found, ...(required !== undefined && { required }), remedy: remedy ?? "" };
}
