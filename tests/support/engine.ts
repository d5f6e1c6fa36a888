import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as yaml from "yaml";

/** The checkout: parent of dist/. */
export const checkout = path.resolve(__dirname, "../../..");

/** What a run of the CLI ended with. `events` are the engine's own, in order. */
export interface EngineResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout and stderr, for messages of assertions. */
  readonly text: string;
  readonly events: readonly EngineEvent[];
}

/** The fields of an engine event that tests look at; the engine sends more. */
export interface EngineEvent {
  readonly resourcePreEvent?: { readonly metadata: StepMetadata };
  readonly resOutputsEvent?: { readonly metadata: StepMetadata };
  readonly diagnosticEvent?: {
    readonly urn?: string;
    readonly severity: string;
    readonly message: string;
    readonly ephemeral?: boolean;
  };
  readonly summaryEvent?: { readonly resourceChanges: Readonly<Record<string, number>> };
}

export interface StepMetadata {
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  readonly diffs?: readonly string[] | null;
  readonly detailedDiff?: Readonly<Record<string, { readonly diffKind: string; readonly inputDiff?: boolean }>> | null;
}

/** A resource in the exported state. */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

export interface ProjectOptions {
  /** Default "test". */
  readonly name?: string;
  /** JavaScript of index.js; `kvmesh` (provider/sdk) and `pulumi` are in scope. */
  readonly program: string;
  /** Stack configuration, e.g. { "kvmesh:identityFile": "…" }. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: NodeJS.ProcessEnv;
  /** Further plugins beside kvmesh: name and folder. */
  readonly plugins?: readonly { readonly name: string; readonly path: string }[];
}

export interface RunOptions {
  /** Put before the CLI, e.g. ["unshare", "--net"]. */
  readonly wrapper?: readonly string[];
  readonly args?: readonly string[];
  /** In place of the project's own. */
  readonly env?: NodeJS.ProcessEnv;
  /** Asked ten times a second; a signal ends the CLI, the language host and the plugins with it. */
  readonly killWhen?: () => NodeJS.Signals | undefined;
}

const PASSPHRASE = "test passphrase";

/**
 * A temporary Pulumi project with a file backend of its own, run by the real CLI with the plugin of this checkout.
 * `dispose` removes it; nothing is written outside its folder.
 */
export class EngineProject {
  readonly folder: string;
  readonly stack = "test";
  /** Of every run; for those that start the CLI by other means. */
  readonly env: NodeJS.ProcessEnv;

