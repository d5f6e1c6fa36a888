import * as pulumi from "@pulumi/pulumi";
import { NodeReady, NodeTurn, type ControlPlaneArgs, type OwnerArgs } from "../../provider/sdk";
import { describeRollout, planRollout, Turns, type Revision, type RolledOut } from "./rollout";

export interface PoolRolloutArgs {
  readonly owner: OwnerArgs;
  /** For messages: "pool worker". */
  readonly what: string;
  readonly nodes: readonly { readonly name: string; readonly revision: Revision }[];
  /** Nodes that may be out at once. */
  readonly maxUnavailable: number;
  /** Of the cluster: any of them says which nodes are well. */
  readonly controlPlanes: pulumi.Input<readonly ControlPlaneArgs[]>;
  readonly rolledOut: RolledOut;
  /** Nodes that change before the first of these. */
  readonly after?: PoolRollout;
}

/**
 * Nodes of one pool change in turns. A turn is no dependency that the engine knows of: the program declares what belongs to a node only when the
 * nodes before it are Ready, so that a failure leaves all the others as they are (docs/decisions/0142).
 */
export class PoolRollout {
  private readonly turns: Turns;
  private readonly changing: ReadonlySet<string>;

  constructor(
    private readonly args: PoolRolloutArgs,
    private readonly parent: pulumi.Resource,
  ) {
    const { nodes, rolledOut, what, maxUnavailable, after } = args;
    const plan = planRollout(nodes, rolledOut);
    this.changing = new Set(plan.next.map(({ name }) => name));
    this.turns = new Turns(plan, maxUnavailable, after?.turns.finished);
    const text = describeRollout(what, plan, maxUnavailable);
    if (text !== "") void pulumi.log.info(text, parent);
  }

  changes(name: string): boolean {
    return this.changing.has(name);
  }

  /** Resolves when the node may be touched, and the state says that its turn has begun. */
  turnOf(name: string): Promise<unknown> {
    const { owner, nodes, maxUnavailable, controlPlanes } = this.args;
    const turn = new NodeTurn(
      name,
      {
        owner,
        name,
        controlPlanes,
        revision: this.revisionOf(name),
        pool: nodes.map((node) => node.name),
        maxUnavailable,
      },
      { parent: this.parent, dependsOn: afterTurn(this.turns.turnOf(name)) },
    );
    return new Promise((resolve) => void turn.urn.apply(resolve));
  }

  /** What ends the node's turn, once it is declared and the node is Ready. */
  readyOf(
    name: string,
    args: { readonly identity: pulumi.Input<string>; readonly timeoutSeconds: number },
    opts: pulumi.CustomResourceOptions,
  ): NodeReady {
    const { owner, controlPlanes } = this.args;
    const ready = new NodeReady(name, { owner, name, controlPlanes, revision: this.revisionOf(name), ...args }, opts);
    ready.urn.apply(() => this.turns.done(name));
    return ready;
  }

  private revisionOf(name: string): Revision {
    return this.args.nodes.find((node) => node.name === name)!.revision;
  }
}

/** A `dependsOn` that also waits for a turn, which is no dependency in the state. */
export function afterTurn(
  turn: Promise<unknown>,
  ...resources: readonly (pulumi.Resource | undefined)[]
): Promise<pulumi.Input<pulumi.Resource>[]> {
  return turn.then(() => resources.filter((needed) => needed !== undefined));
}
