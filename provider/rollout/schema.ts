import { z } from "zod";
import { endpoint, owner } from "../core/check";
import { identity, nodeName } from "../node/inputs";

const common = {
  owner,
  name: nodeName,
  /** Any of them that answers is asked; none: the nodes are in no cluster of this program. */
  controlPlanes: z.array(z.strictObject({ name: nodeName, endpoint })),
  /** What of the declaration a node is drained for, by part: a short digest each. */
  revision: z.record(z.string(), z.string()),
};

export const nodeTurnArgs = z.strictObject({
  ...common,
  /** Names of all nodes of the pool. */
  pool: z.array(nodeName),
  /** Nodes of the pool that may be out at once, this one among them. */
  maxUnavailable: z.int().min(1),
});

export const nodeReadyArgs = z.strictObject({
  ...common,
  timeoutSeconds: z.number().positive().default(600),
  identity,
});

export type NodeTurnInputs = z.output<typeof nodeTurnArgs>;
export type NodeReadyInputs = z.output<typeof nodeReadyArgs>;
