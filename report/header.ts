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
  /** Path below the repository's root, or the name alone where it is outside. */
  readonly path: string;
  readonly text: string;
  /** "none": there is no such file. */
  readonly digest: string;
  readonly environment: Environment;
  /** Configuration as policies get it: structured values as JSON. */
  readonly config: Readonly<Record<string, string>>;
}

/** Pulumi.<stack>.yaml, or the file of --config-file. A stack without one is judged as production. */
export async function readStackFile(cwd: string, stack: string, given?: string): Promise<StackFile> {
  const file =
    given === undefined ? path.join(cwd, `Pulumi.${stack.split("/").at(-1)}.yaml`) : path.resolve(cwd, given);
  const shown = await belowRepository(file);
  if (!fs.existsSync(file))
    return { path: shown, text: "", digest: "none", environment: environmentOf({}), config: {} };
  const text = fs.readFileSync(file, "utf8");
  const parsed = readYaml(file, text) as { config?: Record<string, unknown> } | null;
  const config = Object.fromEntries(
    Object.entries(parsed?.config ?? {})
      // Encrypted values stay what they are: no rule needs them.
      .filter(([, value]) => !isSecret(value))
      .map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );
  const environment = environmentOf({ PULUMI_CONFIG: JSON.stringify(config) });
  const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
  return { path: shown, text, digest, environment, config };
}

/** The parser's message quotes the lines around a mistake, and they may hold a secret: only its place is told. */
function readYaml(file: string, text: string): unknown {
  const [error] = parseDocument(text).errors;
  if (error === undefined) return parse(text);
  const [place] = error.linePos ?? [];
  throw new Error(`${file}${place === undefined ? "" : `, line ${place.line}`}: this is no YAML (${error.code})`);
}

/** True of what `pulumi config set --secret` leaves in a stack file. */
export function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}

async function belowRepository(file: string): Promise<string> {
  try {
    const { stdout } = await run("git", ["rev-parse", "--show-toplevel"], { cwd: path.dirname(file) });
    const shown = path.relative(stdout.trim(), file);
    if (!shown.startsWith("..")) return shown.split(path.sep).join("/");
  } catch {
    // No repository, or no git.
  }
  return path.basename(file);
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
