import * as pulumi from "@pulumi/pulumi";
import type { CanarySpec, StackSpec } from "../../config/spec";
import { Canary, virtualServiceSpec } from "./canary";
import { MeshInputError } from "./errors";
import { gatewaySpec, IngressGateway } from "./ingress-gateway";
import { IstioMesh } from "./istio-mesh";
import { MeshNamespace, namespaceLabels } from "./namespace";
import { childOptions } from "./options";
import { rootNamespace, StrictMtls } from "./strict-mtls";
import { checkVersions, VersionedService } from "./versioned-service";

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

    const mesh =
      args.mesh.provider === "none"
        ? undefined
        : new IstioMesh(
            `${name}-istio`,
            { spec: args.mesh, environment: args.environment, timeouts: args.timeouts },
            child(),
          );
    this.mesh = mesh;

    const namespaces = new Map(
      args.namespaces.map((spec) => [spec.name, new MeshNamespace(spec.name, spec, child()).namespace]),
    );
    const inNamespace = (namespace: string): pulumi.Resource | undefined => namespaces.get(namespace);

    const namespaceMtls = args.namespaces.flatMap((spec) =>
      spec.mtls === "unset"
        ? []
        : [
            new StrictMtls(
              `${spec.name}-mtls`,
              { namespace: spec.name, mode: spec.mtls },
              child(mesh?.controlPlane, inNamespace(spec.name)),
            ),
          ],
    );
    if (args.mesh.provider === "istio" && args.mesh.mtls !== "unset") {
      // Last of all mutual TLS: a namespace that isn't ready for it fails alone, and not the whole mesh with it.
      new StrictMtls(
        `${name}-mtls`,
        { namespace: rootNamespace, mode: args.mesh.mtls },
        child(mesh?.controlPlane, ...namespaceMtls.map(({ peerAuthentication }) => peerAuthentication)),
      );
    }

    const services = args.services.map(
      (spec) =>
        new VersionedService(
          `${spec.namespace}/${spec.name}`,
          { ...spec, rolloutTimeout: args.timeouts.rollout },
          child(mesh?.controlPlane, inNamespace(spec.namespace)),
        ),
    );
    const gateways = new Map(
      args.gateways.map((spec) => [
        `${spec.namespace}/${spec.name}`,
        new IngressGateway(`${spec.namespace}/${spec.name}`, spec, child(mesh?.gateway, inNamespace(spec.namespace)))
          .gateway,
      ]),
    );
    this.canaries = args.canaries.map(
      (spec) =>
        new Canary(
          `${spec.namespace}/${spec.name}`,
          spec,
          child(
            mesh?.controlPlane,
            inNamespace(spec.namespace),
            ...services.filter((_, i) => isFor(spec, args.services[i])).map(({ service }) => service),
            ...spec.gateways.map((gateway) => gateways.get(gatewayKey(spec, gateway))),
          ),
        ),
    );
    this.registerOutputs({
      gatewayServiceName: mesh?.gatewayServiceName,
      gatewayServiceNamespace: mesh?.gatewayServiceNamespace,
    });
  }
}

function isFor(canary: CanarySpec, service: { name: string; namespace: string } | undefined): boolean {
  return service?.name === canary.service && service.namespace === canary.namespace;
}

/** A gateway without a namespace is one of the canary's own. */
function gatewayKey(canary: CanarySpec, gateway: string): string {
  return gateway.includes("/") ? gateway : `${canary.namespace}/${gateway}`;
}

function checkLayer(args: MeshLayerArgs): void {
  checkOneCanaryAService(args.canaries);
  if (args.mesh.provider === "none") checkNothingNeedsMesh(args);
  // Each component checks its own as well; here before any of them has declared anything.
  args.namespaces.forEach(namespaceLabels);
  args.services.forEach(checkVersions);
  args.gateways.forEach(gatewaySpec);
  args.canaries.forEach(virtualServiceSpec);
}

/** Of two DestinationRules for one host, Istio takes the older one's settings and says so only in its log. */
function checkOneCanaryAService(canaries: readonly CanarySpec[]): void {
  for (const [index, canary] of canaries.entries()) {
    const other = canaries
      .slice(0, index)
      .find(({ namespace, service }) => namespace === canary.namespace && service === canary.service);
    if (other !== undefined) {
      throw new MeshInputError(
        `canary ${canary.namespace}/${canary.name}`,
        `splits service ${canary.service}, as canary ${other.name} does`,
        'Make them one: its hosts and gateways are lists, and the gateway "mesh" is the sidecars',
      );
    }
  }
}

/** Without a mesh there is nothing that could inject, encrypt or route. */
function checkNothingNeedsMesh(args: MeshLayerArgs): void {
  const needs = [
    ...args.namespaces.filter(({ injection }) => injection).map(({ name }) => `namespace ${name} (injection)`),
    ...args.namespaces.filter(({ mtls }) => mtls !== "unset").map(({ name }) => `namespace ${name} (mtls)`),
    ...args.gateways.map(({ name }) => `gateway ${name}`),
    ...args.canaries.map(({ name }) => `canary ${name}`),
  ];
  if (needs.length > 0) {
    throw new MeshInputError(
      "mesh.provider",
      `"none", but the stack has ${needs.join(", ")}`,
      "Use provider istio, or remove these",
    );
  }
}
