import { createHash } from "node:crypto";
import type { Level, Rule } from "../policies/catalogue";
import type { PackSetting } from "./model";

/** What a file for --policy-pack-config makes of the rules. */
export interface PackConfig {
  /** "sha256:…", or "none". */
  readonly digest: string;
  readonly settings: readonly PackSetting[];
  /** What a violation of a rule does; undefined: as in the catalogue. */
  levelOf(rule: string): Level | "off" | undefined;
  /** Settings of a rule, for our own run of the pack. */
  readonly values: Readonly<Record<string, unknown>>;
}

type Entry = string | ({ readonly enforcementLevel?: string } & Readonly<Record<string, unknown>>);

export const NO_PACK_CONFIG: PackConfig = { digest: "none", settings: [], levelOf: () => undefined, values: {} };

/**
 * @param text JSON; `file` is named in errors.
 * @param levels the catalogue's, in this environment.
 * @throws one sentence when the text is not what Pulumi takes.
 */
export function readPackConfig(
  file: string,
  text: string,
  rules: readonly Rule[],
  levels: (rule: Rule) => Level,
): PackConfig {
  const config = parsed(file, text);
  const levelOf = (id: string): Level | "off" | undefined => {
    const entry = config[id] ?? config.all;
    const said = typeof entry === "string" ? entry : entry?.enforcementLevel;
    if (said === "disabled" || said === "off") return "off";
    return said === "mandatory" || said === "advisory" ? said : undefined;
  };
  const values = Object.fromEntries(
    Object.entries(config).flatMap(([id, entry]) => (typeof entry === "string" ? [] : [[id, withoutLevel(entry)]])),
  );
  const settings = rules.flatMap((rule): PackSetting[] => {
    const [was, is] = [levels(rule), levelOf(rule.id)];
    const told: PackSetting[] = [];
    if (is === "off") told.push({ rule: rule.id, effect: "off", text: `turned off (${was} in the catalogue)` });
    else if (is !== undefined && is !== was)
      told.push({ rule: rule.id, effect: is === "advisory" ? "lowered" : "raised", text: `${was} → ${is}` });
    for (const [name, value] of Object.entries(values[rule.id] ?? {}))
      told.push({ rule: rule.id, effect: "setting", text: `${name} = ${JSON.stringify(value)}` });
    return told;
  });
  const unknown = Object.keys(config).filter((id) => id !== "all" && !rules.some((rule) => rule.id === id));
  for (const id of unknown) settings.push({ rule: id, effect: "setting", text: "the catalogue has no such rule" });
  return { digest: `sha256:${createHash("sha256").update(text).digest("hex")}`, settings, levelOf, values };
}

function withoutLevel(entry: Exclude<Entry, string>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(entry).filter(([name]) => name !== "enforcementLevel"));
}

function parsed(file: string, text: string): Readonly<Record<string, Entry>> {
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content === "object" && content !== null && !Array.isArray(content))
      return content as Record<string, Entry>;
  } catch {
    // Said below.
  }
  throw new Error(`${file}: found no JSON object; give settings by rule, {"location-allowed": {"countries": ["NO"]}}`);
}
