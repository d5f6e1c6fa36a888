import * as path from "node:path";
import { istioCharts, istioModule } from "../../../tools/images/istio-module";
import { ensurePackages } from "../../../tools/site/packages";
import { ensureTools, type Report } from "../../../tools/toolchain";

const tools = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kubectl",
  "pilot-discovery",
  "pilot-agent",
  "envoy",
  "echo",
] as const;

/** Everything that runs in the lab, as files of this machine. */
export interface LabBinaries extends Readonly<Record<(typeof tools)[number], string>> {
  /** Folder with Istio's charts base, istiod and gateway. */
  readonly charts: string;
  /** Envoy's bootstrap template of the same Istio. */
  readonly bootstrap: string;
}

const report: Report = (line) => void process.stderr.write(`${line}\n`);

/** Gets what is missing; see docs/toolchain.md. */
export async function labBinaries(): Promise<LabBinaries> {
  const needs = [
    { command: "ip", package: "iproute2", purpose: "makes the lab's network" },
    { command: "iptables-restore", package: "iptables", purpose: "captures the traffic of pods" },
  ];
  await ensurePackages(needs, report, { yes: true });
  const found = await ensureTools(tools, report);
  return {
    ...found,
    charts: await istioCharts(report),
    bootstrap: path.join(await istioModule(report), "tools/packaging/common/envoy_bootstrap.json"),
  };
}
