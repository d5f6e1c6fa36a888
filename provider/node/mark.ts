import { UserError, type Context } from "../core/kind";
import type { Owner } from "../core/check";
import type { Endpoint } from "../transport/transport";
import { MARK_PATH } from "./paths";

/** Kept on every node that we made part of a cluster: what has another mark, or none, is never touched. */
export interface Mark {
  readonly project: string;
  readonly stack: string;
  readonly cluster: string;
  /** Random, made at the founding. A cluster of the same name that is founded later is another one. */
  readonly clusterId: string;
  readonly node: string;
  readonly role: "control-plane" | "worker";
  /** What kubeadm runs, or ran, here. */
  readonly making: "init" | "join";
  /**
   * `started` is written before kubeadm runs, `done` after everything it had to do was seen done. `left`: its ClusterNode was destroyed
   * together with the whole cluster; the Cluster itself, which goes last, clears the machine.
   */
  readonly phase: "started" | "done" | "left";
}

export function markOf(
  owner: Owner,
  clusterId: string,
  node: string,
  rest: Pick<Mark, "role" | "making" | "phase">,
): Mark {
  return { project: owner.project, stack: owner.stack, cluster: owner.cluster, clusterId, node, ...rest };
}

export async function writeMark(ctx: Context, at: Endpoint, mark: Mark): Promise<void> {
  await ctx.transport.writeFile(at, MARK_PATH, `${JSON.stringify(mark)}\n`, 0o600);
}

/** undefined for no mark; a file that is not ours in form is a foreign mark. */
export function parseMark(text: string): Mark | "unreadable" | undefined {
  if (text.trim() === "") return undefined;
  try {
    const value = JSON.parse(text) as Partial<Mark>;
    return typeof value.stack === "string" && typeof value.node === "string" ? (value as Mark) : "unreadable";
  } catch {
    return "unreadable";
  }
}

/** `clusterId` undefined: of any cluster of this name, as before its founding. */
export function isOurs(
  mark: Mark | "unreadable" | undefined,
  owner: Owner,
  node: string,
  clusterId?: string,
): mark is Mark {
  return (
    typeof mark === "object" &&
    mark.project === owner.project &&
    mark.stack === owner.stack &&
    mark.cluster === owner.cluster &&
    mark.node === node &&
    (clusterId === undefined || mark.clusterId === clusterId)
  );
}

/** The refusal of a machine that is part of something else. */
export function foreign(node: string, at: Endpoint, mark: Mark | "unreadable" | undefined): UserError {
  const whose =
    typeof mark === "object"
      ? `it is marked as node ${mark.node} of cluster ${mark.cluster} (project ${mark.project}, stack ${mark.stack}, id ${mark.clusterId})`
      : mark === "unreadable"
        ? `${MARK_PATH} can't be read as a mark of ours`
        : "it has no mark of ours";
  return new UserError(
    `node ${node} (${at.address}): Kubernetes is there, and ${whose}; nothing was changed. ` +
      `Take it out of that cluster, or run \`kubeadm reset\` on it and remove ${MARK_PATH} when it is not needed any more`,
  );
}
