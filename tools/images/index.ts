/** Container images and charts for a place that can't fetch them. */
export { buildImages, imageTools, type BuildOptions, type BuiltImage } from "./build";
export { istioCharts } from "./istio-module";
export { clusterImages, imageRecipes, type ImageRecipe } from "./recipes";
