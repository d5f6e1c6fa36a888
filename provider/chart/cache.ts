import * as fs from "node:fs";
import * as path from "node:path";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../core/kind";
import type { ChartInputs } from "./schema";

/**
 * Charts of a checkout: `.kvmesh/charts/<name>-<version>/` as unpacked, with the archive's digest beside it in
 * `<name>-<version>.sha256`.
 */
const FOLDER = ".kvmesh/charts";

/** The parent of dist/. Not the working folder: the engine starts the plugin in that of the program, which is `bin` here. */
export const CHECKOUT = path.resolve(__dirname, "../../..");

const MAX_UNPACKED = 256 * 2 ** 20;

/** Relative to the checkout. */
export function chartPath(inputs: Pick<ChartInputs, "name" | "version">): string {
  return `${FOLDER}/${inputs.name}-${inputs.version}`;
}

/** The digest of what is unpacked on this machine; undefined: nothing, or nothing whole. */
export function cachedDigest(inputs: ChartInputs, checkout: string): string | undefined {
  const folder = path.join(checkout, chartPath(inputs));
  try {
    if (!fs.existsSync(path.join(folder, "Chart.yaml"))) return undefined;
    return fs.readFileSync(`${folder}.sha256`, "utf8").trim();
  } catch {
    return undefined;
  }
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/**
 * Unpacks beside the final place and renames: a folder of this name is always whole. Nothing is written before the whole
 * archive was read and every entry found to be a plain file or folder inside a folder of the chart's name.
 */
export async function unpack(inputs: ChartInputs, archive: Buffer, checkout: string): Promise<void> {
  const target = path.join(checkout, chartPath(inputs));
  const chart = `chart ${inputs.name} ${inputs.version}`;
  await inspect(inputs, chart, archive);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const { extract } = await import("tar");
  const temporary = fs.mkdtempSync(`${target}.`);
  try {
    await pipeline(Readable.from([archive]), extract({ cwd: temporary, strict: true }));
    fs.rmSync(target, { recursive: true, force: true });
    fs.rmSync(`${target}.sha256`, { force: true });
    fs.renameSync(path.join(temporary, inputs.name), target);
    fs.writeFileSync(`${target}.sha256`, `${digestOf(archive)}\n`);
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

async function inspect(inputs: ChartInputs, chart: string, archive: Buffer): Promise<void> {
  const { list } = await import("tar");
  const entries: { readonly path: string; readonly type: string; readonly size: number }[] = [];
  try {
    await pipeline(
      Readable.from([archive]),
      list({ strict: true, onReadEntry: ({ path: name, type, size }) => entries.push({ path: name, type, size }) }),
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${chart}: its archive can't be unpacked (${reason}); was the download cut off?`);
  }
  for (const entry of entries) {
    const parts = entry.path.split("/");
    const plain = ["File", "OldFile", "Directory"].includes(entry.type);
    if (!plain || parts[0] !== inputs.name || parts.includes("..")) {
      throw new UserError(`${chart}: its archive holds ${JSON.stringify(entry.path)} (${entry.type}); refused`);
    }
  }
  if (entries.reduce((sum, { size }) => sum + size, 0) > MAX_UNPACKED) {
    throw new UserError(`${chart}: its archive unpacks to more than ${MAX_UNPACKED / 2 ** 20} MiB; that is no chart`);
  }
  if (!entries.some((entry) => entry.path === `${inputs.name}/Chart.yaml`)) {
    throw new UserError(`${chart}: its archive holds no ${inputs.name}/Chart.yaml; was the download cut off?`);
  }
}
