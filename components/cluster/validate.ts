import * as pulumi from "@pulumi/pulumi";
import type { Environment, KubernetesSpec } from "../../config/spec";
import type { ReadyNode } from "../ready-node";
import { FLANNEL_VERSIONS } from "./flannel";

/** What a cluster can't be made of, all of it at once. Printed without a stack trace. */
export class ClusterInputError extends pulumi.RunError {
  constructor(cluster: string, faults: readonly string[]) {
    super(`cluster ${cluster} can't be made:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
  }
}

export interface ClusterShape {
  readonly clusterName: string;
  readonly environment: Environment;
  readonly spec: KubernetesSpec;
  readonly nodes: readonly ReadyNode[];
}

/** Checks plain values before the first resource is declared. */
export function validateCluster({ clusterName, environment, spec, nodes }: ClusterShape): void {
  const faults: string[] = [];
  const planes = nodes.filter((node) => node.role === "control-plane");
  const workers = nodes.length - planes.length;
  if (planes.length === 0) {
    faults.push('no node has the role "control-plane"; give one pool (of 1, 3 or 5 machines) that role');
  }
  if (planes.length > 7) faults.push(`${planes.length} control planes; etcd is slower with each, use at most 7`);
  if (workers === 0 && planes.length > 0 && !spec.scheduleOnControlPlanes) {
    faults.push(
      "no worker, and control planes take no workloads; add a worker pool or set kubernetes.scheduleOnControlPlanes",
    );
  }
  if (planes.length > 1 && planes.some((node) => node.nodeAddress === spec.endpoint.host)) {
    faults.push(
      `kubernetes.endpoint is ${spec.endpoint.host}, the address of one control plane of ${planes.length}: the API would go with it; ` +
        "give a virtual IP, a load balancer or a DNS name of all of them",
    );
  }
  for (const [what, of] of [
    ["name", (node: ReadyNode) => node.name],
    ["address", (node: ReadyNode) => node.nodeAddress],
  ] as const) {
    for (const [value, twice] of repeated(nodes, of))
      faults.push(`${what} ${value} is used by ${twice.length} nodes (${names(twice)})`);
  }
  if (FLANNEL_VERSIONS[bare(spec.cni.version)] === undefined) {
    faults.push(`kubernetes.cni.version is ${spec.cni.version}; known are ${Object.keys(FLANNEL_VERSIONS).join(", ")}`);
  }
  // In a preview the policy packs say it, with rule, value and remedy.
  if (environment === "production" && !pulumi.runtime.isDryRun()) faults.push(...spreadFaults(planes));
  if (faults.length > 0) throw new ClusterInputError(clusterName, faults);
}

/** A host that fails must not take the majority with it. */
function spreadFaults(planes: readonly ReadyNode[]): string[] {
  const faults: string[] = [];
  if (planes.length > 0 && planes.length < 3) {
    faults.push(`${planes.length} control plane in production; at least 3 are needed to survive the loss of one`);
  } else if (planes.length % 2 === 0) {
    faults.push(
      `${planes.length} control planes (${names(planes)}); etcd needs an odd number: ` +
        `${planes.length} survive no more failures than ${planes.length - 1}`,
    );
  }
  const carved = planes.filter((node) => node.host !== undefined);
  for (const [host, together] of repeated(carved, (node) => node.host ?? "")) {
    // As the policy control-plane-ha counts: what up refuses, its preview has named.
    if (together.length <= (planes.length - 1) / 2) continue;
    faults.push(
      `control planes ${names(together)} are all on host ${host}, and without it the majority is gone: add hosts to the pool`,
    );
  }
  return faults;
}

function repeated(nodes: readonly ReadyNode[], key: (node: ReadyNode) => string): [string, ReadyNode[]][] {
  const groups = new Map<string, ReadyNode[]>();
  for (const node of nodes) groups.set(key(node), [...(groups.get(key(node)) ?? []), node]);
  return [...groups].filter(([, group]) => group.length > 1);
}

function names(nodes: readonly ReadyNode[]): string {
  return nodes.map((node) => node.name).join(", ");
}

function bare(version: string): string {
  return version.replace(/^v/, "");
}
