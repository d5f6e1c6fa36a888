import * as fs from "node:fs";
import Mocha from "mocha";

/** Mocha's spec reporter, which also leaves its counts in $KVMESH_TEST_COUNTS for tests/run.ts. */
class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const file = process.env.KVMESH_TEST_COUNTS;
      if (file === undefined) return;
      const { passes, failures, pending } = this.stats;
      fs.writeFileSync(file, JSON.stringify({ passed: passes, failed: failures, skipped: pending }));
    });
  }
}

export = CountingReporter;
