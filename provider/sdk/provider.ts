import * as pulumi from "@pulumi/pulumi";
import type { EndpointArgs, OwnerArgs } from "./common";

export interface ProviderArgs {
  /** Private key file, `~` allowed; default: the SSH agent (SSH_AUTH_SOCK). */
  readonly identityFile?: pulumi.Input<string>;
  /** TCP connect and SSH handshake, seconds; default 15. */
  readonly connectTimeoutSeconds?: pulumi.Input<number>;
  /** Tries of one step on a broken or refused connection; default 4. */
  readonly attempts?: pulumi.Input<number>;
  /** Hosts by the names that import IDs begin with ("osl1-a:web-0"); default none. */
  readonly hosts?: Readonly<Record<string, { readonly endpoint: EndpointArgs }>>;
  /** Of what is imported and carries no mark yet; default: the stack's name. */
  readonly cluster?: string;
  /** Of what is imported and carries no mark yet; default `development`. */
  readonly environment?: OwnerArgs["environment"];
  /** Lets one node be changed once although something about it can't be verified; default none. A word works one time. */
  readonly breakGlass?: { readonly node: string; readonly word: string };
}

/** Settings of the kvmesh plugin: how this machine authenticates, and which hosts it knows by name. Changing them replaces nothing. */
export class Provider extends pulumi.ProviderResource {
  constructor(name: string, args: ProviderArgs = {}, opts?: pulumi.ResourceOptions) {
    super("kvmesh", name, { ...args }, opts);
  }
}
