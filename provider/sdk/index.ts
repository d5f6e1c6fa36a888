/** Typed resources of the plugin `pulumi-resource-kvmesh`. */
export * from "./common";
export * from "./provider";
export * from "./host";
export * from "./node";
export * from "./chart";
export { removeStrayKubeconfigs } from "./stray-kubeconfigs";
