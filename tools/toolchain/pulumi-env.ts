import * as fs from "node:fs/promises";
import * as path from "node:path";
import { quote } from "../../provider/core/quote";
import { cacheDir, checkoutRoot } from "./cache";
import { findTools, type Found } from "./ensure";
import type { Report } from "./progress";
import type { ToolName } from "./recipes";
import { versions } from "./versions";

export interface PulumiEnvOptions {
  /**
   * The PULUMI_HOME to use; it gets the Kubernetes provider as an installed plugin. Without one the provider is put on
   * PATH instead, which works with every home but makes the CLI print a warning that it came from there.
   */
  readonly home?: string;
  /** Tools to have on PATH beside Pulumi's own; default kubectl. */
  readonly tools?: readonly ToolName[];
}

/** What pulumiEnv gets in any case; a CLI that was built here needs its language host, too. */
export const pulumiTools = ["node", "pulumi", "pulumi-resource-kubernetes", "kubectl"] as const;

/**
 * Gets the Pulumi CLI with what it starts, and returns an environment (this process's own, changed) in which `pulumi`
 * and the other tools are found first.
 */
export async function pulumiEnv(report: Report, options: PulumiEnvOptions = {}): Promise<NodeJS.ProcessEnv> {
  const others = options.tools ?? ["kubectl"];
  const tools = await findTools(["node", "pulumi", "pulumi-resource-kubernetes", ...others], report);
  // An official CLI has its language host beside it; one that was built here needs one that was built here.
  const built = tools.pulumi.source?.how === "go";
  const pulumi = built ? await assemblePulumi(tools.pulumi, report) : path.dirname(tools.pulumi.path);
  const provider = tools["pulumi-resource-kubernetes"];
  const first = [path.dirname(tools.node.path), pulumi, ...others.map((name) => path.dirname(tools[name].path))];
  if (options.home) await installPlugin(options.home, "kubernetes", versions.pulumiKubernetes, provider.path);
  else first.push(path.dirname(provider.path));
  const before = (process.env.PATH ?? "").split(path.delimiter);
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: [...new Set([...first, ...before])].join(path.delimiter),
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  if (options.home) env.PULUMI_HOME = options.home;
  // Where releases can't be reached, looking for more of them would only cost time.
  if (provider.source?.how === "go") env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
  return env;
}

/** The folder that an official archive unpacks to, from parts: the CLI looks for its helpers next to itself. */
async function assemblePulumi(cli: Found, report: Report): Promise<string> {
  const { "pulumi-language-nodejs": host } = await findTools(["pulumi-language-nodejs"], report);
  const id = `${cli.source!.sha256.slice(0, 12)}-${host.source!.sha256.slice(0, 12)}-js`;
  const dir = path.join(cacheDir(), "pulumi", `${versions.pulumi}-${id}`);
  if (await exists(dir)) return dir;
  const part = `${dir}.${process.pid}`;
  await fs.mkdir(part, { recursive: true });
  await fs.link(cli.path, path.join(part, "pulumi")); // not a symbolic link: the CLI would look at its target's folder
  // Today's CLI tells its host what a project's `runtime.options` are by a call that this one does not know; every project here says this.
  const start = `#!/bin/sh\nexec ${quote(host.path)} --typescript=false "$@"\n`;
  await fs.writeFile(path.join(part, "pulumi-language-nodejs"), start, { mode: 0o755 });
  const launcher = "pulumi-resource-pulumi-nodejs"; // of dynamic providers; it comes with the npm package
  await fs.copyFile(path.join(checkoutRoot(), "node_modules/@pulumi/pulumi", launcher), path.join(part, launcher));
  await fs.chmod(path.join(part, launcher), 0o755);
  await renameUnlessThere(part, dir);
  return dir;
}

/** What `pulumi plugin install resource NAME VERSION --file` leaves, without a copy of a large file. */
async function installPlugin(home: string, name: string, version: string, executable: string): Promise<void> {
  const dir = path.join(home, "plugins", `resource-${name}-v${version}`);
  const file = path.join(dir, `pulumi-resource-${name}`);
  if ((await exists(file)) && (await fs.realpath(file)) === (await fs.realpath(executable))) return;
  if ((await exists(file)) && !(await fs.lstat(file)).isSymbolicLink()) return; // the CLI installed it itself
  await fs.mkdir(dir, { recursive: true });
  const link = `${file}.${process.pid}`;
  await fs.symlink(executable, link);
  await fs.rename(link, file);
}

async function renameUnlessThere(from: string, to: string): Promise<void> {
  try {
    await fs.rename(from, to);
  } catch (error) {
    if (!(await exists(to))) throw error;
    await fs.rm(from, { recursive: true, force: true }); // another process was as fast, with the same content
  }
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
