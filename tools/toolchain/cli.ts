import { staleness, today } from "../../rules/versions";
import { ensureTools, fromCache, fromPath } from "./ensure";
import { recipe, toolNames, type ToolName } from "./recipes";

const usage = `usage:
  node bin/run.cjs tools/toolchain/cli ensure NAME…   get tools, print their paths
  node bin/run.cjs tools/toolchain/cli list           what there is, and where it comes from
names: ${toolNames.join(" ")}`;

const report = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function main([command, ...args]: readonly string[]): Promise<void> {
  if (command === "ensure" && args.length > 0) {
    const unknown = args.filter((arg) => !(toolNames as readonly string[]).includes(arg));
    if (unknown.length > 0) throw new Error(`no such tool: ${unknown.join(" ")}\n${usage}`);
    const found = await ensureTools(args as ToolName[], report);
    for (const name of args as ToolName[]) process.stdout.write(`${name} ${found[name]}\n`);
  } else if (command === "list" && args.length === 0) {
    const old = staleness(today());
    if (old !== undefined) report(old);
    for (const name of toolNames) process.stdout.write(`${await describe(name)}\n`);
  } else {
    throw new Error(usage);
  }
}

async function describe(name: ToolName): Promise<string> {
  const label = `${name.padEnd(27)} ${recipe(name).version.padEnd(9)}`;
  const onPath = await fromPath(name);
  if (onPath) return `${label} PATH       ${onPath.path}`;
  const cached = await fromCache(name);
  return cached ? `${label} ${cached.source!.how.padEnd(10)} ${cached.path}` : `${label} not here yet`;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`kvmesh: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
