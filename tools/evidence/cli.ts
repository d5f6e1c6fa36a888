import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describeCommand, parseLine } from "../../command/parse";
import { runCommand } from "../../command/end";
import { checkoutRoot } from "../toolchain/cache";
import { evidenceIn, evidenceTable } from "./index";

const WHAT =
  "Shows what was measured of each machine of a deployed stack, from its state, and computes each digest again.";

function main(): number {
  const command = describeCommand({
    start: "npm run evidence --",
    what: WHAT,
    example: "prod --json",
    codes: { 1: "there is no evidence, or a digest is not its record's" },
  })
    .argument("<STACK>", "name of the stack")
    .option("--json", "also write one file a machine in .kvmesh/evidence/STACK")
    .option("--file <STATE>", "an export (`pulumi stack export`) in place of the stack's state");
  if (!parseLine(command, process.argv.slice(2))) return 0;
  const [stack] = command.processedArgs;
  const { json, file: state } = command.opts();
  const found = evidenceIn(state === undefined ? exported(stack) : fs.readFileSync(state, "utf8"));
  if (found.length === 0) {
    process.stderr.write(`evidence: stack ${stack} has none: \`pulumi up\` measures\n`);
    return 1;
  }
  process.stdout.write(`${found.flatMap((one) => evidenceTable(one)).join("\n")}\n`);
  if (json === true) {
    const folder = path.join(checkoutRoot(), ".kvmesh/evidence", path.basename(stack));
    fs.mkdirSync(folder, { recursive: true });
    for (const { record, digest } of found) {
      const file = path.join(folder, `${record.machine}.json`);
      fs.writeFileSync(file, `${JSON.stringify({ digest, record }, null, 2)}\n`);
      process.stdout.write(`${path.relative(process.cwd(), file)}\n`);
    }
  }
  return found.every(({ computed, digest }) => computed === digest) ? 0 : 1;
}

/** Secrets stay ciphertext; no machine is asked. */
function exported(stack: string): string {
  try {
    return execFileSync("pulumi", ["stack", "export", "--stack", stack, "--non-interactive"], {
      cwd: checkoutRoot(),
      encoding: "utf8",
      maxBuffer: 2 ** 30,
      stdio: ["ignore", "pipe", "inherit"],
    });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Error(
      missing
        ? 'pulumi is not on PATH: install it, or `eval "$(npm run -s env)"` first, or give an export with --file'
        : `the state of stack ${stack} can't be read; what Pulumi says is above`,
    );
  }
}

runCommand(main);
