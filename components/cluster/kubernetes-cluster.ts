import { NodePatch } from "@pulumi/kubernetes/core/v1";
import { Provider } from "@pulumi/kubernetes/provider";
import * as pulumi from "@pulumi/pulumi";
import type { KubernetesSpec, TimeoutsSpec } from "../../config/spec";
import { ControlPlane, Member, NodeRuntime, Roster, type OwnerArgs } from "../../provider/sdk";
import type { ReadyNode } from "../ready-node";
import { Flannel } from "./flannel";
import { initConfig, joinConfig, type KubeadmNode, type KubeadmSettings } from "./kubeadm-config";
import { validateCluster } from "./validate";

export interface KubernetesClusterArgs {
  /** Also the name of kubeconfig's context. */
  readonly clusterName: string;
  readonly owner: OwnerArgs;
  readonly spec: KubernetesSpec;
  /** The first with the role control-plane is where the cluster begins; it stays first as long as the cluster lives. */
  readonly nodes: readonly ReadyNode[];
  readonly timeouts: TimeoutsSpec;
}

/**
 * Kubernetes on machines that are there: runtime on every node at once, the first control plane, the others one after the
 * other, workers at once, the pod network. What belongs to one node has the node's name, which is unique in the stack. The plugin's provider comes with the options, as `providers: [kvmesh]`.
 */
export class KubernetesCluster extends pulumi.ComponentResource {
  /** Secret. Context, cluster and user are named after the cluster. */
  readonly kubeconfig: pulumi.Output<string>;
  /** Give it to everything inside the cluster, together with `deletedWith: controlPlane`. */
  readonly kubernetes: Provider;
  /** What a workload needs: every node Ready; where control planes take workloads, these and the pod network. */
  readonly ready: readonly pulumi.Resource[];
  /** What everything inside the cluster dies with: a dead API then never blocks a destroy. */
  readonly controlPlane: ControlPlane;

  constructor(name: string, args: KubernetesClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    validateCluster({ ...args, environment: args.owner.environment });
    super("kvmesh:cluster:KubernetesCluster", name, {}, opts);
    const { spec, nodes, owner } = args;
    const runtimes = new Map(nodes.map((node) => [node, this.runtime(node, args)]));
    const [first, ...others] = nodes.filter((node) => node.role === "control-plane") as [ReadyNode, ...ReadyNode[]];
    const workers = nodes.filter((node) => node.role === "worker");

    this.controlPlane = this.firstControlPlane(first, runtimes.get(first)!, args);
    const members: Member[] = [];
    // etcd takes one new member at a time.
    for (const node of others)
      members.push(this.member(node, [runtimes.get(node)!, ...members.slice(-1)], first, args));
    for (const node of workers) members.push(this.member(node, [runtimes.get(node)!], first, args));

    this.kubeconfig = this.controlPlane.kubeconfig;
    this.kubernetes = new Provider(
      name,
      {
        kubeconfig: this.kubeconfig,
        // What makes it another cluster is another CA; a renewed certificate or a new address is not.
        clusterIdentifier: this.controlPlane.caCertHash,
      },
      { parent: this, dependsOn: [this.controlPlane] },
    );
    const inside = { provider: this.kubernetes, deletedWith: this.controlPlane };
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
    const roster = new Roster(
      name,
      {
        controlPlane: first.endpoint,
        owner,
        first: first.name,
        nodes: nodes.map((node) => node.name).sort(),
        caCertHash: this.controlPlane.caCertHash,
        timeoutSeconds: Math.ceil(args.timeouts.rollout / 1000),
      },
      { parent: this, dependsOn: [this.controlPlane, ...members, network.daemonSet] },
    );
    const labelled = nodes.filter((node) => Object.keys(node.labels).length > 0);
    const labels = labelled.map(
      (node) =>
        new NodePatch(
          `${node.name}-labels`,
          { metadata: { name: node.name, labels: node.labels } },
          { ...inside, parent: this, dependsOn: [roster] },
        ),
    );
    // Where control planes take workloads, these need not wait for machines that are still booting.
    this.ready = spec.scheduleOnControlPlanes ? [network.daemonSet] : [roster, ...labels];
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

  private firstControlPlane(node: ReadyNode, runtime: NodeRuntime, args: KubernetesClusterArgs): ControlPlane {
    return new ControlPlane(
      node.name,
      {
        endpoint: node.endpoint,
        owner: args.owner,
        name: node.name,
        kubernetesVersion: args.spec.version,
        config: initConfig(settingsOf(args), kubeadmNode(node)),
        ignorePreflightErrors: args.spec.ignorePreflightErrors,
        timeoutSeconds: Math.ceil(args.timeouts.kubeadm / 1000),
        identity: node.identity,
      },
      { parent: this, dependsOn: [runtime], protect: args.owner.environment === "production" },
    );
  }

  private member(
    node: ReadyNode,
    after: readonly pulumi.Resource[],
    first: ReadyNode,
    args: KubernetesClusterArgs,
  ): Member {
    const { endpoint } = args.spec;
    return new Member(
      node.name,
      {
        endpoint: node.endpoint,
        owner: args.owner,
        name: node.name,
        role: node.role,
        kubernetesVersion: args.spec.version,
        controlPlane: first.endpoint,
        caCertHash: this.controlPlane.caCertHash,
        apiEndpoint: `${endpoint.host}:${endpoint.port}`,
        config: joinConfig(settingsOf(args), kubeadmNode(node)),
        ignorePreflightErrors: args.spec.ignorePreflightErrors,
        timeoutSeconds: Math.ceil(args.timeouts.kubeadm / 1000),
        identity: node.identity,
      },
      {
        parent: this,
        dependsOn: [this.controlPlane, ...after],
        // A control plane holds a copy of the cluster's data.
        protect: node.role === "control-plane" && args.owner.environment === "production",
      },
    );
  }
}

function settingsOf(args: KubernetesClusterArgs): KubeadmSettings {
  return { clusterName: args.clusterName, spec: args.spec, timeout: args.timeouts.kubeadm };
}

function kubeadmNode(node: ReadyNode): KubeadmNode {
  return { name: node.name, role: node.role, address: node.nodeAddress, taints: node.taints };
}
