import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import { catalogue, type Level, type Rule } from "../policies/catalogue";
import { evaluationTime } from "../policies/clock";
import { PACK_NAME } from "../policies/pack";
import { findRule } from "../policies/run";
import { loadWaivers } from "../policies/waivers";
import { withChanges } from "./changes";
import { exitCodeOf } from "./conclusion";
import { evaluate } from "./evaluate";
import { Observations } from "./events";
import { ReportFolder, type ReportFiles } from "./files";
import { CHECKOUT, cliVersion, commit, readStackFile } from "./header";
import { Locator } from "./locate";
import type { Header, Report, RunEnd } from "./model";
import { NO_PACK_CONFIG, readPackConfig, type PackConfig } from "./pack-config";
import { packDigest } from "./pack-digest";
import { runPulumi, type Kind as PulumiKind, type PulumiEnd } from "./pulumi";
import { exportState, judgeState, parseState } from "./state";
import { emptyBackend } from "./without-state";

export type Kind = PulumiKind | "analyze";

export interface ReportOptions {
  readonly kind: Kind;
  readonly stack: string;
  /** Folder of the Pulumi project; default: the checkout. */
  readonly cwd?: string;
  /** Folder of the pack; default: the checkout's policies/. A state is judged by the checkout's own. */
  readonly pack?: string;
  /** File for --policy-pack-config. */
  readonly packConfig?: string;
  /** Folder for the reports; default: .kvmesh/reports of the project. */
  readonly out?: string;
  /** analyze: an exported state, in place of the stack's own; no login is needed. */
  readonly stateFile?: string;
  /** preview: without the stack's state, from committed facts alone; no login is needed. */
  readonly withoutState?: boolean;
  /** The report of a pull request's base. */
  readonly base?: Report;
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
 *
 * @throws one sentence when the input can't be read; then there is no report of this run, and none looks like it.
 */
export async function runWithReport(options: ReportOptions): Promise<ReportResult> {
  const { kind, stack, args = [], say = () => undefined } = options;
  const cwd = path.resolve(options.cwd ?? CHECKOUT);
  const out = path.resolve(options.out ?? path.join(cwd, ".kvmesh", "reports"));
  const folder = new ReportFolder(out, `${stack.split("/").at(-1)}-${kind}`);
  folder.markOlder();
  const configFile = valueOf(args, "--config-file");
  const stackFile = await readStackFile(cwd, stack, configFile);
  const pack = path.resolve(options.pack ?? path.join(CHECKOUT, "policies"));
  const { environment } = stackFile;
  const packConfig = packConfigOf(options.packConfig, ({ level }) => level[environment]);
  const observations = new Observations(PACK_NAME);
  const now = evaluationTime(options.env ?? process.env);
  // Whoever judges, judges for the time that stands in the header.
  const env = { ...(options.env ?? process.env), KVMESH_EVALUATION_TIME: now.toISOString() };
  const waivers = loadWaivers(env, path.dirname(pack), { now, rule: findRule });
  const digest = packDigest(pack);
  const [head, version] = await Promise.all([commit(cwd), cliVersion(env)]);
  const given =
    options.stateFile === undefined ? undefined : parseState(readInput("--file", options.stateFile), options.stateFile);
  const notes: string[] = [];

  const reportOf = (judged: Header["judged"], end: RunEnd, exitCode: number): Report => {
    const report = evaluate({
      observations,
      packConfig,
      waivers,
      locator: new Locator(stackFile.path, stackFile.text),
      header: {
        judged,
        state: options.withoutState === true ? "none" : given === undefined ? "own" : "file",
        stack,
        environment,
        commit: head,
        pack: {
          name: PACK_NAME,
          version: observations.packVersion ?? (kind === "analyze" ? packVersion(pack) : "not loaded"),
          digest,
          folder: path.relative(cwd, pack) || ".",
        },
        packConfig: { digest: packConfig.digest, settings: [...packConfig.settings] },
        stackFile: { path: stackFile.path, digest: stackFile.digest },
        cliVersion: version,
        time: now.toISOString(),
        command: commandOf(options, args),
        exitCode,
        end,
        notes: [...notes],
      },
    });
    return options.base === undefined ? report : withChanges(report, options.base);
  };

  // Whatever becomes of this process, what stands under the report's name is then of this run.
  folder.write(reportOf(JUDGED[kind], { state: "running" }, 0));
  const judge = async (): Promise<PulumiEnd> => {
    say(`judging the state of stack ${stack}`);
    const { text, ...ended } =
      given === undefined ? await exportState(stack, { cwd, env, args }) : { exitCode: 0, text: undefined };
    const state = text === undefined ? given : parseState(text, `the state of ${stack}`);
    if (state === undefined) return ended;
    notes.push(...state.notes);
    judgeState(state, { environment, now, waivers, packConfig }, observations);
    return ended;
  };
  const runOf = async (pulumi: PulumiKind): Promise<PulumiEnd> => {
    const name = stack.split("/").at(-1)!;
    const ownFile = path.resolve(cwd, configFile ?? `Pulumi.${name}.yaml`);
    const backend = options.withoutState === true ? await emptyBackend(cwd, name, ownFile, env) : undefined;
    notes.push(...(backend?.notes ?? []));
    try {
      return await runPulumi({
        kind: pulumi,
        stack: backend === undefined ? stack : name,
        cwd,
        pack,
        ...(options.packConfig !== undefined && { packConfig: options.packConfig }),
        args: backend === undefined ? args : [...withoutOption(args, "--config-file"), ...backend.args],
        env: backend?.env ?? env,
        onEvent: (event) => {
          observations.add(event);
        },
      });
    } finally {
      backend?.dispose();
    }
  };
  const ended = await (kind === "analyze" ? judge() : runOf(kind)).catch((error: unknown): PulumiEnd => ({
    exitCode: 1,
    broken: error instanceof Error ? error.message : String(error),
  }));
  // `up` shows a preview first, and may end with it.
  const judged = kind === "up" && observations.isPreview === true ? "preview" : JUDGED[kind];
  const report = reportOf(judged, endOf(ended, observations), ended.exitCode);
  return { exitCode: exitCodeOf(report), report, files: folder.write(report) };
}

const JUDGED: Readonly<Record<Kind, Header["judged"]>> = { preview: "preview", up: "deployed", analyze: "state" };

/** A log that ends between two lines is cut off, too: the engine's last event is missing. */
function endOf({ broken }: PulumiEnd, observations: Observations): RunEnd {
  if (broken !== undefined) return { state: "broken", reason: broken };
  if (!observations.ended) return { state: "broken", reason: "the event log stops before the engine's last event" };
  return { state: "ended" };
}

function packConfigOf(file: string | undefined, levels: (rule: Rule) => Level): PackConfig {
  if (file === undefined) return NO_PACK_CONFIG;
  return readPackConfig(file, readInput("--pack-config", file), catalogue, levels);
}

function readInput(option: string, file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`${option}: ${(error as Error).message}`);
  }
}

