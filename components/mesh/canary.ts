import * as pulumi from "@pulumi/pulumi";
import type { CanarySpec } from "../../config/spec";
import type { DestinationRuleSpec, VirtualServiceSpec } from "./api";
import { MeshInputError } from "./errors";
import { childOptions } from "./options";
import { DestinationRule, VirtualService } from "./resources";

/** As in the stack file; in code, name defaults to the service, hosts to [service] and gateways to none. */
export type CanaryArgs = Pick<CanarySpec, "namespace" | "service"> & {
  readonly name?: string;
  readonly hosts?: readonly string[];
  readonly gateways?: readonly string[];
  readonly weights: readonly { readonly subset: string; readonly weight: number }[];
};

/**
 * Traffic of one service split between versions by weight, in the mesh or through gateways.
 *
 * The DestinationRule, which defines the subsets, is made before and removed after the VirtualService, which refers to
 * them: in the other order requests get 503. A weight of 0 keeps its subset, so that reverting is one change of the
 * VirtualService; take a subset out only after it has been at 0.
 */
export class Canary extends pulumi.ComponentResource {
  readonly destinationRule: DestinationRule;
  readonly virtualService: VirtualService;

  constructor(name: string, args: CanaryArgs, opts?: pulumi.ComponentResourceOptions) {
    const rule = destinationRuleSpec(args);
    const routes = virtualServiceSpec(args);
    super("kvmesh:mesh:Canary", name, {}, opts);
    const ref = { name: args.name ?? args.service, namespace: args.namespace };
    this.destinationRule = new DestinationRule(`${name}-destination-rule`, ref, rule, childOptions(this, opts));
    this.virtualService = new VirtualService(
      `${name}-virtual-service`,
      ref,
      routes,
      childOptions(this, opts, [this.destinationRule]),
    );
    this.registerOutputs({
      destinationRule: `${ref.namespace}/${ref.name}`,
      virtualService: `${ref.namespace}/${ref.name}`,
    });
  }
}

/** Subset `v2` is the pods with label `version: v2`. */
export function destinationRuleSpec(args: CanaryArgs): DestinationRuleSpec {
  return {
    host: args.service,
    subsets: args.weights.map(({ subset }) => ({ name: subset, labels: { version: subset } })),
  };
}

/**
 * @throws MeshInputError when the weights don't sum to 100, a subset repeats, or `*` is asked of the sidecars.
 */
export function virtualServiceSpec(args: CanaryArgs): VirtualServiceSpec {
  const hosts = args.hosts ?? [args.service];
  const gateways = args.gateways ?? [];
  checkCanary(args, hosts, gateways);
  return {
    hosts,
    ...(gateways.length > 0 && { gateways }),
    http: [
      {
        route: args.weights.map(({ subset, weight }) => ({ destination: { host: args.service, subset }, weight })),
      },
    ],
  };
}

function checkCanary(args: CanaryArgs, hosts: readonly string[], gateways: readonly string[]): void {
  const where = `canary ${args.namespace}/${args.name ?? args.service}`;
  const shown = args.weights.map(({ subset, weight }) => `${subset}: ${weight}`).join(", ") || "none";
  const bad = args.weights.find(({ weight }) => !Number.isInteger(weight) || weight < 0 || weight > 100);
  if (bad) {
    throw new MeshInputError(
      where,
      `weight ${bad.weight} of subset ${bad.subset}`,
      "Weights are whole numbers from 0 to 100",
    );
  }
  const sum = args.weights.reduce((total, { weight }) => total + weight, 0);
  if (sum !== 100) {
    throw new MeshInputError(
      where,
      `weights (${shown}) sum to ${sum}`,
      "They must sum to 100: say the share of every version, also of the stable one",
    );
  }
  const repeated = args.weights.find(({ subset }, index) => args.weights.findIndex((w) => w.subset === subset) < index);
  if (repeated) {
    throw new MeshInputError(where, `subset ${repeated.subset} twice (${shown})`, "Give each version one weight");
  }
  if (hosts.length === 0) {
    throw new MeshInputError(where, "no hosts", `Leave hosts out for the service itself (${args.service})`);
  }
  if (hosts.includes("*") && (gateways.length === 0 || gateways.includes("mesh"))) {
    throw new MeshInputError(
      where,
      'host "*" for the sidecars of the mesh, which would catch the traffic of every service',
      'Name the gateways that "*" is for, or the service as host',
    );
  }
}
