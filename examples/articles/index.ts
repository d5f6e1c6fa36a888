/**
 * What the source articles write as YAML, against the cluster of the current kubeconfig.
 *
 *     pulumi config set charts <folder of Istio's charts>
 *     pulumi up
 */
import * as pulumi from "@pulumi/pulumi";
import { declareArticles } from "./manifests";

const config = new pulumi.Config();
const { gatewayServiceName, gatewayServiceNamespace } = declareArticles({
  istioVersion: config.require("istioVersion"),
  charts: { folder: config.require("charts") },
});

export const ingress = `${gatewayServiceNamespace}/${gatewayServiceName}`;
