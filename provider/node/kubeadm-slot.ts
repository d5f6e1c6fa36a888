/** Of kubeadm's jobs, init, join and reset: one of them runs at a time on a machine. */
export const SLOT = "kubeadm";
