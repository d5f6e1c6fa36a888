import * as pulumi from "@pulumi/pulumi";
import { fail } from "../../config/draft";
import { didYouMean } from "../../config/problems";
import * as section from "../../config/sections/canaries";
import { validate } from "../../config/validate";
import { resolved } from "../input-error";
import type { DestinationRuleSpec, VirtualServiceSpec } from "./api";
import { Gateway } from "./gateway";
import { DestinationRule, VirtualService } from "./istio-objects";
import { childOptions } from "./options";
import { VersionedService } from "./versioned-service";

/** A Service that something else made. */
export interface ServiceRef {
  readonly name: string;
  /** Default `default`. */
  readonly namespace?: string;
}

export interface CanaryArgs {
  /** The service whose traffic is split, in its namespace. */
  readonly service: VersionedService | ServiceRef;
  /** Name of the DestinationRule and VirtualService; default: the service's. */
  readonly name?: string;
  /** Hosts of the VirtualService; default: the service itself. `*` is for gateways only. */
  readonly hosts?: readonly string[];
  /** Gateways through which the hosts are reached: as values, `name` or `namespace/name`; `mesh` is the sidecars. Default: only these. */
  readonly gateways?: readonly (Gateway | string)[];
  /**
   * Share of each version in whole percent, by value of the label `version`; the sum is 100.
   * Plain numbers, so that a policy judges them in a preview.
   */
  readonly weights: Readonly<Record<string, number>>;
}

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

  /** @throws InputError */
  constructor(name: string, args: CanaryArgs, opts?: pulumi.ComponentResourceOptions) {
    const spec = canarySpec(args);
    super("kvmesh:mesh:Canary", name, {}, opts);
    const ref = { name: spec.name, namespace: spec.namespace };
    const after = [
      ...(args.service instanceof VersionedService ? [args.service.service] : []),
      ...(args.gateways ?? []).flatMap((one) => (one instanceof Gateway ? [one.gateway] : [])),
    ];
    this.destinationRule = new DestinationRule(
      `${name}-destination-rule`,
      ref,
      destinationRuleSpec(spec),
      childOptions(this, opts, after),
    );
    this.virtualService = new VirtualService(
      `${name}-virtual-service`,
      ref,
      virtualServiceSpec(spec),
      childOptions(this, opts, [...after, this.destinationRule]),
    );
    this.registerOutputs({
      destinationRule: `${ref.namespace}/${ref.name}`,
      virtualService: `${ref.namespace}/${ref.name}`,
    });
  }
}

/** @throws InputError when the weights don't sum to 100, a version isn't the service's, or `*` is asked of the sidecars */
export function canarySpec(args: CanaryArgs): section.CanarySpec {
  const { service, weights } = args;
  const namespace = service.namespace ?? "default";
  const name = args.name ?? service.name;
  return resolved(`canary ${namespace}/${name}`, (findings) => {
    const given = {
      ...{ name, namespace, service: service.name, weights },
      ...(args.hosts === undefined ? {} : { hosts: args.hosts }),
      gateways: (args.gateways ?? []).map((one) => (one instanceof Gateway ? referenceTo(one, namespace) : one)),
    };
    const entry = validate(section.entry, given, [], findings.problems);
    const spec = entry && section.complete(name, entry);
    if (spec === undefined) return undefined;
    section.checkAlone(spec, [], findings);
    if (service instanceof VersionedService) {
      for (const { subset, weight } of spec.weights) {
        if (service.versions.includes(subset)) continue;
        const message = `service ${service.name} has no such version.${didYouMean(subset, service.versions)} It has ${service.versions.join(", ")}.`;
        fail(findings, ["weights", subset], weight, message);
      }
    }
    return spec;
  });
}

function referenceTo(gateway: Gateway, from: string): string {
  return gateway.namespace === from ? gateway.name : `${gateway.namespace}/${gateway.name}`;
}

/** Subset `v2` is the pods with label `version: v2`. */
export function destinationRuleSpec(canary: section.CanarySpec): DestinationRuleSpec {
  return {
    host: canary.service,
    subsets: canary.weights.map(({ subset }) => ({ name: subset, labels: { version: subset } })),
  };
}

export function virtualServiceSpec({ hosts, gateways, weights, service }: section.CanarySpec): VirtualServiceSpec {
  return {
    hosts,
    ...(gateways.length > 0 && { gateways }),
    http: [{ route: weights.map(({ subset, weight }) => ({ destination: { host: service, subset }, weight })) }],
  };
}
