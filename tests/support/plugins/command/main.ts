/**
 * Stands in for Pulumi's command provider, which can't be had where only package registries are reachable: `local.Command` as
 * version 1.2.1 does it, without assets, archives and logging. Users have the real one.
 */
import { randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { anyKind, type Change, type Context, type Kind } from "../../../../provider/core/kind";
import { serve } from "../../../../provider/core/server";
import type { Transport } from "../../../../provider/transport/transport";

interface Inputs {
  readonly create?: string;
  readonly update?: string;
  readonly delete?: string;
  readonly stdin?: string;
  readonly dir?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly interpreter?: readonly string[];
  readonly triggers?: readonly unknown[];
  readonly addPreviousOutputInEnv?: boolean;
}

interface Outputs {
  readonly stdout: string;
  readonly stderr: string;
}

const NONE: Outputs = { stdout: "", stderr: "" };

/** Nothing is validated: the engine's own check of the schema is what users' get. */
const command: Kind<Inputs, Outputs> = {
  token: "command:local:Command",
  outputs: { stdout: "volatile", stderr: "volatile" },
  check: (inputs) => ({ inputs, failures: [] }),
  diff: (olds, news) => {
    const names = [...new Set([...Object.keys(olds), ...Object.keys(news)])] as (keyof Inputs | keyof Outputs)[];
    return names
      .filter((name): name is keyof Inputs => name !== "stdout" && name !== "stderr")
      .filter((name) => JSON.stringify(olds[name]) !== JSON.stringify(news[name]))
      .map((name): Change => ({ property: name, effect: name === "triggers" ? "replace" : "live" }));
  },
  create: async (ctx, inputs) => ({
    id: `command${randomBytes(4).toString("hex")}`,
    outputs: await run(ctx, inputs.create, inputs, NONE),
  }),
  // It has no read: a refresh sees what is in state.
  read: (_ctx, _id, known) =>
    Promise.resolve(known && { inputs: known, outputs: { stdout: known.stdout, stderr: known.stderr } }),
  update: (ctx, _id, olds, news) => run(ctx, news.update ?? news.create, news, olds),
  delete: async (ctx, _id, state) => {
    await run(ctx, state.delete, state, state);
  },
};

function run(ctx: Context, text: string | undefined, inputs: Inputs, before: Outputs): Promise<Outputs> {
  if (text === undefined) return Promise.resolve(before);
  const [program, ...args] = [...(inputs.interpreter ?? ["/bin/sh", "-c"]), text];
  const previous =
    inputs.addPreviousOutputInEnv === false
      ? {}
      : {
          ...(before.stdout && { PULUMI_COMMAND_STDOUT: before.stdout }),
          ...(before.stderr && { PULUMI_COMMAND_STDERR: before.stderr }),
        };
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: inputs.dir,
      env: { ...process.env, ...inputs.environment, ...previous },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const end = (): void => void child.kill("SIGKILL");
    ctx.signal.addEventListener("abort", end, { once: true });
    let stdout = "";
    let stderr = "";
    let both = "";
    child.stdout.setEncoding("utf8").on("data", (data: string) => {
      stdout += data;
      both += data;
    });
    child.stderr.setEncoding("utf8").on("data", (data: string) => {
      stderr += data;
      both += data;
    });
    // A command that reads nothing closes it early.
    child.stdin.on("error", () => undefined);
    child.stdin.end(inputs.stdin ?? "");
    child.on("error", reject);
    child.on("close", (code) => {
      ctx.signal.removeEventListener("abort", end);
      if (code !== 0) reject(new Error(`exit status ${code}: running ${JSON.stringify(text)}:\n${both}`));
      else resolve({ stdout: stdout.replace(/\n$/, ""), stderr: stderr.replace(/\n$/, "") });
    });
  });
}

serve({
  kinds: [anyKind(command)],
  version: "1.2.1",
  engine: process.argv
    .slice(2)
    .filter((argument) => /:\d+$/.test(argument))
    .pop(),
  // It speaks to no machine: what it runs does.
  connect: () => Promise.resolve({} as Transport),
  bind: (transport) => transport,
}).catch((error: unknown) => {
  process.stderr.write(`the stand-in of the command provider could not start: ${String(error)}\n`);
  process.exitCode = 1;
});
