import { buildImages, imageRecipes, imageTools, istioCharts, type ImageRecipe } from "../images";
import { ensureTools, versions, type ToolName, type Versions } from "../toolchain";
import type { Report } from "./types";

/** What goes into a node: Kubernetes' binaries and the images of a cluster with its mesh. */
export interface Ingredients {
  /** Name in /usr/bin → file here. */
  readonly binaries: Readonly<Record<string, string>>;
  /** docker-archives. */
  readonly images: readonly string[];
}

/** The binaries of a node, by their name in /usr/bin. */
const nodeBinaries = ["kubeadm", "kubelet", "kubectl"] as const;

/** All tools that a node is made of. */
export const nodeTools: readonly ToolName[] = [...nodeBinaries, ...imageTools];

/** @param rootfs a Debian root of the node, which some images take packet filter tools from */
export async function nodeIngredients(
  rootfs: string,
  report: Report,
  given: Versions = versions,
  recipes: readonly ImageRecipe[] = imageRecipes(given),
): Promise<Ingredients> {
  const inImages = recipes.flatMap((image) => Object.keys(image.tools) as ToolName[]);
  await ensureTools([...nodeBinaries, ...inImages], report, given); // in one build
  const binaries = await ensureTools(nodeBinaries, report, given);
  const images = await buildImages({ rootfs, report, versions: given, images: recipes });
  return { binaries, images: images.map((image) => image.tar) };
}

/** Folder with one folder a chart. */
export async function charts(report: Report): Promise<string> {
  return istioCharts(report);
}
