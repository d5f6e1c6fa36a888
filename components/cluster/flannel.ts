import { DaemonSet } from "@pulumi/kubernetes/apps/v1";
import { ConfigMap, Namespace, ServiceAccount } from "@pulumi/kubernetes/core/v1";
import { ClusterRole, ClusterRoleBinding } from "@pulumi/kubernetes/rbac/v1";
import type { core } from "@pulumi/kubernetes/types/input";
import * as pulumi from "@pulumi/pulumi";
import type { CniSpec, KubernetesSpec } from "../../config/spec";
import { versionData } from "../../rules/versions";

/** Released versions and the tag of the plugin image that each one's manifest goes with. */
export const FLANNEL_VERSIONS = versionData.flannel.cniPluginImage;

export interface FlannelArgs {
  readonly cni: CniSpec;
  readonly podCidr: string;
  /** Where every node reaches the API server. */
  readonly api: KubernetesSpec["endpoint"];
  readonly imagePullPolicy: KubernetesSpec["imagePullPolicy"];
  readonly timeoutSeconds: number;
}

const NAMESPACE = "kube-flannel";
const APP = { app: "flannel" };
const LABELS = { ...APP, tier: "node", "k8s-app": "flannel" };

/**
 * The pod network, as upstream's manifest has it (flannel-io/flannel, Documentation/kube-flannel.yml, v0.28.4), typed.
 * Image repository, backend and pod CIDR are settings; unlike upstream's it needs no kube-proxy.
 */
export class Flannel extends pulumi.ComponentResource {
  readonly daemonSet: DaemonSet;

  /** `child`: options that every resource gets: the Kubernetes provider, and what it dies with. */
  constructor(
    name: string,
    args: FlannelArgs,
    child: pulumi.CustomResourceOptions,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("kvmesh:cluster:Flannel", name, {}, opts);
    const options = { ...child, parent: this };
    const namespace = new Namespace(
      `${name}-namespace`,
      {
        metadata: {
          name: NAMESPACE,
          // It configures the node's network: no narrower level lets it.
          labels: { "k8s-app": "flannel", "pod-security.kubernetes.io/enforce": "privileged" },
        },
      },
      options,
    );
    const inside = { ...options, dependsOn: [namespace] };
    const account = new ServiceAccount(
      `${name}-account`,
      { metadata: { name: "flannel", namespace: NAMESPACE, labels: { "k8s-app": "flannel" } } },
      inside,
    );
    const role = new ClusterRole(
      `${name}-role`,
      {
        metadata: { name: "flannel", labels: { "k8s-app": "flannel" } },
        rules: [
          { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
          { apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] },
          { apiGroups: [""], resources: ["nodes/status"], verbs: ["patch"] },
        ],
      },
      options,
    );
    const binding = new ClusterRoleBinding(
      `${name}-binding`,
      {
        metadata: { name: "flannel", labels: { "k8s-app": "flannel" } },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "flannel" },
        subjects: [{ kind: "ServiceAccount", name: "flannel", namespace: NAMESPACE }],
      },
      { ...options, dependsOn: [role, account] },
    );
    const config = new ConfigMap(
      `${name}-config`,
      {
        metadata: { name: "kube-flannel-cfg", namespace: NAMESPACE, labels: LABELS },
        data: { "cni-conf.json": cniConfig, "net-conf.json": netConfig(args) },
      },
      inside,
    );
    this.daemonSet = new DaemonSet(
      `${name}-daemons`,
      {
        metadata: { name: "kube-flannel-ds", namespace: NAMESPACE, labels: LABELS },
        spec: {
          selector: { matchLabels: APP },
          template: {
            metadata: { labels: { ...APP, tier: "node" }, annotations: { "kvmesh/net-conf": netConfig(args) } },
            spec: podSpec(args),
          },
        },
      },
      {
        ...options,
        dependsOn: [config, binding],
        customTimeouts: { create: `${args.timeoutSeconds}s`, update: `${args.timeoutSeconds}s` },
      },
    );
    this.registerOutputs({});
  }
}

const cniConfig = JSON.stringify(
  {
    name: "cbr0",
    cniVersion: "0.3.1",
    plugins: [
      { type: "flannel", delegate: { hairpinMode: true, isDefaultGateway: true } },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  },
  null,
  2,
);

function netConfig({ podCidr, cni }: FlannelArgs): string {
  return JSON.stringify({ Network: podCidr, EnableNFTables: false, Backend: { Type: cni.backend } });
}

function podSpec({ cni, api, imagePullPolicy }: FlannelArgs): core.v1.PodSpec {
  const version = cni.version.replace(/^v/, "");
  const image = `${cni.imageRepository}/flannel:v${version}`;
  const pluginImage = `${cni.imageRepository}/flannel-cni-plugin:${FLANNEL_VERSIONS[version]}`;
  const config = { name: "flannel-cfg", mountPath: "/etc/kube-flannel/" };
  return {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/os", operator: "In", values: ["linux"] }] }],
        },
      },
    },
    hostNetwork: true,
    priorityClassName: "system-node-critical",
    tolerations: [{ operator: "Exists", effect: "NoSchedule" }],
    serviceAccountName: "flannel",
    initContainers: [
      {
        name: "install-cni-plugin",
        image: pluginImage,
        imagePullPolicy,
        command: ["cp"],
        args: ["-f", "/flannel", "/opt/cni/bin/flannel"],
        volumeMounts: [{ name: "cni-plugin", mountPath: "/opt/cni/bin" }],
      },
      {
        name: "install-cni",
        image,
        imagePullPolicy,
        command: ["cp"],
        args: ["-f", "/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"],
        volumeMounts: [{ name: "cni", mountPath: "/etc/cni/net.d" }, config],
      },
    ],
    containers: [
      {
        name: "kube-flannel",
        image,
        imagePullPolicy,
        command: ["/opt/bin/flanneld"],
        args: ["--ip-masq", "--kube-subnet-mgr"],
        resources: { requests: { cpu: "100m", memory: "50Mi" } },
        securityContext: { privileged: false, capabilities: { add: ["NET_ADMIN", "NET_RAW"] } },
        env: [
          { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
          // Not the cluster's address of it, which answers only once kube-proxy runs there: flanneld would give up after 30 s.
          { name: "KUBERNETES_SERVICE_HOST", value: api.host },
          { name: "KUBERNETES_SERVICE_PORT", value: String(api.port) },
          { name: "EVENT_QUEUE_DEPTH", value: "5000" },
          { name: "CONT_WHEN_CACHE_NOT_READY", value: "false" },
        ],
        volumeMounts: [
          { name: "run", mountPath: "/run/flannel" },
          config,
          { name: "xtables-lock", mountPath: "/run/xtables.lock" },
        ],
      },
    ],
    volumes: [
      { name: "run", hostPath: { path: "/run/flannel" } },
      { name: "cni-plugin", hostPath: { path: "/opt/cni/bin" } },
      { name: "cni", hostPath: { path: "/etc/cni/net.d" } },
      { name: "flannel-cfg", configMap: { name: "kube-flannel-cfg" } },
      { name: "xtables-lock", hostPath: { path: "/run/xtables.lock", type: "FileOrCreate" } },
    ],
  };
}
