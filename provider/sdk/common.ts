import type * as pulumi from "@pulumi/pulumi";

/** Where an SSH server is and the host key that proves it. Credentials are the provider's settings, never a resource's. */
export interface EndpointArgs {
  readonly address: pulumi.Input<string>;
  /** Default 22. */
  readonly port?: pulumi.Input<number>;
  /** Default root. */
  readonly user?: pulumi.Input<string>;
  /** "ssh-ed25519 AAAA…". */
  readonly hostKey: pulumi.Input<string>;
  readonly bastion?: pulumi.Input<{
    readonly address: pulumi.Input<string>;
    readonly port?: pulumi.Input<number>;
    readonly user?: pulumi.Input<string>;
    readonly hostKey: pulumi.Input<string>;
  }>;
}

/** Marks what this stack made; written into libvirt metadata and sidecar files on the host. What has another mark, or none, is never touched. */
export interface OwnerArgs {
  readonly project: string;
  readonly stack: string;
  readonly cluster: string;
  readonly environment: "production" | "staging" | "development";
}
