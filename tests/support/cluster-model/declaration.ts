import { createRequire } from "node:module";
import { clusterConfig, initConfig, joinConfig } from "../../../components/cluster/kubeadm-config";
import { anyKind, type AnyKind } from "../../../provider/core/kind";
import type { Endpoint } from "../../../provider/transport/transport";
import { kubeadmSettings } from "../cluster-spec";
import type { Declared } from "../small-engine";

export interface DeclaredNode {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly role: "control-plane" | "worker";
  /** Changes when the machine behind the endpoint is another one. */
  readonly identity: string;
}

/** Everything that these kinds keep in memory is in one of these folders. */
const OF_CLUSTERS = /dist\/provider\/(cluster|clusternode|clusterready|membership|etcd|node)\//;

const load = createRequire(__filename);

/** The kinds of a cluster as a new process has them. */
export function freshKinds(): readonly AnyKind[] {
  for (const file of Object.keys(load.cache)) if (OF_CLUSTERS.test(file)) Reflect.deleteProperty(load.cache, file);
  const { clusterKind } = load("../../../provider/cluster/kind") as typeof import("../../../provider/cluster/kind");
  const { clusterNodeKind } = load(
    "../../../provider/clusternode/kind",
  ) as typeof import("../../../provider/clusternode/kind");
  const { clusterReadyKind } = load(
    "../../../provider/clusterready/kind",
  ) as typeof import("../../../provider/clusterready/kind");
  return [anyKind(clusterKind), anyKind(clusterNodeKind), anyKind(clusterReadyKind)];
}

export const owner = { project: "kvmesh", stack: "test", cluster: "c1", environment: "development" } as const;

/** What components/cluster declares for these nodes, without machines, runtimes and a pod network. */
export function declareCluster(
  nodes: readonly DeclaredNode[],
  api: { readonly host: string; readonly port: number },
  timeoutSeconds: number,
): readonly Declared[] {
  const settings = kubeadmSettings({ endpoint: api }, timeoutSeconds * 1000);
  const apiEndpoint = `${api.host}:${api.port}`;
  const common = { owner, kubernetesVersion: "1.34.2", ignorePreflightErrors: [], timeoutSeconds, apiEndpoint };
  const kubeadmNode = ({ name, role, endpoint }: DeclaredNode) => ({ name, role, address: endpoint.address });
  const planes = nodes.filter(({ role }) => role === "control-plane");
  const controlPlanes = planes.map(({ name, endpoint }) => ({ name, endpoint }));
  const cluster: Declared = {
    type: "kvmesh:index:Cluster",
    name: "cluster",
    after: [],
    inputs: () => ({
      ...common,
      config: clusterConfig(settings),
      controlPlanes: planes.map((node) => ({
        ...{ name: node.name, endpoint: node.endpoint, config: initConfig(settings, kubeadmNode(node)) },
      })),
    }),
  };
  const members = nodes.map((node): Declared => ({
    type: "kvmesh:index:ClusterNode",
    name: node.name,
    after: ["cluster"],
    inputs: (of) => ({
      ...common,
      ...{ name: node.name, endpoint: node.endpoint, identity: node.identity, role: node.role, controlPlanes },
      ...{ clusterId: of("cluster").clusterId, caCertHash: of("cluster").caCertHash },
      config: joinConfig(settings, kubeadmNode(node)),
    }),
  }));
  const ready: Declared = {
    type: "kvmesh:index:ClusterReady",
    name: "ready",
    after: ["cluster"],
    // It waits for the nodes without depending on them.
    awaits: nodes.map(({ name }) => name),
    inputs: (of) => ({
      ...{ owner, controlPlanes, timeoutSeconds, clusterId: of("cluster").clusterId },
      nodes: nodes.map(({ name }) => name).sort(),
    }),
  };
  return [cluster, ...members, ready];
}
