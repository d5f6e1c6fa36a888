import * as readline from "node:readline/promises";
import { Option } from "@commander-js/extra-typings";
import { describeCommand, runLine, subcommand } from "../../command/parse";
import { runCommand } from "../../command/end";
import { chooseSite, hostUp, siteDown, siteStatus, siteUp } from "./index";

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const json = (value: unknown): string => JSON.stringify(value, undefined, 2);

async function main(): Promise<number> {
  let code = 0;
  const program = describeCommand({
    start: "node bin/run.cjs tools/site/cli",
    what: "What a stack runs on where there is no host: docs/site.md.",
    example: "up --yes",
    codes: { 1: "with status, no site is up" },
  });
  const asked = process.stdin.isTTY ? { confirm } : {};
  subcommand(program, "up", "brings the site up and prints its endpoints; twice is once")
    .option("--yes", "install packages without asking")
    .addOption(new Option("--kind <KIND>", "default: the best one").choices(["kvm", "emulated"] as const))
    .action(async (options) => say(json(await siteUp(say, { ...options, ...asked }))));
  subcommand(program, "host", "the emulated KVM host alone, for tests")
    .option("--yes", "install packages without asking")
    .action(async (options) => say(json(await hostUp(say, { ...options, ...asked }))));
  subcommand(program, "down", "ends and removes it; nothing is left but the cache").action(() => siteDown(say));
  subcommand(program, "choose", "which kind it would be, and why").action(async () => {
    process.stdout.write(`${json(await chooseSite(say))}\n`);
  });
  subcommand(program, "status", "what of it runs").action(async () => {
    const status = await siteStatus();
    process.stdout.write(`${[`site: ${status.kind ?? ""} ${status.state}`, ...status.parts].join("\n  ")}\n`);
    code = status.state === "up" ? 0 : 1;
  });
  await runLine(program, process.argv.slice(2));
  return code;
}

async function confirm(question: string): Promise<boolean> {
  const terminal = readline.createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

runCommand(main);
