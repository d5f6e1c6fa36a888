/** Files of ours on a node. */

/** Whose node this is and how far its making has come. */
export const MARK_PATH = "/etc/kubernetes/kvmesh.json";
/** The configuration that the first control plane was made with; later steps of kubeadm read it again. Mode 0600. */
export const CONFIG_PATH = "/etc/kubernetes/kvmesh-kubeadm.yaml";
/** Root-only folder for logs and for the join file of a running step; gone after a reboot. */
export const RUN_DIR = "/run/kvmesh";
export const ADMIN_CONF = "/etc/kubernetes/admin.conf";

/** kubectl of a control plane, as its administrator, never waiting forever. */
export const KUBECTL = `kubectl --kubeconfig=${ADMIN_CONF} --request-timeout=15s`;
