import type { Report } from "../../report/model";
import { verdict } from "../../report/text";
import {
  canaryTable,
  mountLine,
  strictTable,
  table,
  type MountedDisk,
  type SplitVerdict,
  type StrictResult,
} from "../measure";

/** A node as the stack's output `nodes` has it. */
export interface NodeOutput {
  readonly name: string;
  readonly pool: string;
  readonly role: string;
  readonly address: string;
  readonly location: string;
  /** Host that it is carved from; absent for existing machines. */
  readonly host?: string;
  /** Host CPUs that are its own: "1", "2-5", or "shared". */
  readonly cpus?: string;
}

export interface Summary {
  readonly nodes: readonly NodeOutput[];
  /** What `kubectl get nodes -o wide` prints. */
  readonly kubectlNodes: string;
  readonly split: Parameters<typeof canaryTable>[0] & SplitVerdict;
  readonly strict: StrictResult;
  readonly disks: readonly MountedDisk[];
  readonly policy: Report;
  readonly phases: readonly string[];
  readonly files: { readonly kubeconfig: string; readonly report: string; readonly stack: string };
}

/** The quickstart's last words: what there is now, what was measured, where things are, what to try. */
export function renderSummary(summary: Summary): string[] {
  const { nodes, files } = summary;
  const section = (title: string, lines: readonly string[]): string[] => [
    "",
    title,
    ...lines.map((line) => `  ${line}`),
  ];
  return [
    ...section("Machines", table(nodes.map((node) => [node.name, node.role, node.address, placeOf(node)]))),
    ...section("Nodes", summary.kubectlNodes.trimEnd().split("\n")),
    ...section("Canary, measured through the ingress gateway", canaryTable(summary.split)),
    ...section("Strict mutual TLS, tried", strictTable(summary.strict)),
    ...(summary.disks.length === 0 ? [] : section("Data disks, asked from inside", summary.disks.map(mountLine))),
    ...section("Policies", [verdict(summary.policy)]),
    ...section("Time", summary.phases),
    ...section("Where things are", [
      `kubeconfig      ${files.kubeconfig}`,
      `policy report   ${files.report}`,
      `stack file      ${files.stack}`,
    ]),
    ...section("Try next", [
      "npm run quickstart -- --canary 50    half of the traffic to v2, measured again",
      'eval "$(npm run -s env)"             then plain commands: kubectl get pods -A, pulumi preview',
      "pulumi refresh                       what is no longer as declared",
      "npm run quickstart -- --destroy      take everything down",
    ]),
  ];
}

function placeOf({ host, cpus, location }: NodeOutput): string {
  if (host === undefined) return `existing machine (${location})`;
  return cpus === "shared" ? `carved from ${host}, shared CPUs` : `carved from ${host}, CPU ${cpus ?? "?"} its own`;
}
