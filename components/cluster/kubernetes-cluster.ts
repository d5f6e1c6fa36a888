import { NodePatch } from "@pulumi/kubernetes/core/v1";
import { Provider } from "@pulumi/kubernetes/provider";
import * as pulumi from "@pulumi/pulumi";
import type { KubernetesSpec, TimeoutsSpec } from "../../config/spec";
import {
  Cluster,
  ClusterNode,
  ClusterReady,
  NodeRuntime,
  type ControlPlaneArgs,
  type OwnerArgs,
} from "../../provider/sdk";
import type { ReadyNode } from "../ready-node";
import { Flannel } from "./flannel";
import { requireKubeconfig } from "./kubeconfig";
import { clusterConfig, initConfig, joinConfig, type KubeadmNode, type KubeadmSettings } from "./kubeadm-config";
import { virtualIp } from "./kube-vip";
import { validateCluster } from "./validate";

export interface KubernetesClusterArgs {
  /** Also the name of kubeconfig's context. */
  readonly clusterName: string;
  readonly owner: OwnerArgs;
  readonly spec: KubernetesSpec;
  /** The first with the role control-plane is where the cluster is founded; it is one of them afterwards, and can be lost and removed as any. */
  readonly nodes: readonly ReadyNode[];
  readonly timeouts: TimeoutsSpec;
}

/**
 * Kubernetes on machines that are there: runtime on every node at once, the cluster founded on one, all nodes of it (control planes take
 * turns by the cluster's own lock), the pod network. What belongs to one node has the node's name, which is unique in the stack. The
 * plugin's provider comes with the options, as `providers: [kvmesh]`.
 */
export class KubernetesCluster extends pulumi.ComponentResource {
  /** Secret. Context, cluster and user are named after the cluster; the server is the API's endpoint. */
  readonly kubeconfig: pulumi.Output<string>;
  /** Give it to everything inside the cluster, together with `deletedWith: cluster`. */
  readonly kubernetes: Provider;
  /** What a workload needs: every node Ready; where control planes take workloads, these and the pod network. */
  readonly ready: readonly pulumi.Resource[];
  /** What everything inside the cluster dies with: a dead API then never blocks a destroy. */
  readonly cluster: Cluster;

  constructor(name: string, args: KubernetesClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    validateCluster({ ...args, environment: args.owner.environment });
    super("kvmesh:cluster:KubernetesCluster", name, {}, opts);
    const { spec, nodes, owner } = args;
    const runtimes = new Map(nodes.map((node) => [node, this.runtime(node, args)]));
    const planes = nodes.filter((node) => node.role === "control-plane");
    this.cluster = this.founded(
      name,
      planes,
      // A control plane that waits for its turn is in the cluster already: to wait for it here would be to wait for oneself.
      planes.filter((node) => node.rollout?.changes(node.name) !== true).map((node) => runtimes.get(node)!),
      args,
    );
    const waysIn = planes.map((node) => ({ name: node.name, endpoint: node.endpoint }));
    const members = nodes.map((node) => this.node(node, runtimes.get(node)!, waysIn, args));

    this.kubeconfig = requireKubeconfig(this.cluster.kubeconfig, args.clusterName);
    this.kubernetes = new Provider(
      name,
      {
        kubeconfig: this.kubeconfig,
        // What makes it another cluster is another CA; a renewed certificate or a new address is not.
        clusterIdentifier: this.cluster.caCertHash,
      },
      { parent: this, dependsOn: [this.cluster] },
    );
    const inside = { provider: this.kubernetes, deletedWith: this.cluster };
    const network = new Flannel(
      `${name}-network`,
      {
        cni: spec.cni,
        podCidr: spec.podCidr,
        api: spec.endpoint,
        imagePullPolicy: spec.imagePullPolicy,
        timeoutSeconds: Math.ceil(args.timeouts.rollout / 1000),
      },
      inside,
      { parent: this },
    );
    // A node's turn to change ends when it is Ready again, for which it needs the network.
    for (const [i, node] of nodes.entries()) {
      const ending = { identity: node.identity, timeoutSeconds: Math.ceil(args.timeouts.rollout / 1000) };
      node.rollout?.readyOf(node.name, ending, { parent: this, dependsOn: [members[i]!, network.daemonSet] });
    }
    const ready = new ClusterReady(
      name,
      {
        owner,
        clusterId: this.cluster.clusterId,
        controlPlanes: waysIn,
        nodes: afterwards(members, nodes.map((node) => node.name).sort()),
        timeoutSeconds: Math.ceil(args.timeouts.rollout / 1000),
      },
      { parent: this, dependsOn: [this.cluster, network.daemonSet] },
    );
    const labelled = nodes.filter((node) => Object.keys(node.labels).length > 0);
    const labels = labelled.map(
      (node) =>
        new NodePatch(
          `${node.name}-labels`,
          { metadata: { name: node.name, labels: node.labels } },
          { ...inside, parent: this, dependsOn: [ready] },
        ),
    );
    // Where control planes take workloads, these need not wait for machines that are still booting.
    this.ready = spec.scheduleOnControlPlanes ? [network.daemonSet] : [ready, ...labels];
    this.registerOutputs({ kubeconfig: this.kubeconfig });
  }

