import * as pulumi from "@pulumi/pulumi";

export interface ChartArgs {
  readonly name: string;
  /** Exact. */
  readonly version: string;
  /** Exactly one: Helm repository URL, or oci:// reference of the folder. */
  readonly repository?: string;
  readonly oci?: string;
  /** "sha256:<hex>" of the archive; default: the one that the repository's index gives, kept in state. */
  readonly digest?: string;
}

/** A pinned Helm chart, fetched on `up` into `.kvmesh/charts` of the checkout, so that preview never needs the network. */
export class Chart extends pulumi.CustomResource {
  /** Path relative to the checkout. Unknown in a preview on a machine that has not fetched it yet. */
  declare readonly path: pulumi.Output<string>;
  /** "sha256:<hex>" of the archive that was unpacked. */
  declare readonly resolvedDigest: pulumi.Output<string>;
  constructor(name: string, args: ChartArgs, opts?: pulumi.CustomResourceOptions) {
    super("kvmesh:index:Chart", name, { ...args, path: undefined, resolvedDigest: undefined }, opts);
  }
}
