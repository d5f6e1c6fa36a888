/** What the benchmarks of the CLI share: an environment of their own, an empty program, one run with its times. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { checkoutRoot, pulumiEnv } from "../tools/toolchain";

/** Seconds of one run of the CLI: on the clock, and of all processors, for it and everything that it started. */
export interface Times {
  readonly wall: number;
  readonly cpu: number;
}

/** The CLI with a home and a state of its own in `work`. */
export async function benchEnv(work: string): Promise<NodeJS.ProcessEnv> {
  fs.mkdirSync(path.join(work, "state"));
  return {
    ...(await pulumiEnv((line) => process.stderr.write(`${line}\n`), { home: path.join(work, "home") })),
    PULUMI_BACKEND_URL: `file://${path.join(work, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "bench",
  };
}

/** A project `name` in a folder of its own below `work`, with this checkout's packages and plugin. */
export function project(work: string, name: string, program: string): string {
  const folder = path.join(work, name);
  fs.mkdirSync(folder);
  const runtime = "runtime: { name: nodejs, options: { typescript: false } }";
  const plugin = `plugins: { providers: [{ name: kvmesh, path: ${path.join(checkoutRoot(), "provider")} }] }`;
  fs.writeFileSync(path.join(folder, "Pulumi.yaml"), `name: ${name}\n${runtime}\nmain: index.js\n${plugin}\n`);
  fs.writeFileSync(path.join(folder, "package.json"), `{ "name": "${name}" }\n`);
  fs.writeFileSync(path.join(folder, "index.js"), program);
  fs.symlinkSync(path.join(checkoutRoot(), "node_modules"), path.join(folder, "node_modules"));
  return folder;
}

/** `stack init` writes into the stack file and next to it: it is run in a copy, which is then given by --config-file. */
export function stackOfCheckout(work: string, stack: string, text: string, env: NodeJS.ProcessEnv): readonly string[] {
  const folder = path.join(work, `stack-${stack}`);
  const file = path.join(folder, `Pulumi.${stack}.yaml`);
  fs.mkdirSync(folder);
  fs.copyFileSync(path.join(checkoutRoot(), "Pulumi.yaml"), path.join(folder, "Pulumi.yaml"));
  fs.writeFileSync(file, text);
  pulumi(folder, ["stack", "init", stack], env);
  return ["--stack", stack, "--config-file", file];
}

/** Runs the CLI to its end; throws with all that it said when that is a failure. */
export function pulumi(
  cwd: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Times & { readonly said: string } {
  const started = process.hrtime.bigint();
  // The shell's `times` is the only one that knows the processor time of processes that have ended.
  const script = 'pulumi "$@" --non-interactive; code=$?; times >&3; exit $code';
  const result = spawnSync("sh", ["-c", script, "sh", ...args], {
    cwd,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    maxBuffer: 1 << 28,
  });
  if (result.status !== 0) throw new Error(`pulumi ${args.join(" ")} failed:\n${result.stdout}${result.stderr}`);
  const wall = Number(process.hrtime.bigint() - started) / 1e9;
  return { wall, cpu: childSeconds(String(result.output[3])), said: result.stdout };
}

/** The second line of `times`: user and system time of the children, "0m1.23s 0m0.45s". */
function childSeconds(times: string): number {
  const words = (times.trim().split("\n")[1] ?? "").split(/\s+/);
  return words.reduce((sum, word) => {
    const [minutes, seconds] = word.replace("s", "").split("m");
    return sum + Number(minutes) * 60 + Number(seconds);
  }, 0);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
