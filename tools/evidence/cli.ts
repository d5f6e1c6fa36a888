import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { evidenceIn, evidenceTable } from "./index";

const USAGE = `npm run evidence -- STACK [--json] [--file STATE]

Shows what was measured of each machine of a deployed stack, from its state, and computes each digest again.
  --json         also writes one file a machine in .kvmesh/evidence/STACK
  --file STATE   an export (\`pulumi stack export\`) in place of the stack's state
Exit code 1: there is no evidence, or a digest is not its record's.`;

const checkout = path.resolve(__dirname, "../../..");

function main(): number {
  const { values, positionals } = parseArgs({
    options: { json: { type: "boolean" }, file: { type: "string" }, help: { type: "boolean" } },
    allowPositionals: true,
  });
  const [stack, ...more] = positionals;
  if (values.help === true || stack === undefined || more.length > 0) {
    (values.help === true ? process.stdout : process.stderr).write(`${USAGE}\n`);
    return values.help === true ? 0 : 2;
  }
  const found = evidenceIn(values.file === undefined ? exported(stack) : fs.readFileSync(values.file, "utf8"));
  if (found.length === 0) {
    process.stderr.write(`evidence: stack ${stack} has none: \`pulumi up\` measures\n`);
    return 1;
  }
  process.stdout.write(`${found.flatMap((one) => evidenceTable(one)).join("\n")}\n`);
  if (values.json === true) {
    const folder = path.join(checkout, ".kvmesh/evidence", path.basename(stack));
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
      cwd: checkout,
      encoding: "utf8",
      maxBuffer: 2 ** 30,
      stdio: ["ignore", "pipe", "inherit"],
    });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Error(missing ? "pulumi is not on PATH" : `the state of ${stack} can't be read`);
  }
}

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`evidence: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
