import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cacheDir, findTools, versions, withProgress, type Report, type ToolName, type Versions } from "../toolchain";
import { withLock } from "../toolchain/lock";
import { parents, skeleton, writeImage, type Layer } from "./archive";
import { istioModule } from "./istio-module";
import { networkTools } from "./network-tools";
import { imageRecipes, type ImageRecipe } from "./recipes";
import { writeTar, type Entry } from "./tar";

/** Raised when the same ingredients shall give another image. */
const format = 1;

export interface BuildOptions {
  /** A Debian 13 root, which the packet filter tools of some images are taken from (needs root, for its own ldd). */
  readonly rootfs: string;
  readonly report: Report;
  /** Default: all, those of the mesh too. */
  readonly images?: readonly ImageRecipe[];
  /** Of the tools in `images`, where they are another Kubernetes' than the quickstart's. */
  readonly versions?: Versions;
}

export interface BuiltImage {
  readonly ref: string;
  /** A docker-archive. */
  readonly tar: string;
}

/** The tools that are in the images. */
export const imageTools = [...new Set(imageRecipes().flatMap((image) => Object.keys(image.tools) as ToolName[]))];

/**
 * Makes the images of a cluster with its mesh for a place that can't pull them, from the tools of the toolchain.
 * Kept in `<cache>/images` by content: a second call is done when the tools are there.
 */
export async function buildImages({
  rootfs,
  report,
  versions: given = versions,
  images = imageRecipes(given),
}: BuildOptions): Promise<BuiltImage[]> {
  if (process.arch !== "x64") throw new Error(`images are made for x64 only, this is ${process.arch}`);
  const names = [...new Set(images.flatMap((image) => Object.keys(image.tools) as ToolName[]))];
  const tools = await findTools(names, report, given);
  const files: Record<string, string> = {};
  const sums: Record<string, string> = {};
  for (const name of names) {
    files[name] = tools[name].path;
    sums[name] = tools[name].source?.sha256 ?? (await sumOf(tools[name].path));
  }
  const dir = path.join(cacheDir(), "images");
  const waiting = (holder: string): void => report(`images: ${holder} is making them; waiting`);
  return withLock(path.join(dir, "lock"), waiting, async () => {
    const network = await networkLayer(rootfs, dir);
    try {
      const istio = images.some((image) => image.istioFiles) ? await istioModule(report) : "";
      const built: BuiltImage[] = [];
      for (const [index, image] of images.entries()) {
        const what = `image ${image.ref} (${index + 1} of ${images.length})`;
        const tar = await withProgress(report, what, () => one(image, files, sums, network, istio, dir));
        built.push({ ref: image.ref, tar });
      }
      return built;
    } finally {
      await fs.rm(network.file, { force: true });
    }
  });
}

async function one(
  image: ImageRecipe,
  files: Readonly<Record<string, string>>,
  sums: Readonly<Record<string, string>>,
  network: Layer,
  istio: string,
  dir: string,
): Promise<string> {
  const entries: Entry[] = image.network ? [] : skeleton();
  const ingredients: unknown[] = [format, image, image.network ? network.sha256 : ""];
  for (const [tool, place] of Object.entries(image.tools)) {
    entries.push(...parents(place), { path: place, kind: "file", mode: 0o755, from: files[tool]! });
    ingredients.push(sums[tool]);
  }
  for (const [source, place] of Object.entries(image.istioFiles ?? {})) {
    const data = await fs.readFile(path.join(istio, source), "utf8");
    entries.push(...parents(place), { path: place, kind: "file", data });
    ingredients.push(data);
  }
  const key = createHash("sha256").update(JSON.stringify(ingredients)).digest("hex").slice(0, 12);
  const target = path.join(dir, `${image.ref.replace(/^.*\//, "").replace(":", "-")}-${key}.tar`);
  if (await isThere(target)) return target;
  const file = path.join(dir, `layer.${process.pid}.tar`);
  try {
    const own: Layer = { file, sha256: await writeTar(file, unique(entries)) };
    await writeImage(target, image, image.network ? [network, own] : [own]);
    return target;
  } finally {
    await fs.rm(file, { force: true });
  }
}

/** The layer that several images share, made anew from the root each time (10 MB): its sum is part of their keys. */
async function networkLayer(rootfs: string, dir: string): Promise<Layer> {
  await fs.mkdir(dir, { recursive: true });
  const file = path.join(dir, `network.${process.pid}.tar`);
  return { file, sha256: await writeTar(file, [...skeleton(), ...(await networkTools(rootfs))]) };
}

/** Without the second mention of a folder. */
function unique(entries: readonly Entry[]): Entry[] {
  const seen = new Set<string>();
  return entries.filter((entry) => !seen.has(entry.path) && seen.add(entry.path));
}

async function sumOf(file: string): Promise<string> {
  return createHash("sha256")
    .update(await fs.readFile(file))
    .digest("hex");
}

async function isThere(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
