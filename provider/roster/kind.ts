import { z } from "zod";
import { checkWith, endpoint, owner } from "../core/check";
import { changesOf } from "../core/diff";
import { UnreachableError, UserError, type Context, type Kind } from "../core/kind";
import { lookAt } from "../controlplane/make";
import { caHash, nodeName } from "../node/inputs";
import { isOurs, writeMark } from "../node/mark";
import { KUBECTL } from "../node/paths";
import { repeatable } from "../node/reach";

const rosterArgs = z.strictObject({
  controlPlane: endpoint,
  owner,
  /** Name of the first control plane. */
  first: nodeName,
  nodes: z.array(nodeName).min(1),
  caCertHash: caHash,
  timeoutSeconds: z.number().positive().default(600),
});
export type RosterInputs = z.output<typeof rosterArgs>;

/**
 * The nodes of a cluster as a whole. Made when every one of them is Ready, so that what needs a cluster that runs pods
 * depends on this. It depends on every node itself, and so it is deleted before any of them when the whole cluster goes,
 * and never when one node goes: it then leaves word at the first control plane that draining would serve nobody.
 */
export const rosterKind: Kind<RosterInputs, object> = {
  token: "kvmesh:index:Roster",
  args: rosterArgs,
  outputs: {},
  deleteBeforeReplace: true,

  check: checkWith(rosterArgs),

  diff: (olds, news) =>
    changesOf<RosterInputs>(olds, news, {
      caCertHash: "replace",
      first: "replace",
      nodes: "live",
      controlPlane: "record",
      owner: "record",
      timeoutSeconds: "record",
    }),

  async create(ctx, inputs) {
    // A destroy that was cut off may have left word.
    await setEnding(ctx, inputs, false);
    await waitForNodes(ctx, inputs);
    return { id: inputs.owner.cluster, outputs: {} };
  },

  read(_ctx, id, known) {
    if (known === undefined) throw new UserError(`${id}: there is nothing to import; declare the cluster`);
    return Promise.resolve({ inputs: known, outputs: {} });
  },

  async update(ctx, _id, _olds, news) {
    await waitForNodes(ctx, news);
    return {};
  },

  async delete(ctx, _id, state) {
    try {
      await setEnding(ctx, state, true);
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      ctx.warn(
        `cluster ${state.owner.cluster}: its first control plane does not answer; nodes leave as far as they can`,
      );
    }
  },
};

async function setEnding(ctx: Context, inputs: RosterInputs, ending: boolean): Promise<void> {
  const { mark } = await lookAt(ctx, { endpoint: inputs.controlPlane });
  if (!isOurs(mark, inputs.owner, inputs.first) || (mark.ending ?? false) === ending) return;
  await writeMark(ctx, inputs.controlPlane, { ...mark, ending });
}

/** How often a wait that makes no headway is said again. */
const REPEAT_MS = 10_000;

/** The script prints a line a second until all are Ready: "name False <the kubelet's reason>" of each that is not, tabs between. */
async function waitForNodes(ctx: Context, inputs: RosterInputs): Promise<void> {
  const started = Date.now();
  let said = { names: "", at: 0 };
  const result = await ctx.transport.script(
    inputs.controlPlane,
    `tab=$(printf '\\t')
end=$(($(date +%s) + ${Math.ceil(inputs.timeoutSeconds)}))
while :; do
  seen=$(${KUBECTL} get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}{"\\n"}{end}' 2>&1)
  missing=
  for node in ${inputs.nodes.join(" ")}; do
    line=$(printf '%s\\n' "$seen" | grep "^$node ") || line="$node is not known to the API"
    case "$line" in "$node True "*) ;; *) missing="$missing$tab$line" ;; esac
  done
  [ -z "$missing" ] && exit 0
  echo "\${missing#"$tab"}"
  [ "$(date +%s)" -ge $end ] && exit 1
  sleep 1
done`,
    {
      ...repeatable(ctx, (inputs.timeoutSeconds + 60) * 1000),
      onLine: (line) => {
        const names = line
          .split("\t")
          .map((one) => one.split(" ")[0])
          .join(", ");
        if (names === said.names && Date.now() - said.at < REPEAT_MS) return;
        said = { names, at: Date.now() };
        const seconds = Math.round((said.at - started) / 1000);
        ctx.progress(`waiting until Ready: ${names} (${seconds} of ${inputs.timeoutSeconds} s)`);
      },
    },
  );
  if (result.code === 0) return;
  const last = result.stdout.trim().split("\n").pop() ?? "";
  throw new UserError(
    `cluster ${inputs.owner.cluster}: nodes are not Ready after ${inputs.timeoutSeconds} s:\n` +
      last
        .split("\t")
        .map((line) => `  - ${line.slice(0, 300)}`)
        .join("\n") +
      "\nLook at `kubectl describe node` and at the pods of kube-flannel; `pulumi up` waits again",
  );
}
