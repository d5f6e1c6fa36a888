import * as fs from "node:fs";
import * as path from "node:path";
import { runCommand } from "../command/end";
import { UsageError } from "../command/errors";
import { describeCommand, parseLine } from "../command/parse";
import { withChanges } from "./changes";
import { exitCodeOf } from "./conclusion";
import { ReportFolder, type ReportFiles } from "./files";
import { parseReport, type Report } from "./model";
import { runWithReport, type Kind, type ReportOptions } from "./run";
import { verdict } from "./text";

const WHAT = `Runs Pulumi with the policy pack on and writes the report as Markdown, HTML, JSON, SARIF and JUnit (docs/report.md).
  preview   the plan, before anything is made
  up        the same for what \`up\` makes
  analyze   the state of the deployed stack; runs no program
Or, with --from, writes the formats of a report again.`;

const KINDS: readonly string[] = ["preview", "up", "analyze"] satisfies readonly Kind[];

function describeReport() {
  return describeCommand({
    start: "npm run report --",
    what: WHAT,
    example: "--stack prod -- preview",
    codes: {
      1: "a mandatory rule is violated",
      4: "the run did not end well (interrupted, killed, its log cut off), and there is no verdict",
    },
  })
    .argument("[WHAT]", "preview, up or analyze, behind `--`")
    .argument("[PULUMI_OPTIONS...]", "of that command")
    .option("-s, --stack <STACK>", "name of the stack")
    .option("--cwd <DIR>", "folder of the Pulumi project (default: this checkout)")
    .option("--out <DIR>", "where the reports go (default: .kvmesh/reports of the project)")
    .option("--base <REPORT>", "the report of a pull request's base, JSON: what is new against it is said first")
    .option("--pack <DIR>", "another policy pack (preview, up)")
    .option("--pack-config <FILE>", "settings of the pack, as for Pulumi's --policy-pack-config")
    .option("--file <STATE>", "analyze: an exported state (`pulumi stack export`); no login is needed")
    .option("--without-state", "preview: from committed facts alone; no login is needed")
    .option("--from <REPORT>", "writes the formats of this report, JSON, again; runs nothing");
}

type Values = ReturnType<ReturnType<typeof describeReport>["opts"]>;

async function main(): Promise<number> {
  const command = describeReport();
  const line = process.argv.slice(2);
  if (!parseLine(command, line)) return 0;
  const values = command.opts();
  const [kind = "", args] = command.processedArgs;
  const base = values.base === undefined ? undefined : readReport(values.base);
  if (values.from !== undefined) {
    if (kind !== "") throw new UsageError("--from runs nothing: leave out what is after `--`");
    const given = readReport(values.from);
    const report = base === undefined ? given : withChanges(given, base);
    const folder = values.out ?? path.dirname(values.from);
    return told(report, new ReportFolder(folder, path.basename(values.from, ".json")).write(report));
  }
  if (!line.includes("--")) {
    throw new UsageError("`--` in front of what to run is missing, as in `npm run report -- --stack prod -- preview`");
  }
  const { report, files } = await runWithReport({
    ...runOptions(kind, values),
    ...(base !== undefined && { base }),
    args,
    say: (text) => process.stderr.write(`${text}\n`),
  });
  return told(report, files);
}

function runOptions(kind: string, values: Values): ReportOptions {
  const { stack, file, pack } = values;
  if (!KINDS.includes(kind)) throw new UsageError(`found "${kind}", but can run ${KINDS.join(", ")}`);
  if (stack === undefined) throw new UsageError("--stack is missing");
  if (file !== undefined && kind !== "analyze") throw new UsageError("--file is of analyze");
  if (values.withoutState === true && kind !== "preview") throw new UsageError("--without-state is of preview");
  if (pack !== undefined && kind === "analyze")
    throw new UsageError(
      "--pack: a state is judged by the checkout's own pack; run the report of that pack's checkout",
    );
  return {
    kind: kind as Kind,
    stack,
    ...(values.cwd !== undefined && { cwd: values.cwd }),
    ...(pack !== undefined && { pack }),
    ...(values.packConfig !== undefined && { packConfig: values.packConfig }),
    ...(values.out !== undefined && { out: values.out }),
    ...(file !== undefined && { stateFile: file }),
    ...(values.withoutState === true && { withoutState: true }),
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
    throw new UsageError(`no report: ${(error as Error).message}`);
  }
  return parseReport(text, file);
}

runCommand(main);
