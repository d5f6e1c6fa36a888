import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cacheDir, checkoutRoot, versions, type Report } from "../toolchain";
import { moduleDir } from "../toolchain/build";
import { platform } from "../toolchain/ensure";
import { findGo } from "../toolchain/go";

/** The sources of Istio that its tools are built from, read-only, in Go's module cache. */
export async function istioModule(report: Report = () => undefined): Promise<string> {
  const module = "tools/gomod/quickstart";
  const go = await findGo(platform(), report, module);
  return moduleDir("istio.io/istio", go, path.join(checkoutRoot(), module));
}

/** Where each chart is in the module, and under which name it is published. */
const charts = {
  base: "manifests/charts/base",
  istiod: "manifests/charts/istio-control/istio-discovery",
  gateway: "manifests/charts/gateway",
} as const;

/**
 * A folder with Istio's charts `base`, `istiod` and `gateway` as its release has them: the version set in Chart.yaml,
 * and image hub and tag in the defaults. For installing from local folders where no chart repository can be reached.
 */
export async function istioCharts(report?: Report): Promise<string> {
  const dir = path.join(cacheDir(), "charts", `istio-${versions.istio}`);
  if (await isThere(dir)) return dir;
  const module = await istioModule(report);
  const part = `${dir}.${process.pid}.part`;
  try {
    for (const [name, place] of Object.entries(charts)) {
      await copyWritable(path.join(module, place), path.join(part, name));
      for (const file of ["Chart.yaml", "values.yaml"]) {
        const target = path.join(part, name, file);
        await fs.writeFile(target, asReleased(await fs.readFile(target, "utf8"), versions.istio));
      }
    }
    await fs.rename(part, dir).catch(async (error: unknown) => {
      if (!(await isThere(dir))) throw error; // else another process was as fast
    });
    return dir;
  } finally {
    await fs.rm(part, { recursive: true, force: true });
  }
}

/** What Istio's release builder changes in a chart's files: placeholders of version, hub and tag. */
export function asReleased(text: string, version: string): string {
  return text
    .replaceAll(/^(version|appVersion): 1\.0\.0$/gm, `$1: ${version}`)
    .replaceAll(/^(\s+)hub: registry\.istio\.io\/testing$/gm, "$1hub: docker.io/istio")
    .replaceAll(/^(\s+)tag: latest$/gm, `$1tag: ${version}`);
}

/** The module cache is read-only, modes included. */
async function copyWritable(from: string, to: string): Promise<void> {
  await fs.mkdir(to, { recursive: true });
  for (const entry of await fs.readdir(from, { withFileTypes: true })) {
    const source = path.join(from, entry.name);
    const target = path.join(to, entry.name);
    if (entry.isDirectory()) await copyWritable(source, target);
    else await fs.writeFile(target, await fs.readFile(source));
  }
}

async function isThere(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
