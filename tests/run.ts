/**
 * `npm test`: the levels, two side by side, each in a process of its own; then what failed, and one closing line
 * "N passed, N failed". What a level prints is shown when it ends, or as it comes when it is the only one.
 * `npm run lab`: the levels that need root, namespaces and minutes, all of them.
 *
 * Arguments: names of levels (default: all of the command), `--lab`, `--grep PATTERN`.
 */
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { spawn } from "node:child_process";
import { describeCommand, parseLine } from "../command/parse";
import { runCommand } from "../command/end";
import { UsageError } from "../command/errors";
import { labLevels, testLevels, type Level } from "./levels";
import type { LevelResult } from "./support/reporter";

const root = path.resolve(__dirname, "..", "..");
/** Most levels wait for hosts and processes more than they compute. */
const LEVELS_AT_ONCE = 2;
const FILES_AT_ONCE = Math.min(4, Math.max(2, os.availableParallelism()));
const PROGRESS_MS = 30_000;

interface Options {
  readonly grep?: string;
  /** Show its output as it comes. */
  readonly live: boolean;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function summary({ passed, failed, skipped }: Omit<LevelResult, "failures">): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(0)} s`;
}

function mochaArguments(level: Level, grep: string | undefined): readonly string[] {
  return [
    path.join(root, "node_modules/mocha/bin/mocha.js"),
    "--reporter",
    path.join(__dirname, "support/reporter.js"),
    "--timeout",
    String(level.timeoutMs),
    "--recursive",
    "--exit",
    ...(level.parallel ? ["--parallel", "--jobs", String(FILES_AT_ONCE)] : []),
    ...(grep === undefined ? [] : ["--grep", grep]),
    ...(level.files ?? []).map((pattern) => path.join(root, "dist", pattern)),
  ];
}

/** What mocha's reporter left; a level that died before it could is one failure. */
function resultOf(level: Level, code: number, countsFile: string): LevelResult {
  const ended: LevelResult = {
    passed: code === 0 ? 1 : 0,
    failed: code === 0 ? 0 : 1,
    skipped: 0,
    failures: code === 0 ? [] : [`ended with exit code ${code}`],
  };
  if (level.command !== undefined) return ended;
  if (!fs.existsSync(countsFile)) return { ...ended, passed: 0, failed: 1, failures: ["ended without counting"] };
  const counted = JSON.parse(fs.readFileSync(countsFile, "utf8")) as LevelResult;
  return code !== 0 && counted.failed === 0 ? { ...counted, failed: 1, failures: ended.failures } : counted;
}

async function run(level: Level, env: NodeJS.ProcessEnv, { grep, live }: Options): Promise<LevelResult> {
  const started = Date.now();
  const title = `== ${level.name}: ${level.what}`;
  if (live) say(`\n${title}`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-test-"));
  const countsFile = path.join(folder, "counts.json");
  const outputFile = path.join(folder, "output");
  const output = live ? undefined : fs.openSync(outputFile, "w");
  const child = spawn(process.execPath, level.command ?? mochaArguments(level, grep), {
    cwd: root,
    env: { ...env, KVMESH_TEST_COUNTS: countsFile },
    // Mocha ends when this pipe does: our reporter sees to it.
    stdio: ["pipe", output ?? "inherit", output ?? "inherit"],
  });
  const [status] = (await once(child, "close")) as [number | null];
  const result = resultOf(level, status ?? 1, countsFile);
  if (output !== undefined) {
    fs.closeSync(output);
    say(`\n${title}\n${fs.readFileSync(outputFile, "utf8").trimEnd()}`);
  }
  fs.rmSync(folder, { recursive: true, force: true });
  say(`== ${level.name}: ${summary(result)} in ${seconds(started)}`);
  return result;
}

/** A level that can't be run is one failure; the others still say what they know. */
function broken({ name }: Level, error: unknown): LevelResult {
  const message = error instanceof Error ? error.message : String(error);
  say(`\n== ${name}: not run\n${message}`);
  return { passed: 0, failed: 1, skipped: 0, failures: [`not run: ${message.split("\n")[0]!}`] };
}

async function runAll(levels: readonly Level[], options: Options): Promise<ReadonlyMap<Level, LevelResult>> {
  const results = new Map<Level, LevelResult>();
  const running = new Map<Level, number>();
  const waiting: { readonly level: Level; readonly env: NodeJS.ProcessEnv }[] = [];
  // One after the other: two builds side by side would be twice as slow, and hard to read.
  for (const level of levels) {
    try {
      waiting.push({ level, env: { ...process.env, ...(await level.environment?.()) } });
    } catch (error) {
      results.set(level, broken(level, error));
    }
  }
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { level, env } = next;
      running.set(level, Date.now());
      results.set(level, await run(level, env, options).catch((error: unknown) => broken(level, error)));
      running.delete(level);
    }
  };
  const progress = setInterval(() => {
    const now = [...running].map(([level, since]) => `${level.name} for ${seconds(since)}`).join(", ");
    if (!options.live) say(`… ${results.size} of ${levels.length} levels done; running: ${now}`);
  }, PROGRESS_MS);
  await Promise.all(Array.from({ length: LEVELS_AT_ONCE }, worker));
  clearInterval(progress);
  return results;
}

const WHAT = "Runs the tests, level by level, two levels side by side; the last line says how many passed and failed.";

async function main(): Promise<number> {
  const command = describeCommand({ start: "npm test --", what: WHAT, example: "unit policy --grep placement" })
    .argument("[LEVEL...]", `default: all of ${testLevels.map(({ name }) => name).join(", ")}`)
    .option("--lab", "the levels of `npm run lab`: they need root, namespaces and minutes")
    .option("--grep <PATTERN>", "only tests whose name matches");
  if (!parseLine(command, process.argv.slice(2))) return 0;
  const [names] = command.processedArgs;
  const { grep, lab } = command.opts();
  const levels = lab === true ? labLevels : testLevels;
  const unknown = names.filter((name) => !levels.some((level) => level.name === name));
  if (unknown.length > 0) {
    const there = levels.map((level) => level.name).join(", ");
    throw new UsageError(`no level ${unknown.join(", ")}; there are ${there}`);
  }
  const chosen = levels.filter((level) => names.length === 0 || names.includes(level.name));
  const results = await runAll(chosen, { grep, live: chosen.length === 1 });
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of results.values()) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  const failures = [...results].flatMap(([level, result]) => result.failures.map((text) => `  ${level.name}: ${text}`));
  if (failures.length > 0) say(`\n== failed\n${failures.join("\n")}`);
  if (total.passed + total.failed === 0) total.failed = 1;
  if (total.skipped > 0) say(`\n${total.skipped} skipped; each says why above`);
  say(`\n${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}

runCommand(main);
