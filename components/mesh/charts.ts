import { existsSync } from "node:fs";
import * as path from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import { fail } from "../../config/draft";
import type { ChartSource } from "../../config/spec";
import { Chart } from "../../provider/sdk";
import { resolved } from "../input-error";

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
 * A function that gives a chart's folder for `helm.v3.Release`: at once for a folder on this machine, whose charts are
 * looked at before anything is declared; from a repository or registry by a `Chart` resource, which fetches it on `up`
 * and never in a preview.
 *
 * @throws InputError
 */
export function chartFolders(
  subject: string,
  source: ChartSource,
  version: string,
): (chart: IstioChart, name: string, opts: pulumi.CustomResourceOptions) => pulumi.Input<string> {
  const { folder, repository, oci } = source;
  if (folder !== undefined) {
    const found = localCharts(subject, path.resolve(checkout, folder));
    return (chart) => (path.isAbsolute(folder) ? found[chart] : fromProgram(found[chart]));
  }
  return (chart, name, opts) =>
    new Chart(name, { name: chart, version, repository, oci }, opts).path.apply(fromProgram);
}

function localCharts(subject: string, folder: string): Readonly<Record<IstioChart, string>> {
  return resolved(subject, (findings) => {
    const find = (chart: IstioChart): string => {
      const candidates = folders[chart].map((name) => path.join(folder, name));
      const found = candidates.find((candidate) => existsSync(path.join(candidate, "Chart.yaml")));
      if (found === undefined) {
        const message = `no Chart.yaml in ${candidates.join(" or ")}: name a folder that holds Istio's charts base, istiod and gateway`;
        fail(findings, ["charts", "folder"], folder, message);
      }
      return found ?? "";
    };
    return { base: find("base"), istiod: find("istiod"), gateway: find("gateway") };
  });
}

/**
 * The Kubernetes provider resolves a relative chart from the program's folder. A relative path is the same on a laptop
 * and in CI, so the plan is too; an absolute one would show a change on every machine.
 */
function fromProgram(place: string): string {
  return path.relative(process.cwd(), path.resolve(checkout, place));
}
