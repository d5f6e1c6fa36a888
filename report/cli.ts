import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { withChanges } from "./changes";
import { EXIT, exitCodeOf } from "./conclusion";
import { ReportFolder, type ReportFiles } from "./files";
import { parseReport, type Report } from "./model";
import { runWithReport, type Kind, type ReportOptions } from "./run";
import { verdict } from "./text";

const USAGE = `npm run report -- --stack STACK [OPTIONS] -- preview|up|analyze [PULUMI OPTIONS]
npm run report -- --from REPORT.json [--base REPORT.json] [--out DIR]

Runs Pulumi with the policy pack on and writes the report as Markdown, HTML, JSON, SARIF and JUnit (docs/report.md).
  preview   the plan, before anything is made
  up        the same for what \`up\` makes
  analyze   the state of the deployed stack; runs no program

  --cwd DIR            folder of the Pulumi project (default: this checkout)
  --out DIR            where the reports go (default: .kvmesh/reports of the project)
  --base REPORT.json   the report of a pull request's base: what is new against it is said first
  --pack DIR           another policy pack (preview, up)
  --pack-config FILE   settings of the pack, as for Pulumi's --policy-pack-config
  --file STATE.json    analyze: an exported state (\`pulumi stack export\`); no login is needed
  --without-state      preview: from committed facts alone; no login is needed
  --from REPORT.json   writes the formats of a report again; runs nothing

Exit codes: 0 no mandatory rule is violated; 1 one is; 2 wrong arguments or input; 3 Pulumi failed, and not for a rule;
4 the run did not end well (interrupted, killed, its log cut off), and there is no verdict.`;

const KINDS: readonly string[] = ["preview", "up", "analyze"] satisfies readonly Kind[];

/** What the person has to correct. */
class UsageError extends Error {}

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv[0] === "--help" || argv[0] === "-h") {
    process.stdout.write(`${USAGE}\n`);
    return EXIT.ok;
  }
  const separator = argv.indexOf("--");
  const values = options(separator < 0 ? argv : argv.slice(0, separator));
  const base = values.base === undefined ? undefined : readReport(values.base);
  if (values.from !== undefined) {
    if (separator >= 0) throw new UsageError("--from runs nothing: leave out what is after `--`");
    const given = readReport(values.from);
    const report = base === undefined ? given : withChanges(given, base);
    const folder = values.out ?? path.dirname(values.from);
    return told(report, new ReportFolder(folder, path.basename(values.from, ".json")).write(report));
  }
  if (separator < 0) throw new UsageError("`--` and what to run are missing");
  const [kind = "", ...args] = argv.slice(separator + 1);
  const { report, files } = await runWithReport({
    ...runOptions(kind, values),
    ...(base !== undefined && { base }),
    args,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  return told(report, files);
}

function runOptions(kind: string, values: ReturnType<typeof options>): ReportOptions {
  const { stack, file, pack } = values;
  if (!KINDS.includes(kind)) throw new UsageError(`found "${kind}", but can run ${KINDS.join(", ")}`);
  if (stack === undefined) throw new UsageError("--stack is missing");
  if (file !== undefined && kind !== "analyze") throw new UsageError("--file is of analyze");
  if (values["without-state"] === true && kind !== "preview") throw new UsageError("--without-state is of preview");
  if (pack !== undefined && kind === "analyze")
    throw new UsageError(
      "--pack: a state is judged by the checkout's own pack; run the report of that pack's checkout",
    );
  return {
    kind: kind as Kind,
    stack,
    ...(values.cwd !== undefined && { cwd: values.cwd }),
    ...(pack !== undefined && { pack }),
    ...(values["pack-config"] !== undefined && { packConfig: values["pack-config"] }),
    ...(values.out !== undefined && { out: values.out }),
    ...(file !== undefined && { stateFile: file }),
    ...(values["without-state"] === true && { withoutState: true }),
  };
}

function told(report: Report, files: ReportFiles): number {
  const others = [files.md, files.json, files.sarif, files["junit.xml"]];
  process.stderr.write(
    `policies: ${verdict(report)}\nreport: ${files.html}\n${others.map((file) => `        ${file}\n`).join("")}`,
  );
  return exitCodeOf(report);
}

function readReport(file: string): Report {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`no report: ${(error as Error).message}`);
  }
  return parseReport(text, file);
}

function options(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        stack: { type: "string", short: "s" },
        cwd: { type: "string" },
        pack: { type: "string" },
        "pack-config": { type: "string" },
        out: { type: "string" },
        file: { type: "string" },
        base: { type: "string" },
        from: { type: "string" },
        "without-state": { type: "boolean" },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`report: ${message}\n${error instanceof UsageError ? `\n${USAGE}\n` : ""}`);
    process.exitCode = EXIT.usage;
  },
);
