import { z } from "zod";
import * as field from "./fields";

const resources = z.strictObject({
  requests: z.strictObject({ cpu: field.quantity, memory: field.quantity }),
  limits: z.strictObject({ cpu: field.quantity.optional(), memory: field.quantity }),
});

const charts = z.strictObject({
  repository: field.text("Helm repository URL").optional(),
  oci: field.text("oci:// reference of the folder that holds the charts").optional(),
  folder: field.text("Folder on this machine that holds one folder a chart").optional(),
});

const mtls = z.enum(["STRICT", "PERMISSIVE", "unset"]);

export const mesh = z.strictObject({
  provider: z.enum(["istio", "none"]).meta({ description: "none: no mesh" }).default("istio"),
  version: field.exactVersion("Exact Istio version").optional(),
  profile: z.enum(["default", "demo"]).meta({ description: "demo is refused in production" }).default("default"),
  charts: charts.meta({ description: "Where charts come from; default: Istio's repository" }).optional(),
  hub: field.text("Registry and prefix of Istio's images").default("docker.io/istio"),
  imagePullPolicy: field.pullPolicy.default("IfNotPresent"),
  replicas: field.count("istiod replicas; default 2 in production, else 1", 1, 20).optional(),
  istiodResources: resources.prefault({
    requests: { cpu: "500m", memory: "2048Mi" },
    limits: { memory: "4096Mi" },
  }),
  sidecarResources: resources.prefault({
    requests: { cpu: "100m", memory: "128Mi" },
    limits: { cpu: "2000m", memory: "1024Mi" },
  }),
  mtls: mtls.meta({ description: "Mesh-wide mutual TLS; default STRICT in production, else unset" }).optional(),
  traceSampling: z.number().min(0).max(100).meta({ description: "Traces sampled, in percent" }).default(1),
  gatewayServiceType: z.enum(["LoadBalancer", "NodePort", "ClusterIP"]).default("LoadBalancer"),
  gatewayReplicas: field.count("Ingress gateway replicas; default 2 in production, else 1", 1, 100).optional(),
  istiodValues: field.passthrough("Added to the istiod chart's values").default({}),
  gatewayValues: field.passthrough("Added to the gateway chart's values").default({}),
});

export const namespace = z.strictObject({
  injection: field.flag("Sidecar injection; default true when there is a mesh").optional(),
  revision: field.dnsLabel.meta({ description: "Istio revision instead of the injection label" }).optional(),
  mtls: mtls.meta({ description: "Default STRICT in production, else unset" }).optional(),
  podSecurity: z
    .enum(["privileged", "baseline", "restricted"])
    .meta({ description: "Pod Security level enforced; default: privileged with sidecars (istio-init), else baseline" })
    .optional(),
  existing: field.flag("The namespace is there already and is only labelled; default: true for `default`").optional(),
});

const named = {
  name: field.dnsLabel.meta({ description: "Default: the entry's key" }).optional(),
  namespace: field.dnsLabel.meta({ description: "Namespace it is in" }).default("default"),
};

export const service = z.strictObject({
  ...named,
  port: field.port("Port of the Service").default(80),
  targetPort: field.port("Port that the container listens on; default: port").optional(),
  versions: z
    .record(
      field.dnsLabel,
      z.strictObject({
        image: field.text("Container image"),
        args: z.array(z.string()).default([]),
        replicas: field.count("Pods of this version", 0, 10_000).default(1),
        imagePullPolicy: field.pullPolicy.default("IfNotPresent"),
      }),
    )
    .meta({ description: "Deployments by value of the label `version`" }),
});

export const gateway = z.strictObject({
  ...named,
  hosts: z.array(z.string().min(1)).min(1).default(["*"]),
  port: field.port("Port of the gateway; default 443 for HTTPS, else 80").optional(),
  protocol: z.enum(["HTTP", "HTTPS"]).default("HTTPS"),
  tlsSecret: field.text("Name of the TLS secret, for HTTPS").optional(),
  selector: field.labels.default({ istio: "ingressgateway" }),
});

export const canary = z.strictObject({
  ...named,
  service: field.dnsLabel
    .meta({ description: "Service whose traffic is split; default: the canary's name" })
    .optional(),
  hosts: z.array(z.string().min(1)).min(1).meta({ description: "Default: the service" }).optional(),
  gateways: z.array(z.string().min(1)).meta({ description: "Gateways by name; none: in-mesh only" }).default([]),
  weights: z
    .record(field.dnsLabel, field.percent("Share of the traffic"))
    .meta({ description: "Weight by version, in whole percent; the sum is 100" }),
});
