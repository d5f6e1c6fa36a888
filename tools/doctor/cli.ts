import { describeCommand, parseLine } from "../../command/parse";
import { runCommand } from "../../command/end";
import { judge } from "./judge";
import { look } from "./look";
import { diagnosisText } from "./text";

const WHAT = `Says what this machine can be, what the quickstart will find on it, and what would stop it. Changes nothing,
and asks official downloads and package registries only where something has to be fetched.`;

runCommand(async () => {
  const command = describeCommand({
    start: "npm run doctor --",
    what: WHAT,
    example: "--json",
    codes: { 1: "something would stop the quickstart, or no cluster can be made here" },
  }).option("--json", "for programs");
  if (!parseLine(command, process.argv.slice(2))) return 0;
  const diagnosis = judge(await look());
  const text =
    command.opts().json === true ? [JSON.stringify(diagnosis, undefined, 2)] : diagnosisText(diagnosis, columns());
  process.stdout.write(`${text.join("\n")}\n`);
  const stops = diagnosis.checks.some(({ verdict }) => verdict === "fail");
  return stops || diagnosis.site === "none" ? 1 : 0;
});

function columns(): number {
  return Math.min(process.stdout.columns || 80, 120);
}
