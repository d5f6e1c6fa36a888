import { ensureTools, pulumiTools } from "../toolchain";
import { nodeTools } from "./ingredients";
import { ensureRoot, hostRecipe, nodeRecipe } from "./roots";
import type { Report } from "./types";

/**
 * Gets everything that takes long of an emulated site and of Pulumi: all tools, in one build where they have to be built,
 * and beside it the Debian roots, which wait for the network and write files while the processors compile.
 * What is there already takes no time.
 */
export async function getReady(report: Report): Promise<void> {
  const roots = async (): Promise<void> => {
    for (const recipe of [hostRecipe, nodeRecipe]) await ensureRoot(recipe, report);
  };
  const ended = await Promise.allSettled([ensureTools([...pulumiTools, ...nodeTools], report), roots()]);
  // The other one has come to its end, so that nothing runs on behind the error.
  for (const end of ended) if (end.status === "rejected") throw end.reason;
}
