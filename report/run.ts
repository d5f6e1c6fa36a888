import * as path from "node:path";
import { catalogue } from "../policies/catalogue";
import { PACK_NAME } from "../policies/pack";
import { evaluate } from "./evaluate";
import { Observations } from "./events";
import { CHECKOUT, cliVersion, commit, disabledRules, packDigest, readStackFile } from "./header";
import { exitCodeOf } from "./conclusion";
import { ReportFolder, type ReportFiles } from "./files";
import type { Header, Report, RunEnd } from "./model";
import { runPulumi, type Kind, type PulumiEnd } from "./pulumi";

export interface ReportOptions {
  readonly kind: Kind;
  readonly stack: string;
  /** Folder of the Pulumi project; default: the checkout. */
  readonly cwd?: string;
  /** Folder of the pack; default: the checkout's policies/. */
  readonly pack?: string;
  /** File for --policy-pack-config. */
  readonly packConfig?: string;
  /** Folder for the reports; default: .kvmesh/reports of the project. */
  readonly out?: string;
  /** Further arguments for Pulumi. */
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly say?: (line: string) => void;
}

export interface ReportResult {
  /** As in EXIT; Pulumi's own is in the report's header. */
  readonly exitCode: number;
  readonly report: Report;
  readonly files: ReportFiles;
}

/**
 * Runs preview, up, or an audit of the deployed state with the policy pack on, and writes the report, also when the run
 * fails, is interrupted or is killed. Never turns a run that Pulumi refused into a success.
 */
export async function runWithReport(options: ReportOptions): Promise<ReportResult> {
  const { kind, stack, args = [], env = process.env, say = () => undefined } = options;
  const cwd = path.resolve(options.cwd ?? CHECKOUT);
  const out = path.resolve(options.out ?? path.join(cwd, ".kvmesh", "reports"));
  const folder = new ReportFolder(out, `${stack.split("/").at(-1)}-${kind}`);
  folder.markOlder();
  const stackFile = readStackFile(cwd, stack, valueOf(args, "--config-file"));
  const observations = new Observations(PACK_NAME);
  const disabled = disabledRules(
    options.packConfig,
    catalogue.map(({ id }) => id),
  );
  const [head, version] = await Promise.all([commit(cwd), cliVersion(env)]);
  const reportOf = (judged: Header["judged"], end: RunEnd, exitCode: number): Report =>
    evaluate({
      observations,
      disabled,
      header: {
        judged,
        stack,
        environment: stackFile.environment,
        commit: head,
        packName: PACK_NAME,
        packVersion: observations.packVersion ?? "not loaded",
        packDigest: packDigest(),
        configDigest: stackFile.digest,
        cliVersion: version,
        time,
        command: ["pulumi", kind === "analyze" ? "policy analyze" : kind, ...optionNames(args)].join(" "),
        exitCode,
        end,
      },
    });
  const time = new Date().toISOString();
  // Whatever becomes of this process, what stands under the report's name is then of this run.
  folder.write(reportOf(JUDGED[kind], { state: "running" }, 0));
  const run = await runPulumi({
    kind,
    stack,
    cwd,
    pack: options.pack ?? path.join(CHECKOUT, "policies"),
    ...(options.packConfig !== undefined && { packConfig: options.packConfig }),
    args,
    // `policy analyze` tells packs nothing about the stack; the other two overwrite this.
    env: kind === "analyze" ? { ...env, PULUMI_CONFIG: JSON.stringify(stackFile.config) } : env,
    onEvent: (event) => {
      observations.add(event);
    },
    say,
  });
  // `up` shows a preview first, and may end with it.
  const judged = kind === "up" && observations.isPreview === true ? "preview" : JUDGED[kind];
  const report = reportOf(judged, endOf(kind, run, observations), run.exitCode);
  return { exitCode: exitCodeOf(report), report, files: folder.write(report) };
}

const JUDGED: Readonly<Record<Kind, Header["judged"]>> = { preview: "preview", up: "deployed", analyze: "state" };

/** A log that ends between two lines is cut off, too: the engine's last event is missing. */
function endOf(kind: Kind, { broken }: PulumiEnd, observations: Observations): RunEnd {
  if (broken !== undefined) return { state: "broken", reason: broken };
  if (kind !== "analyze" && !observations.ended)
    return { state: "broken", reason: "the event log stops before the engine's last event" };
  return { state: "ended" };
}

/** Options without their values, which may be secrets (`--config`). */
function optionNames(args: readonly string[]): readonly string[] {
  return args.filter((arg) => arg.startsWith("-")).map((arg) => arg.split("=")[0]!);
}

function valueOf(args: readonly string[], option: string): string | undefined {
  const index = args.indexOf(option);
  return index >= 0 ? args[index + 1] : args.find((arg) => arg.startsWith(`${option}=`))?.slice(option.length + 1);
}
