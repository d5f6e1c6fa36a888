import { UserError, type Context } from "../core/kind";
import type { WayIn } from "../membership/ways-in";
import { LOCAL_KUBECTL } from "../node/paths";
import { repeatable } from "../node/reach";

/** Whether the cluster has a node of this name. An API that does not say so is an error, not a no. */
export async function isRegistered(ctx: Context, via: WayIn, name: string): Promise<boolean> {
  return (await registration(ctx, via, name)) !== undefined;
}

/** The node's condition Ready, "True", "False" or "Unknown"; undefined: there is no node of this name. */
export async function registration(ctx: Context, via: WayIn, name: string): Promise<string | undefined> {
  const result = await ctx.transport.script(
    via.endpoint,
    `${LOCAL_KUBECTL} get node ${name} --ignore-not-found -o 'jsonpath={.metadata.name} {.status.conditions[?(@.type=="Ready")].status}'`,
    repeatable(ctx, 60_000),
  );
  if (result.code !== 0) {
    throw new UserError(
      `node ${name}: it can't be known whether the cluster has it: the API at ${via.name} said: ${result.stderr.trim().slice(-300)}`,
    );
  }
  const [found = "", ready = ""] = result.stdout.trim().split(" ");
  return found === name ? ready : undefined;
}

/** Names of all nodes that the cluster has; undefined: its API does not say. */
export async function nodesOf(ctx: Context, via: WayIn): Promise<readonly string[] | undefined> {
  const result = await ctx.transport.script(
    via.endpoint,
    `${LOCAL_KUBECTL} get nodes -o 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}'`,
    repeatable(ctx, 60_000),
  );
  return result.code === 0 ? result.stdout.split("\n").filter((name) => name !== "") : undefined;
}

export async function deleteNode(ctx: Context, via: WayIn, name: string): Promise<void> {
  const result = await ctx.transport.script(
    via.endpoint,
    `${LOCAL_KUBECTL} delete node ${name} --ignore-not-found --wait=false`,
    repeatable(ctx, 60_000),
  );
  if (result.code !== 0) {
    throw new UserError(`node ${name}: it could not be deleted from the cluster: ${result.stderr.trim().slice(-300)}`);
  }
}