function packVersion(pack: string): string {
  const { version } = createRequire(path.join(pack, "package.json"))("./package.json") as { version?: string };
  return version ?? "unknown";
}

function commandOf({ kind, stateFile, withoutState }: ReportOptions, args: readonly string[]): string {
  const ours = [...(stateFile === undefined ? [] : ["--file"]), ...(withoutState === true ? ["--without-state"] : [])];
  const command = kind === "analyze" ? "stack export, judged by the pack" : kind;
  return ["pulumi", command, ...ours, ...optionNames(args)].join(" ");
}

/** Options without their values, which may be secrets (`--config`). */
function optionNames(args: readonly string[]): readonly string[] {
  return args.filter((arg) => arg.startsWith("-")).map((arg) => arg.split("=")[0]!);
}

function valueOf(args: readonly string[], option: string): string | undefined {
  const index = args.indexOf(option);
  return index >= 0 ? args[index + 1] : args.find((arg) => arg.startsWith(`${option}=`))?.slice(option.length + 1);
}

function withoutOption(args: readonly string[], option: string): readonly string[] {
  const index = args.indexOf(option);
  const rest = index < 0 ? args : [...args.slice(0, index), ...args.slice(index + 2)];
  return rest.filter((arg) => !arg.startsWith(`${option}=`));
}