  private runtime(node: ReadyNode, { owner, spec }: KubernetesClusterArgs): NodeRuntime {
    return new NodeRuntime(
      `${node.name}-runtime`,
      {
        endpoint: node.endpoint,
        owner,
        name: node.name,
        kubernetesVersion: spec.version,
        packages: spec.packages,
        identity: node.identity,
      },
      { parent: this, dependsOn: [...node.ready] },
    );
  }

  private founded(
    name: string,
    planes: readonly ReadyNode[],
    runtimes: readonly NodeRuntime[],
    args: KubernetesClusterArgs,
  ): Cluster {
    const { endpoint } = args.spec;
    return new Cluster(
      name,
      {
        owner: args.owner,
        apiEndpoint: `${endpoint.host}:${endpoint.port}`,
        kubernetesVersion: args.spec.version,
        config: clusterConfig(settingsOf(args)),
        controlPlanes: planes.map((node) => ({
          name: node.name,
          endpoint: node.endpoint,
          config: initConfig(settingsOf(args), kubeadmNode(node)),
        })),
        ...virtualIp(args.spec),
        ignorePreflightErrors: args.spec.ignorePreflightErrors,
        timeoutSeconds: Math.ceil(args.timeouts.kubeadm / 1000),
      },
      { parent: this, dependsOn: [...runtimes], protect: args.owner.environment === "production" },
    );
  }

  private node(
    node: ReadyNode,
    runtime: NodeRuntime,
    controlPlanes: readonly ControlPlaneArgs[],
    args: KubernetesClusterArgs,
  ): ClusterNode {
    const { endpoint } = args.spec;
    return new ClusterNode(
      node.name,
      {
        endpoint: node.endpoint,
        owner: args.owner,
        name: node.name,
        role: node.role,
        kubernetesVersion: args.spec.version,
        clusterId: this.cluster.clusterId,
        caCertHash: this.cluster.caCertHash,
        apiEndpoint: `${endpoint.host}:${endpoint.port}`,
        controlPlanes,
        config: joinConfig(settingsOf(args), kubeadmNode(node)),
        ...(node.role === "control-plane" ? virtualIp(args.spec) : {}),
        ignorePreflightErrors: args.spec.ignorePreflightErrors,
        timeoutSeconds: Math.ceil(args.timeouts.kubeadm / 1000),
        identity: node.identity,
      },
      {
        parent: this,
        // Not on one another: a control plane that is destroyed as a target must not take the others with it.
        dependsOn: [this.cluster, runtime],
        // A control plane holds a copy of the cluster's data.
        protect: node.role === "control-plane" && args.owner.environment === "production",
      },
    );
  }
}

/** A value that is there once these resources are: the engine is not told that who takes it depends on them. */
function afterwards<T>(resources: readonly pulumi.Resource[], value: T): Promise<T> {
  return new Promise((resolve) => {
    pulumi.all(resources.map((resource) => resource.urn)).apply(() => resolve(value));
  });
}

function settingsOf({ clusterName, spec, timeouts, nodes }: KubernetesClusterArgs): KubeadmSettings {
  const sharedEndpoint = !nodes.some(({ nodeAddress }) => nodeAddress === spec.endpoint.host);
  return { clusterName, spec, sharedEndpoint, timeout: timeouts.kubeadm };
}

function kubeadmNode(node: ReadyNode): KubeadmNode {
  return { name: node.name, role: node.role, address: node.nodeAddress, taints: node.taints };
}
