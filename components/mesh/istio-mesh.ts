import { Namespace } from "@pulumi/kubernetes/core/v1";
import { Release } from "@pulumi/kubernetes/helm/v3/release";
import * as pulumi from "@pulumi/pulumi";
import { fail } from "../../config/draft";
import * as section from "../../config/sections/mesh";
import type { ChartSource, Environment, MeshSpec, ResourcesSpec } from "../../config/spec";
import { validate } from "../../config/validate";
import { resolved } from "../input-error";
import { chartFolders, type IstioChart } from "./charts";
import { childOptions } from "./options";
import { rootNamespace } from "./mutual-tls";
import { baseChartValues, type ChartValues, gatewayChartValues, istiodChartValues } from "./values";

/** The gateway's pods get their own namespace, away from the control plane's permissions. */
export const gatewayNamespace = "istio-ingress";
/** The gateway's release, Deployment and Service; its pods carry the label `istio: ingressgateway`. */
export const gatewayName = "istio-ingressgateway";

export interface IstioMeshArgs {
  /** Exact Istio version, "1.30.7". */
  readonly version: string;
  /** Default production: two replicas of istiod and the gateway, and no profile `demo`. */
  readonly environment?: Environment;
  /** Istio's installation profile; default `default`. */
  readonly profile?: "default" | "demo";
  /** Exactly one of repository, oci and folder; default: Istio's repository. */
  readonly charts?: ChartSource;
  /** Registry and prefix of the images. */
  readonly hub?: string;
  /** Default IfNotPresent. */
  readonly imagePullPolicy?: "IfNotPresent" | "Never" | "Always";
  /** Replicas of istiod; default 2 in production, else 1. */
  readonly replicas?: number;
  /** Default: requests 500m / 2048Mi, limit 4096Mi. */
  readonly istiodResources?: ResourcesSpec;
  /** Of each sidecar; default: requests 100m / 128Mi, limits 2000m / 1024Mi. */
  readonly sidecarResources?: ResourcesSpec;
  /** Traces sampled, in percent of the requests; default 1. */
  readonly traceSampling?: number;
  /** Default LoadBalancer. */
  readonly gatewayServiceType?: "LoadBalancer" | "NodePort" | "ClusterIP";
  /** Replicas of the ingress gateway; default 2 in production, else 1. */
  readonly gatewayReplicas?: number;
  /** Added to the istiod chart's values, and so to the gateway chart's below; objects merge, lists are replaced. */
  readonly istiodValues?: Readonly<Record<string, unknown>>;
  readonly gatewayValues?: Readonly<Record<string, unknown>>;
  /** A release until it is ready; default 600. */
  readonly rolloutSeconds?: number;
}

/**
 * Istio's control plane and ingress gateway from its Helm charts: base (CRDs), istiod, gateway, one after the other.
 *
 * Each release waits until its Deployments are ready, and is rolled back when they aren't in time: an unhealthy control
 * plane stops the run before any workload is injected by it. Names are fixed, so that a repeated run finds them.
 *
 * These are Helm 3 releases: they merge three ways and leave alone what istiod itself writes into its webhooks
 * (`caBundle`, `failurePolicy`), so no field needs to be ignored.
 */
export class IstioMesh extends pulumi.ComponentResource {
  /** What needs the CRDs only: PeerAuthentication, Gateway, DestinationRule, VirtualService. */
  readonly crds: pulumi.Resource;
  /** What every injected workload depends on: istiod is healthy and injects. */
  readonly controlPlane: pulumi.Resource;
  /** The ingress gateway's pods are ready. */
  readonly gateway: pulumi.Resource;
  readonly gatewayServiceName: string = gatewayName;
  readonly gatewayServiceNamespace: string = gatewayNamespace;

  /** @throws InputError */
  constructor(name: string, args: IstioMeshArgs, opts?: pulumi.ComponentResourceOptions) {
    const spec = meshSpec(name, args);
    const chart = chartFolders(`mesh ${name}`, spec.charts, spec.version);
    super("kvmesh:mesh:IstioMesh", name, {}, opts);

    const namespace = (ns: string, labels: Record<string, string>): Namespace =>
      new Namespace(`${name}-${ns}`, { metadata: { name: ns, labels } }, childOptions(this, opts));
    const release = (
      child: string,
      what: { chart: IstioChart; namespace: string; values: ChartValues },
      dependsOn: readonly pulumi.Resource[],
    ): Release =>
      new Release(
        `${name}-${child}`,
        {
          name: child,
          namespace: what.namespace,
          chart: chart(what.chart, `${name}-${what.chart}-chart`, childOptions(this, opts)),
          values: { ...what.values },
          atomic: true,
          timeout: Math.ceil(args.rolloutSeconds ?? 600),
          maxHistory: 10,
        },
        childOptions(this, opts, dependsOn),
      );

    const system = namespace(rootNamespace, podSecurity("baseline"));
    const ingress = namespace(gatewayNamespace, { ...podSecurity("baseline"), "istio-injection": "enabled" });
    const base = release("istio-base", { chart: "base", namespace: rootNamespace, values: baseChartValues(spec) }, [
      system,
    ]);
    const istiod = release("istiod", { chart: "istiod", namespace: rootNamespace, values: istiodChartValues(spec) }, [
      base,
    ]);
    this.crds = base;
    this.controlPlane = istiod;
    this.gateway = release(
      gatewayName,
      { chart: "gateway", namespace: gatewayNamespace, values: gatewayChartValues(spec) },
      [istiod, ingress],
    );
    this.registerOutputs({
      version: spec.version,
      gatewayServiceName: this.gatewayServiceName,
      gatewayServiceNamespace: this.gatewayServiceNamespace,
    });
  }
}

/** istiod and the gateway's pods need no more: they run as non-root and drop every capability. */
function podSecurity(level: "baseline"): Record<string, string> {
  return { "pod-security.kubernetes.io/enforce": level };
}

/** What is only forbidden in production, not impossible, is planned in a preview: the policy packs name rule, value and remedy. */
export function meshSpec(name: string, args: IstioMeshArgs): MeshSpec {
  const { environment = "production", rolloutSeconds, ...given } = args;
  return resolved(`mesh ${name}`, (findings) => {
    const entry = validate(section.schema, { ...given, provider: "istio" }, [], findings.problems);
    if (entry === undefined) return undefined;
    const spec = section.complete(entry, true, environment, findings.problems);
    section.checkAlone(spec, [], findings);
    if (environment === "production" && spec.profile === "demo" && !pulumi.runtime.isDryRun())
      fail(findings, ["profile"], "demo", "refused in production: use default, because demo has no limits of its own");
    return spec;
  });
}
