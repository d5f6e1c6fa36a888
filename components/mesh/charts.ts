import { existsSync } from "node:fs";
import * as path from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import type { ChartSource } from "../../config/spec";
import { Chart } from "../../provider/sdk";
import { MeshInputError } from "./errors";

export type IstioChart = "base" | "istiod" | "gateway";

/** Where a chart's folder may be: as the Helm repository names it, or as in Istio's release archive. */
const folders: Readonly<Record<IstioChart, readonly string[]>> = {
  base: ["base"],
  istiod: ["istiod", "istio-control/istio-discovery"],
  gateway: ["gateway"],
};

/** dist/components/mesh → the checkout. */
const checkout = path.resolve(__dirname, "../../..");

/**
 * Checks that exactly one source is given, and a folder's charts, before anything is declared.
 *
 * @returns a function that gives a chart's folder for `helm.v3.Release`: at once for a folder on this machine; from a
 *   repository or registry by a `Chart` resource, which fetches it on `up` and never in a preview.
 * @throws MeshInputError
 */
export function chartFolders(
  source: ChartSource,
  version: string,
): (chart: IstioChart, name: string, opts: pulumi.CustomResourceOptions) => pulumi.Input<string> {
  const given = Object.entries(source).filter(([, value]) => value !== undefined);
  if (given.length !== 1) {
    throw new MeshInputError(
      "mesh.charts",
      given.length === 0 ? "no source" : `${given.map(([key]) => key).join(" and ")} together`,
      "Give exactly one of repository, oci and folder",
    );
  }
  const { folder, repository, oci } = source;
  if (folder !== undefined) {
    const found = localCharts(path.resolve(checkout, folder));
    return (chart) => (path.isAbsolute(folder) ? found[chart] : fromProgram(found[chart]));
  }
  return (chart, name, opts) =>
    new Chart(name, { name: chart, version, repository, oci }, opts).path.apply(fromProgram);
}

function localCharts(folder: string): Readonly<Record<IstioChart, string>> {
  const find = (chart: IstioChart): string => {
    const candidates = folders[chart].map((name) => path.join(folder, name));
    const found = candidates.find((candidate) => existsSync(path.join(candidate, "Chart.yaml")));
    if (found === undefined) {
      throw new MeshInputError(
        "mesh.charts.folder",
        `no Chart.yaml in ${candidates.join(" or ")}`,
        "Name a folder that holds Istio's charts base, istiod and gateway",
      );
    }
    return found;
  };
  return { base: find("base"), istiod: find("istiod"), gateway: find("gateway") };
}

/**
 * The Kubernetes provider resolves a relative chart from the program's folder. A relative path is the same on a laptop
 * and in CI, so the plan is too; an absolute one would show a change on every machine.
 */
function fromProgram(place: string): string {
  return path.relative(process.cwd(), path.resolve(checkout, place));
}
