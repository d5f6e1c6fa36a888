import * as readline from "node:readline/promises";
import { chooseSite, hostUp, siteDown, SiteError, siteStatus, siteUp, type SiteKind, type SiteOptions } from "./index";

const usage = "usage: cli.js up [--yes] [--kind kvm|emulated] | host [--yes] | down | status | choose";

async function main(args: readonly string[]): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const [command, ...rest] = args;
  if (command === "up") say(JSON.stringify(await siteUp(say, options(rest)), undefined, 2));
  else if (command === "host") say(JSON.stringify(await hostUp(say, options(rest)), undefined, 2));
  else if (command === "down" && rest.length === 0) await siteDown(say);
  else if (command === "choose" && rest.length === 0)
    process.stdout.write(`${JSON.stringify(await chooseSite(say), undefined, 2)}\n`);
  else if (command === "status" && rest.length === 0) {
    const status = await siteStatus();
    process.stdout.write(`${[`site: ${status.kind ?? ""} ${status.state}`, ...status.parts].join("\n  ")}\n`);
    process.exitCode = status.state === "up" ? 0 : 3;
  } else throw new SiteError(usage);
}

function options(args: readonly string[]): SiteOptions {
  let kind: SiteKind | undefined;
  let yes = false;
  for (let i = 0; i < args.length; i += 1) {
    const value = args[i + 1];
    if (args[i] === "--yes") yes = true;
    else if (args[i] === "--kind" && (value === "kvm" || value === "emulated")) {
      kind = value;
      i += 1;
    } else throw new SiteError(`unknown option ${JSON.stringify(args[i])}; ${usage}`);
  }
  return { yes, kind, confirm: process.stdin.isTTY ? confirm : undefined };
}

async function confirm(question: string): Promise<boolean> {
  const terminal = readline.createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof SiteError ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exitCode = 1;
});
