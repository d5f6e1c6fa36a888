/**
 * `npm test`: every level in turn, each in a process of its own, then one closing line "N passed, N failed".
 * `npm run lab`: the levels that need root, namespaces and minutes, all of them.
 *
 * Arguments: names of levels (default: all of the command), `--lab`, `--grep PATTERN`.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { labLevels, testLevels, type Level } from "./levels";

const root = path.resolve(__dirname, "..", "..");

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Runs one level and counts. A level that dies without counting is one failure. */
async function run(level: Level, grep: string | undefined): Promise<Counts> {
  const started = Date.now();
  process.stdout.write(`\n== ${level.name}: ${level.what}\n`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-test-"));
  const countsFile = path.join(folder, "counts.json");
  const env = { ...process.env, ...(await level.environment?.()), KVMESH_TEST_COUNTS: countsFile };
  const args = level.command ?? [
    path.join(root, "node_modules/mocha/bin/mocha.js"),
    "--reporter",
    path.join(__dirname, "support/reporter.js"),
    "--timeout",
    String(level.timeoutMs),
    "--recursive",
    "--exit",
    ...(grep === undefined ? [] : ["--grep", grep]),
    ...(level.files ?? []).map((pattern) => path.join(root, "dist", pattern)),
  ];
  const code = await new Promise<number>((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", (error) => {
      process.stdout.write(`${error.message}\n`);
      resolve(1);
    });
    child.on("close", (status) => {
      resolve(status ?? 1);
    });
  });
  let counts: Counts = { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  if (level.command === undefined) {
    counts = fs.existsSync(countsFile)
      ? (JSON.parse(fs.readFileSync(countsFile, "utf8")) as Counts)
      : { passed: 0, failed: 1, skipped: 0 };
    if (code !== 0 && counts.failed === 0) counts = { ...counts, failed: 1 };
  }
  fs.rmSync(folder, { recursive: true, force: true });
  process.stdout.write(`== ${level.name}: ${summary(counts)} in ${((Date.now() - started) / 1000).toFixed(0)} s\n`);
  return counts;
}

function summary(counts: Counts): string {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const lab = args.includes("--lab");
  const grepAt = args.indexOf("--grep");
  const grep = grepAt >= 0 ? args[grepAt + 1] : undefined;
  const names = args.filter((arg, index) => !arg.startsWith("--") && (grepAt < 0 || index !== grepAt + 1));
  const levels = lab ? labLevels : testLevels;
  const unknown = names.filter((name) => !levels.some((level) => level.name === name));
  if (unknown.length > 0) {
    throw new Error(`no level ${unknown.join(", ")}; there are ${levels.map((level) => level.name).join(", ")}`);
  }
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const level of levels.filter((one) => names.length === 0 || names.includes(one.name))) {
    const counts = await run(level, grep);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
  if (total.passed + total.failed === 0) total.failed = 1;
  process.stdout.write(`\n${summary(total)}\n`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

main().catch((error: unknown) => {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n0 passed, 1 failed\n`);
  process.exitCode = 1;
});
