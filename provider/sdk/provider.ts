import * as pulumi from "@pulumi/pulumi";

export interface ProviderArgs {
  /** Private key file, `~` allowed; default: the SSH agent (SSH_AUTH_SOCK). */
  readonly identityFile?: pulumi.Input<string>;
  /** TCP connect and SSH handshake, seconds; default 15. */
  readonly connectTimeoutSeconds?: pulumi.Input<number>;
  /** Tries of one step on a broken or refused connection; default 4. */
  readonly attempts?: pulumi.Input<number>;
}

/** Settings of the kvmesh plugin: how this machine authenticates. Changing them replaces nothing. */
export class Provider extends pulumi.ProviderResource {
  constructor(name: string, args: ProviderArgs = {}, opts?: pulumi.ResourceOptions) {
    super("kvmesh", name, { ...args }, opts);
  }
}
