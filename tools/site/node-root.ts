import * as fs from "node:fs";
import * as path from "node:path";
import { cacheDir, scriptsDir } from "./cache";
import type { ImageRecipe } from "../images";
import { nodeIngredients } from "./ingredients";
import { ensureRoot, key, nodeRecipe, once } from "./roots";
import { versions, type Versions } from "../toolchain";
import { run } from "./run";
import type { Report } from "./types";

/**
 * The node root with Kubernetes in it: kubeadm, kubelet and kubectl in /usr/bin, and images in containerd's store; default: every
 * image, those of the mesh too. `given`: of another Kubernetes than the quickstart's, for labs that upgrade.
 */
export async function ensureNodeRoot(
  report: Report,
  recipes?: readonly ImageRecipe[],
  given: Versions = versions,
): Promise<string> {
  const debian = await ensureRoot(nodeRecipe, report);
  const { binaries, images } = await nodeIngredients(debian, report, given, recipes);
  const script = path.join(scriptsDir(), "import-images.sh");
  const id = key(
    path.basename(debian),
    Object.values(binaries).map(fingerprint),
    images.map(fingerprint),
    fs.readFileSync(script, "utf8"),
  );
  return once(path.join(cacheDir(), "roots", `node-${id}`), report, async (partial) => {
    report(`putting Kubernetes and ${images.length} container images into the nodes' root`);
    await run("cp", ["--archive", "--reflink=auto", debian, partial]);
    for (const [name, binary] of Object.entries(binaries)) {
      const target = path.join(partial, "usr/bin", name);
      fs.copyFileSync(binary, target);
      fs.chmodSync(target, 0o755);
    }
    await run("unshare", ["--mount", "/bin/bash", script, partial, ...images], { what: "importing images", report });
  });
}

/** Tells one build of a file from another without reading it. */
function fingerprint(file: string): readonly [string, number, number] {
  const { size, mtimeMs } = fs.statSync(file);
  return [path.basename(file), size, Math.floor(mtimeMs)];
}
