/** Kubernetes on ready nodes. */
export { KubernetesCluster, type KubernetesClusterArgs } from "./kubernetes-cluster";
export { ClusterInputError } from "./validate";
