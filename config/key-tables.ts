import { isMap, stackFileSchema } from "./stack-file-schema";
import { SECTION_NAMES } from "./sections";

/** The key tables of docs/configuration.md, made of the same schema that the parser reads with. */

interface Row {
  readonly key: string;
  readonly fallback: string;
  readonly meaning: string;
}

interface Node {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
}

/** A text in which each part between `<!-- keys: SECTION … -->` and `<!-- end of keys -->` is made anew. */
export function withKeyTables(text: string): string {
  return text.replace(
    /(<!-- keys: ([a-z ]+) -->\n)[^]*?(<!-- end of keys -->)/g,
    (_, begin: string, names: string, end: string) => `${begin}\n${table(names.trim().split(/\s+/))}\n\n${end}`,
  );
}

function table(names: readonly string[]): string {
  const rows = names.flatMap((name) => {
    const section = SECTION_NAMES.find((known) => known === name);
    if (section === undefined) throw new Error(`docs/configuration.md: there is no section ${name}`);
    const node = nodeOf(section);
    return isMap(section)
      ? below(node, `${section}.…`)
      : leaf(node)
        ? [row(node, section, false)]
        : below(node, section);
  });
  const lines = merged(rows).map(({ key, fallback, meaning }) => `| \`${key}\` | ${fallback} | ${escape(meaning)} |`);
  return ["| key | default | meaning |", "|---|---|---|", ...lines].join("\n");
}

/** A key that stands in several branches of a union is one row. */
function merged(rows: readonly Row[]): readonly Row[] {
  const byKey = new Map<string, Row>();
  for (const row of rows) {
    const before = byKey.get(row.key);
    const meaning = [...new Set([before?.meaning, row.meaning])].filter((text) => text !== undefined).join("; ");
    byKey.set(row.key, { ...row, meaning });
  }
  return [...byKey.values()];
}

function nodeOf(section: (typeof SECTION_NAMES)[number]): Node {
  const config = (stackFileSchema().properties as { config: { properties: Record<string, Node> } }).config;
  const node = config.properties[`kvmesh:${section}`]!;
  return isMap(section) ? (node.additionalProperties as Node) : node;
}

function leaf(node: Node): boolean {
  return below(node, "").length === 0;
}

/** One row a key that holds a value; a map or list of maps is told by the keys in it. */
function below(node: Node, path: string): Row[] {
  const branches = [...(node.anyOf ?? []), ...(node.oneOf ?? [])];
  if (branches.length > 0) return branches.flatMap((branch) => below(branch, path));
  if (node.items !== undefined) return below(node.items, `${path}[]`);
  if (typeof node.additionalProperties === "object" && node.properties === undefined)
    return below(node.additionalProperties, `${path}.…`);
  return Object.entries(node.properties ?? {}).flatMap(([key, own]) => {
    const at = `${path}.${key}`;
    const given = (node.default as Readonly<Record<string, unknown>> | undefined)?.[key];
    const child = own.default === undefined && given !== undefined ? { ...own, default: given } : own;
    const inner = below(child, at);
    const needed = node.required?.includes(key) === true;
    if (inner.length === 0) return [row(child, at, needed)];
    // What is said of the whole stands before its keys.
    const said = child.description === undefined ? [] : [row(child, at, needed)];
    return [...said, ...inner];
  });
}

function row(node: Node, key: string, needed: boolean): Row {
  const description = node.description ?? node.items?.description ?? "";
  const [, meaning = "", absent] = /^(.*?)(?:(?:; d|^D)efault: (.+))?$/s.exec(description) ?? [];
  const words = choices(node);
  const choice = words.some((word) => !meaning.includes(word)) ? list(words) : "";
  const told = meaning === "" || choice === "" ? meaning + choice : `${meaning} (${choice})`;
  return { key, fallback: absent ?? fallbackOf(node, needed), meaning: told };
}

function choices(node: Node): readonly string[] {
  if (node.enum) return node.enum.map(String);
  return node.const === undefined ? [] : [node.const];
}

function list(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}

function fallbackOf(node: Node, needed: boolean): string {
  if (node.default !== undefined && !(isEmptyMap(node.default) && node.properties !== undefined))
    return `\`${typeof node.default === "string" ? node.default : JSON.stringify(node.default)}\``;
  return needed || node.default !== undefined ? "" : "none";
}

function isEmptyMap(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function escape(text: string): string {
  return text.replaceAll("|", "\\|");
}
