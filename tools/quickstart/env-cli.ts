import { describeCommand, parseLine } from "../../command/parse";
import { runCommand } from "../../command/end";
import { checkoutRoot } from "../toolchain";
import { dataDir } from "../site";
import { printEnvironment } from "./take-down";

const WHAT = `Prints shell commands that give a shell pulumi, kubectl and what they need for the quickstart's stack:
eval "$(npm run -s env)"`;

runCommand(async () => {
  const command = describeCommand({ start: "npm run -s env --", what: WHAT, example: "" });
  if (!parseLine(command, process.argv.slice(2))) return 0;
  await printEnvironment({ checkout: checkoutRoot(), data: dataDir() }, (line) => {
    process.stdout.write(`${line}\n`);
  });
  return 0;
});
