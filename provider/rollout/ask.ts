import { UnreachableError, type Context } from "../core/kind";
import { ASK, parseAnswers } from "../node/answers";
import { ADMIN_CONF, LOCAL_KUBECTL } from "../node/paths";
import { repeatable } from "../node/reach";
import type { NodeTurnInputs } from "./schema";

export interface SeenNode {
  readonly name: string;
  readonly ready: boolean;
  readonly cordoned: boolean;
}

/** Where no control plane could say; each with why. */
export class NoAnswer {
  constructor(readonly faults: readonly string[]) {}
}

const NODES = `${ASK}
[ -e ${ADMIN_CONF} ] || { ask none; echo yes; exit 0; }
ask nodes
${LOCAL_KUBECTL} get nodes -o 'jsonpath={range .items[*]}{.metadata.name}|{.status.conditions[?(@.type=="Ready")].status}|{.spec.unschedulable}{"\\n"}{end}'`;

/** The cluster's nodes, as the first control plane that answers sees them; undefined: on none of them is a cluster yet. */
export async function nodesOf(
  ctx: Context,
  controlPlanes: NodeTurnInputs["controlPlanes"],
): Promise<readonly SeenNode[] | NoAnswer | undefined> {
  const faults: string[] = [];
  let bare = 0;
  for (const { name, endpoint } of controlPlanes) {
    try {
      const result = await ctx.transport.script(endpoint, NODES, repeatable(ctx));
      const answers = parseAnswers(result.stdout);
      if (answers.get("none") === "yes") bare++;
      else if (result.code === 0) return parsed(answers.get("nodes") ?? "");
      else faults.push(`${name}: ${result.stderr.trim().slice(-200)}`);
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      faults.push(`${name}: ${error.message}`);
    }
  }
  return bare === controlPlanes.length ? undefined : new NoAnswer(faults);
}

function parsed(text: string): SeenNode[] {
  return text.split("\n").flatMap((line) => {
    const [name, ready, cordoned] = line.split("|");
    return name ? [{ name, ready: ready === "True", cordoned: cordoned === "true" }] : [];
  });
}
