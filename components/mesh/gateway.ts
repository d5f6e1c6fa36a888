import * as pulumi from "@pulumi/pulumi";
import * as section from "../../config/sections/gateways";
import { validate } from "../../config/validate";
import { resolved } from "../input-error";
import type { GatewayManifestSpec } from "./api";
import { GatewayObject } from "./istio-objects";
import { childOptions } from "./options";

export interface GatewayArgs {
  /** Default: the component's name. */
  readonly name?: string;
  /** Default `default`. */
  readonly namespace?: string;
  /** Default: every host, `*`. */
  readonly hosts?: readonly string[];
  /** Default HTTPS. */
  readonly protocol?: "HTTP" | "HTTPS";
  /** Default 443; 80 for HTTP. */
  readonly port?: number;
  /** Name of the TLS secret, in the namespace of the gateway's pods (istio-ingress); HTTPS needs it. */
  readonly tlsSecret?: string;
  /** Labels of the gateway's pods; default `istio: ingressgateway`. */
  readonly selector?: Readonly<Record<string, string>>;
}

/** An Istio Gateway: one server of the ingress gateway's pods, with a port, a protocol and the hosts it answers for. */
export class Gateway extends pulumi.ComponentResource {
  readonly name: string;
  readonly namespace: string;
  readonly gateway: GatewayObject;

  /** @throws InputError */
  constructor(name: string, args: GatewayArgs, opts?: pulumi.ComponentResourceOptions) {
    const spec = gatewaySpec(name, args);
    super("kvmesh:mesh:Gateway", name, {}, opts);
    this.name = spec.name;
    this.namespace = spec.namespace;
    this.gateway = new GatewayObject(
      `${name}-gateway`,
      { name: spec.name, namespace: spec.namespace },
      gatewayManifest(spec),
      childOptions(this, opts),
    );
    this.registerOutputs({ gateway: `${spec.namespace}/${spec.name}` });
  }
}

/** @throws InputError when HTTPS has no secret, HTTP has one, or there is no host */
export function gatewaySpec(name: string, args: GatewayArgs): section.GatewaySpec {
  return resolved(`gateway ${args.namespace ?? "default"}/${args.name ?? name}`, (findings) => {
    const entry = validate(section.entry, { ...args }, [], findings.problems);
    const spec = entry && section.complete(name, entry);
    if (spec) section.checkAlone(spec, [], findings);
    return spec;
  });
}

function gatewayManifest({ selector, port, protocol, hosts, tlsSecret }: section.GatewaySpec): GatewayManifestSpec {
  return {
    selector,
    servers: [
      {
        port: { number: port, name: protocol.toLowerCase(), protocol },
        hosts,
        ...(tlsSecret === undefined ? {} : { tls: { mode: "SIMPLE" as const, credentialName: tlsSecret } }),
      },
    ],
  };
}
