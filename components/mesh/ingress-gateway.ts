import * as pulumi from "@pulumi/pulumi";
import type { GatewaySpec } from "../../config/spec";
import type { GatewayManifestSpec } from "./api";
import { MeshInputError } from "./errors";
import { childOptions } from "./options";
import { Gateway } from "./resources";

export type IngressGatewayArgs = GatewaySpec;

/** One server of the ingress gateway's pods: a port, a protocol and the hosts it answers for. */
export class IngressGateway extends pulumi.ComponentResource {
  readonly gateway: Gateway;

  constructor(name: string, args: IngressGatewayArgs, opts?: pulumi.ComponentResourceOptions) {
    const spec = gatewaySpec(args);
    super("kvmesh:mesh:IngressGateway", name, {}, opts);
    this.gateway = new Gateway(
      `${name}-gateway`,
      { name: args.name, namespace: args.namespace },
      spec,
      childOptions(this, opts),
    );
    this.registerOutputs({ gateway: `${args.namespace}/${args.name}` });
  }
}

/**
 * @throws MeshInputError when HTTPS has no secret, HTTP has one, or there is no host.
 */
export function gatewaySpec(args: IngressGatewayArgs): GatewayManifestSpec {
  const where = `gateway ${args.namespace}/${args.name}`;
  if (args.hosts.length === 0) {
    throw new MeshInputError(where, "no hosts", 'Name at least one host, or "*" for every one');
  }
  const tls = serverTls(where, args);
  return {
    selector: args.selector,
    servers: [
      {
        port: { number: args.port, name: args.protocol.toLowerCase(), protocol: args.protocol },
        hosts: args.hosts,
        ...(tls && { tls }),
      },
    ],
  };
}

function serverTls(where: string, args: IngressGatewayArgs): GatewayManifestSpec["servers"][number]["tls"] {
  if (args.protocol === "HTTPS") {
    if (!args.tlsSecret) {
      throw new MeshInputError(
        where,
        "protocol HTTPS without tlsSecret",
        "Name a TLS secret in the namespace of the gateway's pods (istio-ingress)",
      );
    }
    return { mode: "SIMPLE", credentialName: args.tlsSecret };
  }
  if (args.tlsSecret) {
    throw new MeshInputError(
      where,
      `tlsSecret "${args.tlsSecret}" with protocol HTTP`,
      "Use protocol HTTPS, or remove tlsSecret",
    );
  }
  return undefined;
}
