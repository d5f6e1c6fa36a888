import { UnreachableError, type Context } from "../core/kind";
import type { RunOptions } from "../transport/transport";

/** Options of a script that may be run again from its start when the connection drops. */
export function repeatable(ctx: Context, timeoutMs = 60_000): RunOptions {
  return { timeoutMs, signal: ctx.signal, idempotent: true };
}

/**
 * Refresh of a machine that does not answer: what was last known stays, and it is said that it could not be checked.
 * Silence proves nothing: taking it for "gone" would make the next `up` build the node a second time.
 */
export async function whenUnreachable<T>(ctx: Context, node: string, lastKnown: T, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    ctx.warn(`node ${node} could not be checked; its last known state is kept: ${error.message}`);
    return lastKnown;
  }
}
