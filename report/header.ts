import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { parse, parseDocument } from "yaml";
import type { Environment } from "../policies/catalogue";
import { environmentOf } from "../policies/environment";

const run = promisify(execFile);

/** The checkout: parent of dist/. */
export const CHECKOUT = path.resolve(__dirname, "..", "..");

export interface StackFile {
  readonly digest: string;
  readonly environment: Environment;
  /** Configuration as policies get it: structured values as JSON. */
  readonly config: Readonly<Record<string, string>>;
}

/** Pulumi.<stack>.yaml, or the file of --config-file. A stack without one is judged as production. */
export function readStackFile(cwd: string, stack: string, given?: string): StackFile {
  const file =
    given === undefined ? path.join(cwd, `Pulumi.${stack.split("/").at(-1)}.yaml`) : path.resolve(cwd, given);
  if (!fs.existsSync(file)) return { digest: "none", environment: environmentOf({}), config: {} };
  const text = fs.readFileSync(file);
  const parsed = readYaml(file, text.toString()) as { config?: Record<string, unknown> } | null;
  const config = Object.fromEntries(
    Object.entries(parsed?.config ?? {})
      // Encrypted values stay what they are: no rule needs them.
      .filter(([, value]) => !isSecret(value))
      .map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );
  const environment = environmentOf({ PULUMI_CONFIG: JSON.stringify(config) });
  return { digest: `sha256:${createHash("sha256").update(text).digest("hex")}`, environment, config };
}

/** The parser's message quotes the lines around a mistake, and they may hold a secret: only its place is told. */
function readYaml(file: string, text: string): unknown {
  const [error] = parseDocument(text).errors;
  if (error === undefined) return parse(text);
  const [place] = error.linePos ?? [];
  throw new Error(`${file}${place === undefined ? "" : `, line ${place.line}`}: this is no YAML (${error.code})`);
}

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}

export async function commit(cwd: string): Promise<string> {
  try {
    const { stdout: head } = await run("git", ["rev-parse", "HEAD"], { cwd });
    const { stdout: changes } = await run("git", ["status", "--porcelain"], { cwd });
    return changes === "" ? head.trim() : `${head.trim()}-dirty`;
  } catch {
    return "unknown (no git repository)";
  }
}

export async function cliVersion(env: NodeJS.ProcessEnv): Promise<string> {
  try {
    const { stdout } = await run("pulumi", ["version"], { env });
    return stdout.trim();
  } catch {
    return "unknown";
  }
}

/** Digest of what the pack really runs: its compiled files, in the order of their paths. */
export function packDigest(): string {
  const folder = path.join(CHECKOUT, "dist", "policies");
  const hash = createHash("sha256");
  for (const file of compiledFiles(folder).sort()) {
    hash
      .update(path.relative(folder, file).split(path.sep).join("/"))
      .update("\0")
      .update(fs.readFileSync(file))
      .update("\0");
  }
  return `sha256:${hash.digest("hex")}`;
}

function compiledFiles(folder: string): string[] {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const child = path.join(folder, entry.name);
    if (entry.isDirectory()) return compiledFiles(child);
    return entry.name.endsWith(".js") ? [child] : [];
  });
}

/** Rules that a file for --policy-pack-config turns off; `all` stands for every one that is not named. */
export function disabledRules(file: string | undefined, ids: readonly string[]): ReadonlySet<string> {
  if (file === undefined) return new Set();
  const config = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, string | { enforcementLevel?: string }>;
  const level = (id: string): string | undefined => {
    const entry = config[id] ?? config.all;
    return typeof entry === "string" ? entry : entry?.enforcementLevel;
  };
  return new Set(ids.filter((id) => level(id) === "disabled"));
}
