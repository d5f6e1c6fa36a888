import * as fs from "node:fs";
import Mocha from "mocha";

/** What one level came to, as tests/run.ts reads it. */
export interface LevelResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Of each test that failed: its whole title and the error's first line. */
  readonly failures: readonly string[];
}

/**
 * Mocha's spec reporter, which also leaves its counts in $KVMESH_TEST_COUNTS for tests/run.ts, and ends the tests when that one has ended: what
 * they have started is stopped then (guard.ts).
 */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const file = process.env.KVMESH_TEST_COUNTS;
    if (file === undefined) return;
    process.stdin.once("end", () => process.exit(1)).resume();
    const failed: string[] = [];
    runner.on(Mocha.Runner.constants.EVENT_TEST_FAIL, (test, error: { readonly message?: string }) => {
      // From another process it comes as plain data.
      const [firstLine = ""] = (error.message ?? "failed").split("\n");
      failed.push(`${test.fullTitle()}: ${firstLine}`);
    });
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats;
      const result: LevelResult = { passed: passes, failed: failures, skipped: pending, failures: failed };
      fs.writeFileSync(file, JSON.stringify(result));
    });
  }
}
