import { buildImages, imageRecipes, istioCharts, type ImageRecipe } from "../images";
import { ensureTools } from "../toolchain";
import type { Report } from "./types";

/** What goes into a node: Kubernetes' binaries and the images of a cluster with its mesh. */
export interface Ingredients {
  /** Name in /usr/bin → file here. */
  readonly binaries: Readonly<Record<string, string>>;
  /** docker-archives. */
  readonly images: readonly string[];
}

/** @param rootfs a Debian root of the node, which some images take packet filter tools from */
export async function nodeIngredients(
  rootfs: string,
  report: Report,
  recipes: readonly ImageRecipe[] = imageRecipes,
): Promise<Ingredients> {
  const binaries = await ensureTools(["kubeadm", "kubelet", "kubectl"], report);
  const images = await buildImages({ rootfs, report, images: recipes });
  return { binaries, images: images.map((image) => image.tar) };
}

/** Folder with one folder a chart. */
export async function charts(report: Report): Promise<string> {
  return istioCharts(report);
}