  constructor(private readonly options: ProjectOptions) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-engine-"));
    const home = path.join(this.folder, "home");
    const state = path.join(this.folder, "state");
    fs.mkdirSync(home);
    fs.mkdirSync(state);
    this.env = {
      ...process.env,
      PULUMI_HOME: home,
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DEBUG_COMMANDS: "true",
      ...options.env,
    };
    const plugins = [{ name: "kvmesh", path: path.join(checkout, "provider") }, ...(options.plugins ?? [])];
    this.write("Pulumi.yaml", {
      name: options.name ?? "test",
      runtime: { name: "nodejs", options: { typescript: false } },
      main: "index.js",
      plugins: { providers: plugins },
    });
    this.write(`Pulumi.${this.stack}.yaml`, { config: options.config ?? {} });
    this.write("package.json", { name: options.name ?? "test", main: "index.js" });
    fs.symlinkSync(path.join(checkout, "node_modules"), path.join(this.folder, "node_modules"));
    this.setProgram(options.program);
  }

  /** Replaces the program; the next run uses it. */
  setProgram(program: string): void {
    const sdk = JSON.stringify(path.join(checkout, "dist/provider/sdk"));
    const head = `"use strict";\nconst pulumi = require("@pulumi/pulumi");\nconst kvmesh = require(${sdk});\n`;
    fs.writeFileSync(path.join(this.folder, "index.js"), head + program);
  }

  /** Replaces the stack's configuration; the next run uses it. */
  setConfig(config: Readonly<Record<string, unknown>>): void {
    const name = `Pulumi.${this.stack}.yaml`;
    // Beside the configuration, the CLI keeps the salt of its secrets there.
    const file = yaml.parse(fs.readFileSync(path.join(this.folder, name), "utf8")) as Record<string, unknown>;
    this.write(name, { ...file, config });
  }

  up(options?: RunOptions): Promise<EngineResult> {
    return this.operation("up", ["--yes", "--skip-preview"], options);
  }

  preview(options?: RunOptions): Promise<EngineResult> {
    return this.operation("preview", ["--diff"], options);
  }

  /** `apply: false` only shows what is different (`--preview-only`). */
  refresh(options?: RunOptions & { readonly apply?: boolean }): Promise<EngineResult> {
    const mode = options?.apply === false ? ["--preview-only"] : ["--yes", "--skip-preview"];
    return this.operation("refresh", [...mode, "--diff"], options);
  }

  destroy(options?: RunOptions): Promise<EngineResult> {
    return this.operation("destroy", ["--yes", "--skip-preview"], options);
  }

  import(type: string, name: string, id: string, options?: RunOptions): Promise<EngineResult> {
    return this.operation(
      "import",
      [type, name, id, "--yes", "--skip-preview", "--protect=false", "--generate-code=false"],
      options,
    );
  }

  /** Resources in state; secrets as ciphertext. */
  async resources(): Promise<readonly StateResource[]> {
    const result = await this.run(["stack", "export", "--stack", this.stack]);
    const state = JSON.parse(result.stdout) as { deployment: { resources?: StateResource[] } };
    return state.deployment.resources ?? [];
  }

  async outputs(): Promise<Readonly<Record<string, unknown>>> {
    const result = await this.run(["stack", "output", "--json", "--show-secrets", "--stack", this.stack]);
    return JSON.parse(result.stdout) as Record<string, unknown>;
  }

  /** Every byte that the backend holds: where a secret must not be found. */
  storedText(): string {
    const read = (place: string): string[] =>
      fs
        .readdirSync(place, { withFileTypes: true })
        .flatMap((entry) =>
          entry.isDirectory()
            ? read(path.join(place, entry.name))
            : [fs.readFileSync(path.join(place, entry.name), "utf8")],
        );
    return read(path.join(this.folder, "state")).join("\n");
  }

  /** Process ids of this project's kvmesh plugins. */
  plugins(): readonly number[] {
    return fs.readdirSync("/proc").flatMap((entry) => {
      try {
        if (!/^\d+$/.test(entry) || fs.readFileSync(`/proc/${entry}/stat`, "utf8").includes(") Z ")) return [];
        const words = fs.readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
        if (!words.includes(path.join(checkout, "dist/provider/main.js"))) return [];
        return fs.readFileSync(`/proc/${entry}/environ`, "utf8").includes(this.folder) ? [Number(entry)] : [];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
  }

  /** Any command of the CLI in the project's folder. */
  run(args: readonly string[], options: RunOptions = {}): Promise<EngineResult> {
    const [command, ...rest] = [...(options.wrapper ?? []), "pulumi", ...args, "--non-interactive", "--color=never"];
    const eventLog = args.find((argument) => argument.startsWith("--event-log="))?.slice("--event-log=".length);
    return new Promise((resolve, reject) => {
      // A process group of its own, so that killing it also ends the language host and the plugin.
      const child = spawn(command, rest, {
        cwd: this.folder,
        env: options.env ?? this.env,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const { killWhen } = options;
      const watch = setInterval(() => {
        const signal = killWhen?.();
        if (signal === undefined || child.pid === undefined) return;
        clearInterval(watch);
        process.kill(-child.pid, signal);
      }, 100);
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (data: string) => (stdout += data));
      child.stderr.setEncoding("utf8").on("data", (data: string) => (stderr += data));
      child.on("error", reject);
      child.on("close", (code) => {
        clearInterval(watch);
        const events = eventLog && fs.existsSync(eventLog) ? parseEvents(fs.readFileSync(eventLog, "utf8")) : [];
        resolve({ code: code ?? -1, stdout, stderr, text: stdout + stderr, events });
      });
    });
  }

  /** Makes every write of the stack's state fail, until the returned function is called. Also root may not make a file in a file. */
  refuseState(): () => void {
    const stacks = path.join(this.folder, "state/.pulumi/stacks");
    fs.renameSync(stacks, `${stacks}.away`);
    fs.writeFileSync(stacks, "");
    return () => {
      fs.rmSync(stacks);
      fs.renameSync(`${stacks}.away`, stacks);
    };
  }

  dispose(): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  private async operation(command: string, args: readonly string[], options: RunOptions = {}): Promise<EngineResult> {
    if (
      !fs.existsSync(path.join(this.folder, "state/.pulumi/stacks", this.options.name ?? "test", `${this.stack}.json`))
    ) {
      const result = await this.run(["stack", "init", this.stack]);
      if (result.code !== 0) throw new Error(result.text);
    }
    const eventLog = path.join(this.folder, `events-${process.hrtime.bigint()}.log`);
    return this.run(
      [command, "--stack", this.stack, `--event-log=${eventLog}`, ...args, ...(options.args ?? [])],
      options,
    );
  }

  private write(name: string, value: unknown): void {
    fs.writeFileSync(path.join(this.folder, name), JSON.stringify(value, null, 2));
  }
}

/** How many resources had each operation, as the engine sums up: { create: 2, same: 1 }. */
export function changesIn(result: EngineResult): Readonly<Record<string, number>> {
  return result.events.filter((event) => event.summaryEvent).at(-1)?.summaryEvent?.resourceChanges ?? {};
}

/** Steps of one resource, by the last part of its URN. */
export function stepsOf(result: EngineResult, name: string): readonly StepMetadata[] {
  return result.events.flatMap((event) => {
    const metadata = event.resourcePreEvent?.metadata;
    return metadata?.urn.endsWith(`::${name}`) ? [metadata] : [];
  });
}

function parseEvents(log: string): EngineEvent[] {
  return log
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as EngineEvent);
}
