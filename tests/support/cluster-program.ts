import * as path from "node:path";
import { clusterConfig, initConfig, joinConfig } from "../../components/cluster/kubeadm-config";
import type { Endpoint } from "../../provider/transport/transport";
import { kubeadmSettings } from "./cluster-spec";
import { checkout } from "./engine";

export interface ClusterProgram {
  readonly planes: readonly string[];
  readonly workers: readonly string[];
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  readonly timeoutSeconds?: number;
  /** JavaScript at the end; `cluster`, `nodes` and `ready` are in scope, and `requireKubeconfig`. */
  readonly more?: string;
}

/** A program that declares a cluster, its nodes and their readiness, in the order of KubernetesCluster; what stands for the pod network is deep. */
export function clusterProgram({ planes, workers, endpoints, timeoutSeconds = 20, more = "" }: ClusterProgram): string {
  const settings = kubeadmSettings({ endpoint: { host: "10.0.0.5", port: 6443 } });
  const node = (name: string, role: "control-plane" | "worker") => ({
    name,
    role,
    address: `10.0.1.${10 + Number(/\d+$/.exec(name)?.[0] ?? 0)}`,
  });
  const declared = {
    controlPlanes: planes.map((name) => ({
      name,
      endpoint: endpoints.get(name),
      config: initConfig(settings, node(name, "control-plane")),
    })),
    nodes: [...planes.map((name) => node(name, "control-plane")), ...workers.map((name) => node(name, "worker"))].map(
      (one) => ({
        name: one.name,
        role: one.role,
        endpoint: endpoints.get(one.name),
        config: joinConfig(settings, one),
      }),
    ),
  };
  return `
const { requireKubeconfig } = require(${JSON.stringify(path.join(checkout, "dist/components/cluster/kubeconfig"))});
const declared = ${JSON.stringify(declared)};
const owner = { project: "test", stack: "test", cluster: "c1", environment: "development" };
const common = { owner, apiEndpoint: "10.0.0.5:6443", kubernetesVersion: "1.34.2", ignorePreflightErrors: [], timeoutSeconds: ${timeoutSeconds} };
const cluster = new kvmesh.Cluster("main", { ...common, config: ${JSON.stringify(clusterConfig(settings))}, controlPlanes: declared.controlPlanes });
const waysIn = declared.controlPlanes.map(({ name, endpoint }) => ({ name, endpoint }));
const nodes = declared.nodes.map((one) => new kvmesh.ClusterNode(one.name, { ...common, ...one,
  clusterId: cluster.clusterId, caCertHash: cluster.caCertHash, controlPlanes: waysIn }, { dependsOn: [cluster] }));
let deep = cluster;
for (const name of ["network-1", "network-2"]) deep = new kvmesh.HostKey(name, {}, { dependsOn: [deep] });
const after = new Promise((resolve) => pulumi.all(nodes.map(({ urn }) => urn)).apply(() => resolve(declared.nodes.map(({ name }) => name))));
const ready = new kvmesh.ClusterReady("main", { owner, clusterId: cluster.clusterId, controlPlanes: waysIn, nodes: after, timeoutSeconds: 20 }, { dependsOn: [deep] });
const inside = new kvmesh.HostKey("inside", {}, { dependsOn: [ready] });
exports.clusterId = cluster.clusterId;
${more}`;
}
