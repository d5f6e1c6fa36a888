/**
 * Preview of the production stack against the preview of an empty JavaScript program, in turn, with the same CLI.
 *
 * `node bin/run.cjs bench/preview [RUNS]`; default 3 pairs after one that is not counted. Prints medians and the ratio.
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { checkoutRoot, pulumiEnv } from "../tools/toolchain";

interface Case {
  readonly name: string;
  readonly cwd: string;
  readonly args: readonly string[];
}

async function main(): Promise<void> {
  const runs = Number(process.argv[2] ?? 3);
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-bench-"));
  try {
    const home = path.join(work, "home");
    fs.mkdirSync(path.join(work, "state"));
    const env: NodeJS.ProcessEnv = {
      ...(await pulumiEnv((line) => process.stderr.write(`${line}\n`), { home })),
      PULUMI_BACKEND_URL: `file://${path.join(work, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "bench",
    };
    // `stack init` writes into the stack file: it gets a copy.
    const copy = path.join(work, "prod");
    const prod = path.join(copy, "Pulumi.prod.yaml");
    fs.mkdirSync(copy);
    for (const file of ["Pulumi.yaml", "Pulumi.prod.yaml"]) {
      fs.copyFileSync(path.join(checkoutRoot(), file), path.join(copy, file));
    }
    const stack = ["--stack", "prod", "--config-file", prod];
    const cases: Case[] = [
      { name: "empty JavaScript program", cwd: emptyProject(work), args: ["--stack", "empty"] },
      { name: "prod", cwd: checkoutRoot(), args: stack },
      { name: "prod with policies", cwd: checkoutRoot(), args: [...stack, "--policy-pack", "policies"] },
    ];
    pulumi(cases[0]!.cwd, ["stack", "init", "empty"], env);
    pulumi(copy, ["stack", "init", "prod"], env);

    const seconds = cases.map((): number[] => []);
    for (let run = 0; run <= runs; run += 1) {
      for (const [index, { cwd, args }] of cases.entries()) {
        const started = Date.now();
        pulumi(cwd, ["preview", ...args], env);
        if (run > 0) seconds[index]!.push((Date.now() - started) / 1000);
      }
    }
    for (const [index, { name }] of cases.entries()) {
      const ratio = median(seconds[index]!.map((value, run) => value / seconds[0]![run]!));
      const spread = `${Math.min(...seconds[index]!).toFixed(1)}–${Math.max(...seconds[index]!).toFixed(1)} s`;
      process.stdout.write(
        `${name.padEnd(26)} median ${median(seconds[index]!).toFixed(1)} s (${spread}), ${ratio.toFixed(2)} × empty\n`,
      );
    }
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function emptyProject(work: string): string {
  const folder = path.join(work, "empty");
  fs.mkdirSync(folder);
  const runtime = "runtime: { name: nodejs, options: { typescript: false } }";
  fs.writeFileSync(path.join(folder, "Pulumi.yaml"), `name: empty\n${runtime}\nmain: index.js\n`);
  fs.writeFileSync(path.join(folder, "package.json"), '{ "name": "empty" }\n');
  fs.writeFileSync(path.join(folder, "index.js"), 'require("@pulumi/pulumi");\n');
  fs.symlinkSync(path.join(checkoutRoot(), "node_modules"), path.join(folder, "node_modules"));
  return folder;
}

function pulumi(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv): void {
  const result = spawnSync("pulumi", [...args, "--non-interactive"], { cwd, env, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`pulumi ${args.join(" ")} failed:\n${result.stdout}${result.stderr}`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
