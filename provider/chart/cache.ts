import * as fs from "node:fs";
import * as path from "node:path";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract } from "tar";
import { UserError } from "../core/kind";
import type { ChartInputs } from "./schema";

/**
 * Charts of a checkout: `.kvmesh/charts/<name>-<version>/` as unpacked, with the archive's digest beside it in
 * `<name>-<version>.sha256`. The engine starts the plugin in the project's folder, so paths are relative to it.
 */
const FOLDER = ".kvmesh/charts";

export function chartPath(inputs: Pick<ChartInputs, "name" | "version">): string {
  return `${FOLDER}/${inputs.name}-${inputs.version}`;
}

/** The digest of what is unpacked on this machine; undefined: nothing, or nothing whole. */
export function cachedDigest(inputs: ChartInputs, checkout = process.cwd()): string | undefined {
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
 * Unpacks beside the final place and renames: a folder of this name is always whole. Everything in the archive must lie in
 * a folder of the chart's name, be a plain file or folder, and be small.
 */
export async function unpack(inputs: ChartInputs, archive: Buffer, checkout = process.cwd()): Promise<void> {
  const target = path.join(checkout, chartPath(inputs));
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const temporary = fs.mkdtempSync(`${target}.`);
  try {
    const seen = new Set<string>();
    await pipeline(
      Readable.from([archive]),
      extract({
        cwd: temporary,
        strict: true,
        preservePaths: false,
        onReadEntry: (entry) => {
          // Refused before anything of it is written.
          const parts = entry.path.split("/");
          if (
            !["File", "OldFile", "Directory"].includes(entry.type) ||
            parts.includes("..") ||
            entry.path.startsWith("/")
          ) {
            throw new UserError(
              `chart ${inputs.name} ${inputs.version}: its archive holds ${JSON.stringify(entry.path)} (${entry.type}); refused`,
            );
          }
          seen.add(parts[0] ?? "");
        },
      }),
    );
    if (!seen.has(inputs.name) || !fs.existsSync(path.join(temporary, inputs.name, "Chart.yaml"))) {
      throw new UserError(`chart ${inputs.name} ${inputs.version}: its archive holds no ${inputs.name}/Chart.yaml`);
    }
    fs.rmSync(target, { recursive: true, force: true });
    fs.rmSync(`${target}.sha256`, { force: true });
    fs.renameSync(path.join(temporary, inputs.name), target);
    fs.writeFileSync(`${target}.sha256`, `${digestOf(archive)}\n`);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      `chart ${inputs.name} ${inputs.version}: its archive can't be unpacked (${error instanceof Error ? error.message : String(error)}); ` +
        "was the download cut off?",
    );
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}
