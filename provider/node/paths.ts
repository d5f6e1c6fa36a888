/** Files of ours on a node. */

/** Whose node this is and how far its making has come. */
export const MARK_PATH = "/etc/kubernetes/kvmesh.json";
/** What kubeadm init is told; there only while it runs. Mode 0600. */
export const CONFIG_PATH = "/etc/kubernetes/kvmesh-kubeadm.yaml";
/** Root-only folder for logs and for the join file of a running step; gone after a reboot. */
export const RUN_DIR = "/run/kvmesh";
/** Root-only folder of etcd's snapshots on control planes. */
export const SNAPSHOT_DIR = "/var/lib/kvmesh/etcd-snapshots";
export const ADMIN_CONF = "/etc/kubernetes/admin.conf";
const API_MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/** kubectl of a control plane, as its administrator, through the cluster's endpoint, never waiting forever. */
export const KUBECTL = `kubectl --kubeconfig=${ADMIN_CONF} --request-timeout=15s`;

/** The same, asking the API server of this very machine: what it says does not depend on another control plane or on the endpoint. */
export const LOCAL_KUBECTL = `${KUBECTL} --server=https://127.0.0.1:$(sed -n 's/.*--secure-port=//p' ${API_MANIFEST} 2>/dev/null | grep . || echo 6443)`;
