import { Namespace } from "@pulumi/kubernetes/core/v1";
import { Release } from "@pulumi/kubernetes/helm/v3/release";
import * as pulumi from "@pulumi/pulumi";
import type { Environment, MeshSpec, TimeoutsSpec } from "../../config/spec";
import { chartFolders, type IstioChart } from "./charts";
import { MeshInputError } from "./errors";
import { childOptions } from "./options";
import { rootNamespace } from "./strict-mtls";
import { baseChartValues, type ChartValues, gatewayChartValues, istiodChartValues } from "./values";

/** The gateway's pods get their own namespace, away from the control plane's permissions. */
export const gatewayNamespace = "istio-ingress";
/** The gateway's release, Deployment and Service; its pods carry the label `istio: ingressgateway`. */
export const gatewayName = "istio-ingressgateway";

export interface IstioMeshArgs {
  readonly spec: MeshSpec;
  readonly environment: Environment;
  readonly timeouts: Pick<TimeoutsSpec, "rollout">;
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

  constructor(name: string, args: IstioMeshArgs, opts?: pulumi.ComponentResourceOptions) {
    checkMesh(args);
    const chart = chartFolders(args.spec.charts, args.spec.version);
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
          timeout: Math.ceil(args.timeouts.rollout / 1000),
          maxHistory: 10,
        },
        childOptions(this, opts, dependsOn),
      );

    const system = namespace(rootNamespace, podSecurity("baseline"));
    const ingress = namespace(gatewayNamespace, { ...podSecurity("baseline"), "istio-injection": "enabled" });
    const base = release(
      "istio-base",
      { chart: "base", namespace: rootNamespace, values: baseChartValues(args.spec) },
      [system],
    );
    const istiod = release(
      "istiod",
      { chart: "istiod", namespace: rootNamespace, values: istiodChartValues(args.spec) },
      [base],
    );
    this.crds = base;
    this.controlPlane = istiod;
    this.gateway = release(
      gatewayName,
      { chart: "gateway", namespace: gatewayNamespace, values: gatewayChartValues(args.spec) },
      [istiod, ingress],
    );
    this.registerOutputs({
      version: args.spec.version,
      gatewayServiceName: this.gatewayServiceName,
      gatewayServiceNamespace: this.gatewayServiceNamespace,
    });
  }
}

/** istiod and the gateway's pods need no more: they run as non-root and drop every capability. */
function podSecurity(level: "baseline"): Record<string, string> {
  return { "pod-security.kubernetes.io/enforce": level };
}

/**
 * The config parser says most of these as well; a component used without it must not be easier to get wrong. What is only
 * forbidden, not impossible, is planned in a preview, so that the policy packs name rule, value and remedy.
 */
function checkMesh({ spec, environment }: IstioMeshArgs): void {
  if (spec.provider !== "istio") {
    throw new MeshInputError("mesh.provider", `"${spec.provider}"`, "IstioMesh is for provider istio only");
  }
  if (!/^\d+\.\d+\.\d+$/.test(spec.version)) {
    throw new MeshInputError("mesh.version", `"${spec.version}"`, 'Give an exact version, such as "1.28.3"');
  }
  if (environment === "production" && spec.profile === "demo" && !pulumi.runtime.isDryRun()) {
    throw new MeshInputError("mesh.profile", '"demo" in production', 'Use "default": demo has no limits of its own');
  }
  for (const [key, value] of [
    ["replicas", spec.replicas] as const,
    ["gatewayReplicas", spec.gatewayReplicas] as const,
  ]) {
    if (!Number.isInteger(value) || value < 1) {
      throw new MeshInputError(`mesh.${key}`, `${value}`, "Give a whole number of at least 1");
    }
  }
  if (!(spec.traceSampling >= 0 && spec.traceSampling <= 100)) {
    throw new MeshInputError("mesh.traceSampling", `${spec.traceSampling}`, "Give a percentage from 0 to 100");
  }
}
