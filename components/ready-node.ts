import type * as pulumi from "@pulumi/pulumi";
import type { Role, TaintSpec } from "../config/spec";
import type { EndpointArgs } from "../provider/sdk";

/** A machine ready for Kubernetes, carved from a host or existing: everything above it is the same for both. */
export interface ReadyNode {
  /** Kubernetes node name. */
  readonly name: string;
  readonly pool: string;
  readonly role: Role;
  readonly labels: Readonly<Record<string, string>>;
  /** It registers with these; a control plane's own one is not among them. */
  readonly taints: readonly TaintSpec[];
  readonly endpoint: EndpointArgs;
  /** IPv4 address of the node's Kubernetes traffic. */
  readonly nodeAddress: string;
  /** What fails together with it: name of the host that it is carved from. Absent: a machine of its own. */
  readonly host?: string;
  /** Changes when the machine is another one: what was installed on it is then made anew. */
  readonly identity: pulumi.Input<string>;
  /** Its turn to change, with all nodes of its pool; absent: it changes at once. */
  readonly rollout?: {
    /** It is in the cluster, and waits for its turn. */
    changes(name: string): boolean;
    /** Declares what ends its turn, once it is in the cluster. */
    readyOf(
      name: string,
      args: { readonly identity: pulumi.Input<string>; readonly timeoutSeconds: number },
      opts: pulumi.CustomResourceOptions,
    ): pulumi.Resource;
  };
  /** What must be there before anything is installed on the node. */
  readonly ready: readonly pulumi.Resource[];
}
