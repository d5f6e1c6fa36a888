import { Argument } from "@commander-js/extra-typings";
import { describeCommand, runLine, subcommand } from "../../command/parse";
import { runCommand } from "../../command/end";
import { staleness, today } from "../../rules/versions";
import { ensureTools, fromCache, fromPath } from "./ensure";
import { recipe, toolNames, type ToolName } from "./recipes";

const report = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function main(): Promise<number> {
  const program = describeCommand({
    start: "node bin/run.cjs tools/toolchain/cli",
    what: "Tools that kvmesh downloads or builds: docs/toolchain.md.",
    example: "ensure kubectl pulumi",
  });
  subcommand(program, "ensure", "gets tools and prints their paths")
    .addArgument(new Argument("<NAME...>", "which").choices(toolNames))
    .action(async (names) => {
      const found = await ensureTools(names, report);
      for (const name of names) process.stdout.write(`${name} ${found[name]}\n`);
    });
  subcommand(program, "list", "what there is, and where it comes from").action(async () => {
    const old = staleness(today());
    if (old !== undefined) report(old);
    for (const name of toolNames) process.stdout.write(`${await describe(name)}\n`);
  });
  await runLine(program, process.argv.slice(2));
  return 0;
}

async function describe(name: ToolName): Promise<string> {
  const label = `${name.padEnd(27)} ${recipe(name).version.padEnd(9)}`;
  const onPath = await fromPath(name);
  if (onPath) return `${label} PATH       ${onPath.path}`;
  const cached = await fromCache(name);
  return cached ? `${label} ${cached.source!.how.padEnd(10)} ${cached.path}` : `${label} not here yet`;
}

runCommand(main);
