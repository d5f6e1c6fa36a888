import {
  clusterConfig,
  initConfig,
  type KubeadmNode,
  type KubeadmSettings,
} from "../../components/cluster/kubeadm-config";
import type { KubernetesSpec, TimeoutsSpec } from "../../config/spec";
import type { Milliseconds } from "../../config/units";

export function kubernetesSpec(changes: Partial<KubernetesSpec> = {}): KubernetesSpec {
  return {
    version: "1.34.2",
    endpoint: { host: "10.0.0.10", port: 6443 },
    podCidr: "10.244.0.0/16",
    serviceCidr: "10.96.0.0/16",
    cni: { plugin: "flannel", version: "0.28.4", backend: "vxlan", imageRepository: "ghcr.io/flannel-io" },
    packages: { source: "preinstalled" },
    imageRepository: "registry.k8s.io",
    imagePullPolicy: "IfNotPresent",
    scheduleOnControlPlanes: false,
    ignorePreflightErrors: [],
    kubelet: {},
    kubeProxy: {},
    ...changes,
  };
}

export function kubeadmSettings(changes: Partial<KubernetesSpec> = {}, timeout = 600_000): KubeadmSettings {
  return { clusterName: "c1", spec: kubernetesSpec(changes), timeout: timeout as Milliseconds };
}

export const timeouts: TimeoutsSpec = {
  connect: 15_000 as Milliseconds,
  boot: 300_000 as Milliseconds,
  kubeadm: 600_000 as Milliseconds,
  rollout: 600_000 as Milliseconds,
};

/** All that kubeadm init is told, in one file. */
export function foundingConfig(settings: KubeadmSettings, node: KubeadmNode): string {
  return `${initConfig(settings, node)}---\n${clusterConfig(settings)}`;
}
