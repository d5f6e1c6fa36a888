import { parseArgs } from "node:util";
import { EXIT } from "./conclusion";
import type { Kind } from "./pulumi";
import { runWithReport } from "./run";
import { verdict } from "./text";

const USAGE = `npm run report -- --stack STACK [--cwd DIR] [--pack DIR] [--pack-config FILE] [--out DIR] -- preview|up|analyze [PULUMI OPTIONS]

  Runs Pulumi with the policy pack on and writes the report as Markdown, HTML and JSON (default: .kvmesh/reports).
  preview   the plan, before anything is made
  up        the same for what \`up\` makes
  analyze   the state of the deployed stack; runs no program, and names violations only: Pulumi does not say what held
Exit codes: 0 no mandatory rule is violated; 1 one is; 2 wrong arguments or input; 3 Pulumi failed, and not for a rule; 4 the run did
not end well (interrupted, killed, its log cut off), and there is no verdict.`;

const KINDS: readonly string[] = ["preview", "up", "analyze"] satisfies readonly Kind[];

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv[0] === "--help" || argv[0] === "-h") {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const separator = argv.indexOf("--");
  if (separator < 0) return usage("`--` and what to run are missing");
  const [kind, ...args] = argv.slice(separator + 1);
  if (kind === undefined || !KINDS.includes(kind))
    return usage(`found "${kind ?? ""}", but can run ${KINDS.join(", ")}`);
  let values: ReturnType<typeof options>;
  try {
    values = options(argv.slice(0, separator));
  } catch (error) {
    return usage((error as Error).message);
  }
  if (values.stack === undefined) return usage("--stack is missing");
  const { exitCode, report, files } = await runWithReport({
    kind: kind as Kind,
    stack: values.stack,
    args,
    ...(values.cwd !== undefined && { cwd: values.cwd }),
    ...(values.pack !== undefined && { pack: values.pack }),
    ...(values["pack-config"] !== undefined && { packConfig: values["pack-config"] }),
    ...(values.out !== undefined && { out: values.out }),
    say: (line) => process.stderr.write(`${line}\n`),
  });
  process.stderr.write(
    `policies: ${verdict(report)}\nreport: ${files.html}\n        ${files.markdown}\n        ${files.json}\n`,
  );
  return exitCode;
}

function options(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      stack: { type: "string", short: "s" },
      cwd: { type: "string" },
      pack: { type: "string" },
      "pack-config": { type: "string" },
      out: { type: "string" },
    },
  });
  return values;
}

function usage(problem: string): number {
  process.stderr.write(`report: ${problem}\n\n${USAGE}\n`);
  return EXIT.usage;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`report: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = EXIT.usage;
  },
);
