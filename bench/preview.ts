/**
 * Preview of the production stack against the preview of an empty JavaScript program, in turn, with the same CLI.
 *
 * `node bin/run.cjs bench/preview [RUNS]`; default 3 pairs after one that is not counted. Prints medians and the ratio to the empty program,
 * of the clock and of processor time: on a busy machine only the second says something.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { checkoutRoot } from "../tools/toolchain";
import { benchEnv, median, project, pulumi, stackOfCheckout, type Times } from "./pulumi";

interface Case {
  readonly name: string;
  readonly cwd: string;
  readonly args: readonly string[];
}

async function main(): Promise<void> {
  const runs = Number(process.argv[2] ?? 3);
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-bench-"));
  try {
    const env = await benchEnv(work);
    const prod = fs.readFileSync(path.join(checkoutRoot(), "Pulumi.prod.yaml"), "utf8");
    const stack = stackOfCheckout(work, "prod", prod, env);
    const cases: Case[] = [
      {
        name: "empty JavaScript program",
        cwd: project(work, "empty", 'require("@pulumi/pulumi");\n'),
        args: ["--stack", "empty"],
      },
      { name: "prod", cwd: checkoutRoot(), args: stack },
      { name: "prod with policies", cwd: checkoutRoot(), args: [...stack, "--policy-pack", "policies"] },
    ];
    pulumi(cases[0]!.cwd, ["stack", "init", "empty"], env);

    const times = cases.map((): Times[] => []);
    for (let run = 0; run <= runs; run += 1) {
      for (const [index, { cwd, args }] of cases.entries()) {
        const taken = pulumi(cwd, ["preview", ...args], env);
        if (run > 0) times[index]!.push(taken);
      }
    }
    for (const [index, { name }] of cases.entries()) {
      const column = (what: keyof Times): string => {
        const values = times[index]!.map((taken) => taken[what]);
        const ratio = median(values.map((value, run) => value / times[0]![run]![what]));
        return `${median(values).toFixed(1)} s (${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)}), ${ratio.toFixed(2)} ×`;
      };
      process.stdout.write(`${name.padEnd(26)} clock ${column("wall")}   CPU ${column("cpu")}\n`);
    }
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
