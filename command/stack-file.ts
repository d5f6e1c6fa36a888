import * as fs from "node:fs";
import * as path from "node:path";
import { isMap, parseDocument } from "yaml";
import { UsageError } from "./errors";

export type Tree = Readonly<Record<string, unknown>>;

/** Names of the stacks whose files stand in the checkout. */
export function stacksIn(checkout: string): readonly string[] {
  return fs.readdirSync(checkout).flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
}

/**
 * A YAML file of the checkout that has to be a map: `Pulumi.prod.yaml`. An empty one is an empty map.
 * @throws UsageError with line and column of what is no YAML
 */
export function readYaml(checkout: string, name: string): Tree {
  let text: string;
  try {
    text = fs.readFileSync(path.join(checkout, name), "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw new UsageError(`${name} can't be read: ${message}`);
    const others = stacksIn(checkout);
    const there = others.length === 0 ? "no stack file" : `stack files of ${others.join(", ")}`;
    throw new UsageError(`there is no ${name} in ${checkout}; it has ${there}`);
  }
  const document = parseDocument(text);
  const [first] = document.errors;
  if (first) {
    const { line = 1, col = 1 } = first.linePos?.[0] ?? {};
    // What follows quotes the file, which may hold a secret.
    const [said = ""] = first.message.split(/ at line |: "/);
    throw new UsageError(`${name}, line ${line}, column ${col}: no YAML: ${said}. Mend it there, then run this again`);
  }
  if (document.contents === null) return {};
  if (!isMap(document.contents)) {
    throw new UsageError(
      `${name}: found ${kindOf(document.toJS())}; a map of keys and values is wanted, as in docs/configuration.md`,
    );
  }
  return document.toJS() as Tree;
}

/** The part of a stack file that is kvmesh's: "kvmesh:pools" → pools. */
export function kvmeshConfig(file: Tree, name: string): Tree {
  const config = file["config"] ?? {};
  if (typeof config !== "object" || Array.isArray(config)) {
    throw new UsageError(`${name}: config: found ${kindOf(config)}; a map with keys such as kvmesh:pools is wanted`);
  }
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) => (key.startsWith("kvmesh:") ? [[key.slice(7), value]] : [])),
  );
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "nothing" : `the ${typeof value} ${JSON.stringify(value).slice(0, 60)}`;
}
