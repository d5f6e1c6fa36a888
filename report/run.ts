import * as fs from "node:fs";
import * as path from "node:path";
import { catalogue } from "../policies/catalogue";
import { PACK_NAME } from "../policies/pack";
import { evaluate } from "./evaluate";
import { Observations } from "./events";
import { CHECKOUT, cliVersion, commit, disabledRules, packDigest, readStackFile } from "./header";
import { renderHtml } from "./html";
import { renderMarkdown } from "./markdown";
import type { Report } from "./model";
import { runPulumi, type Kind } from "./pulumi";

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
  /** Pulumi's own. */
  readonly exitCode: number;
  readonly report: Report;
  readonly files: { readonly markdown: string; readonly html: string; readonly json: string };
}

/**
 * Runs preview, up, or an audit of the deployed state with the policy pack on, and writes the report, also when the run
 * fails. Never turns a run that Pulumi refused into a success.
 */
export async function runWithReport(options: ReportOptions): Promise<ReportResult> {
  const { kind, stack, args = [], env = process.env, say = () => undefined } = options;
  const cwd = path.resolve(options.cwd ?? CHECKOUT);
  const out = path.resolve(options.out ?? path.join(cwd, ".kvmesh", "reports"));
  const stackFile = readStackFile(cwd, stack, valueOf(args, "--config-file"));
  const observations = new Observations(PACK_NAME);
  const time = new Date().toISOString();
  const [head, version, exitCode] = await Promise.all([
    commit(cwd),
    cliVersion(env),
    runPulumi({
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
    }),
  ]);
  const report = evaluate({
    observations,
    disabled: disabledRules(
      options.packConfig,
      catalogue.map(({ id }) => id),
    ),
    header: {
      judged: kind === "analyze" ? "state" : kind === "up" && observations.isPreview === false ? "deployed" : "preview",
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
    },
  });
  return { exitCode, report, files: write(out, `${stack.split("/").at(-1)}-${kind}`, report) };
}

function write(out: string, name: string, report: Report): ReportResult["files"] {
  fs.mkdirSync(out, { recursive: true });
  const files = {
    markdown: path.join(out, `${name}.md`),
    html: path.join(out, `${name}.html`),
    json: path.join(out, `${name}.json`),
  };
  fs.writeFileSync(files.markdown, renderMarkdown(report));
  fs.writeFileSync(files.html, renderHtml(report));
  fs.writeFileSync(files.json, `${JSON.stringify(report, undefined, 2)}\n`);
  return files;
}

/** Options without their values, which may be secrets (`--config`). */
function optionNames(args: readonly string[]): readonly string[] {
  return args.filter((arg) => arg.startsWith("-")).map((arg) => arg.split("=")[0]!);
}

function valueOf(args: readonly string[], option: string): string | undefined {
  const index = args.indexOf(option);
  return index >= 0 ? args[index + 1] : args.find((arg) => arg.startsWith(`${option}=`))?.slice(option.length + 1);
}
