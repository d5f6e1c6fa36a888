import * as pulumi from "@pulumi/pulumi";
import { fail, type Findings } from "../../config/draft";
import type { CanarySpec, NamespaceSpec, ServiceSpec, StackSpec } from "../../config/spec";
import { resolved } from "../input-error";
import { Canary, canarySpec, type CanaryArgs } from "./canary";
import { Gateway, gatewaySpec } from "./gateway";
import { IstioMesh } from "./istio-mesh";
import { MutualTls, rootNamespace } from "./mutual-tls";
import { MeshNamespace, namespaceSpec, type MeshNamespaceArgs } from "./namespace";
import { childOptions } from "./options";
import { serviceOf, VersionedService, type VersionedServiceArgs } from "./versioned-service";

export type MeshLayerArgs = Pick<
  StackSpec,
  "mesh" | "environment" | "timeouts" | "namespaces" | "services" | "gateways" | "canaries"
>;

/**
 * Everything above the cluster, in the order that keeps traffic flowing: control plane, namespaces, their mutual TLS,
 * the mesh's mutual TLS, workloads, routes; destroyed in reverse.
 */
export class MeshLayer extends pulumi.ComponentResource {
  /** None when the stack has no mesh. */
  readonly mesh?: IstioMesh;
  readonly canaries: readonly Canary[];

  constructor(name: string, args: MeshLayerArgs, opts?: pulumi.ComponentResourceOptions) {
    checkLayer(args);
    super("kvmesh:mesh:MeshLayer", name, {}, opts);
    const child = (...dependsOn: readonly (pulumi.Resource | undefined)[]): pulumi.ComponentResourceOptions =>
      childOptions(
        this,
        opts,
        dependsOn.filter((resource) => resource !== undefined),
      );

    const { environment, timeouts } = args;
    const { provider, mtls, ...istio } = args.mesh;
    const rolloutSeconds = timeouts.rollout / 1000;
    const mesh =
      provider === "none"
        ? undefined
        : new IstioMesh(`${name}-istio`, { ...istio, environment, rolloutSeconds }, child());
    this.mesh = mesh;

    const namespaces = new Map(
      args.namespaces.map((spec) => [spec.name, new MeshNamespace(spec.name, namespaceArgs(spec), child())]),
    );
    const inNamespace = (namespace: string): pulumi.Resource | undefined => namespaces.get(namespace)?.namespace;

    const namespaceMtls = args.namespaces.flatMap((spec) =>
      spec.mtls === "unset"
        ? []
        : [
            new MutualTls(
              `${spec.name}-mtls`,
              { namespace: spec.name, mode: spec.mtls },
              child(mesh?.controlPlane, inNamespace(spec.name)),
            ),
          ],
    );
    if (provider === "istio" && mtls !== "unset") {
      // Last of all mutual TLS: a namespace that isn't ready for it fails alone, and not the whole mesh with it.
      new MutualTls(
        `${name}-mtls`,
        { namespace: rootNamespace, mode: mtls },
        child(mesh?.controlPlane, ...namespaceMtls.map(({ peerAuthentication }) => peerAuthentication)),
      );
    }

    const services = new Map(
      args.services.map((spec) => [
        keyOf(spec),
        new VersionedService(
          keyOf(spec),
          { ...serviceArgs(spec), rolloutSeconds },
          child(mesh?.controlPlane, inNamespace(spec.namespace)),
        ),
      ]),
    );
    const gateways = new Map(
      args.gateways.map((spec) => [
        keyOf(spec),
        new Gateway(keyOf(spec), spec, child(mesh?.gateway, inNamespace(spec.namespace))),
      ]),
    );
    this.canaries = args.canaries.map(
      (spec) =>
        new Canary(
          keyOf(spec),
          {
            ...canaryArgs(spec),
            service: services.get(`${spec.namespace}/${spec.service}`) ?? canaryArgs(spec).service,
            gateways: spec.gateways.map((gateway) => gateways.get(gatewayKey(spec, gateway)) ?? gateway),
          },
          child(mesh?.controlPlane, inNamespace(spec.namespace)),
        ),
    );
    this.registerOutputs({
      gatewayServiceName: mesh?.gatewayServiceName,
      gatewayServiceNamespace: mesh?.gatewayServiceNamespace,
    });
  }
}

/** Also the logical name, which is unique in the stack. */
function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

function namespaceArgs({ name, injection, revision, podSecurity, existing }: NamespaceSpec): MeshNamespaceArgs {
  return { name, injection, revision, podSecurity, existing };
}

function serviceArgs({ versions, ...spec }: ServiceSpec): VersionedServiceArgs {
  return { ...spec, versions: Object.fromEntries(versions.map(({ name, ...version }) => [name, version])) };
}

function canaryArgs({ service, weights, namespace, ...spec }: CanarySpec): CanaryArgs {
  return {
    ...spec,
    service: { name: service, namespace },
    weights: Object.fromEntries(weights.map(({ subset, weight }) => [subset, weight])),
  };
}

/** A gateway without a namespace is one of the canary's own. */
function gatewayKey(canary: CanarySpec, gateway: string): string {
  return gateway.includes("/") ? gateway : `${canary.namespace}/${gateway}`;
}

/** Each component checks its own as well; here before any of them has declared anything. */
function checkLayer(args: MeshLayerArgs): void {
  resolved("the mesh", (findings) => {
    checkOneCanaryAService(args.canaries, findings);
    if (args.mesh.provider === "none") checkNothingNeedsMesh(args, findings);
    return args;
  });
  args.namespaces.forEach((spec) => namespaceSpec(spec.name, namespaceArgs(spec)));
  args.services.forEach((spec) => serviceOf(spec.name, serviceArgs(spec)));
  args.gateways.forEach((spec) => gatewaySpec(spec.name, spec));
  args.canaries.forEach((spec) => canarySpec(canaryArgs(spec)));
}

/** Of two DestinationRules for one host, Istio takes the older one's settings and says so only in its log. */
function checkOneCanaryAService(canaries: readonly CanarySpec[], findings: Findings): void {
  for (const [index, canary] of canaries.entries()) {
    const other = canaries
      .slice(0, index)
      .find(({ namespace, service }) => namespace === canary.namespace && service === canary.service);
    if (other === undefined) continue;
    const message =
      `canary ${other.name} splits it already: make them one; ` +
      'its hosts and gateways are lists, and the gateway "mesh" is the sidecars';
    fail(findings, ["canaries", canary.name, "service"], canary.service, message);
  }
}

/** Without a mesh there is nothing that could inject, encrypt or route. */
function checkNothingNeedsMesh(args: MeshLayerArgs, findings: Findings): void {
  const needs = [
    ...args.namespaces.filter(({ injection }) => injection).map(({ name }) => `namespace ${name} (injection)`),
    ...args.namespaces.filter(({ mtls }) => mtls !== "unset").map(({ name }) => `namespace ${name} (mtls)`),
    ...args.gateways.map(({ name }) => `gateway ${name}`),
    ...args.canaries.map(({ name }) => `canary ${name}`),
  ];
  if (needs.length === 0) return;
  const message = `the stack has ${needs.join(", ")}: use provider istio, or remove these`;
  fail(findings, ["mesh", "provider"], "none", message);
}
