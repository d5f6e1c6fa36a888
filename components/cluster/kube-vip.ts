import { stringify } from "yaml";
import type { KubernetesSpec } from "../../config/spec";
import type { StaticPodArgs, VirtualIpArgs } from "../../provider/sdk";

const ADMIN_CONF = "/etc/kubernetes/admin.conf";
/** Only where a cluster is founded: until init's end, the administrator of admin.conf has no rights yet (since 1.29). */
const SUPER_ADMIN_CONF = "/etc/kubernetes/super-admin.conf";

/** kube-vip as a static pod of every control plane; none where somebody else keeps the endpoint. Pure. */
export function kubeVip(spec: KubernetesSpec): readonly StaticPodArgs[] {
  if (spec.endpoint.vip === undefined) return [];
  const manifest = podWith(spec, ADMIN_CONF);
  const minor = Number(spec.version.split(".")[1]);
  return [{ name: "kube-vip", manifest, ...(minor >= 29 ? { founding: podWith(spec, SUPER_ADMIN_CONF) } : {}) }];
}

/** What the control planes have of a virtual IP: nothing where somebody else keeps the endpoint. */
export function virtualIp(spec: KubernetesSpec): { staticPods?: readonly StaticPodArgs[]; virtualIp?: VirtualIpArgs } {
  const { host: address, port, vip } = spec.endpoint;
  return vip === undefined ? {} : { staticPods: kubeVip(spec), virtualIp: { address, port } };
}

/** As `kube-vip manifest pod --controlplane --arp --leaderElection` of 1.2.2 writes it, with the classes that kubeadm's own static pods have. */
function podWith({ endpoint, imagePullPolicy, version }: KubernetesSpec, adminConf: string): string {
  const { vip, host, port } = endpoint;
  const seconds = vip!.lease / 1000;
  const env: Readonly<Record<string, string | undefined>> = {
    vip_arp: "true",
    port: String(port),
    vip_interface: vip!.interface,
    vip_subnet: "32",
    cp_enable: "true",
    cp_namespace: "kube-system",
    vip_leaderelection: "true",
    vip_leasename: "plndr-cp-lock",
    vip_leaseduration: String(seconds),
    // In the proportions of Kubernetes' own elections, 15, 10 and 2 s.
    vip_renewdeadline: String(Math.floor((2 * seconds) / 3)),
    vip_retryperiod: String(Math.max(1, Math.floor(seconds / 7))),
    address: host,
  };
  return stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "kube-vip", namespace: "kube-system", labels: { component: "kube-vip", tier: "control-plane" } },
    spec: {
      containers: [
        {
          name: "kube-vip",
          image: vip!.image,
          imagePullPolicy,
          args: ["manager"],
          env: [
            { name: "vip_nodename", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
            ...Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }])),
          ],
          securityContext: { capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] } },
          // The path inside stays the same, whichever file it is.
          volumeMounts: [{ name: "kubeconfig", mountPath: ADMIN_CONF, readOnly: true }],
        },
      ],
      hostNetwork: true,
      // The API server of its own node: an address whose API is dead must go.
      hostAliases: [{ ip: "127.0.0.1", hostnames: ["kubernetes"] }],
      priority: 2_000_001_000,
      priorityClassName: "system-node-critical",
      ...(Number(version.split(".")[1]) >= 19
        ? { securityContext: { seccompProfile: { type: "RuntimeDefault" } } }
        : {}),
      volumes: [{ name: "kubeconfig", hostPath: { path: adminConf, type: "File" } }],
    },
  });
}
