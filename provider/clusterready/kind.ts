import { z } from "zod";
import { checkWith, endpoint, owner } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Context, type Kind } from "../core/kind";
import { clusterEnds, clusterGoesOn } from "../membership/run";
import { findWayIn, NoWayIn } from "../membership/ways-in";
import { nodeName } from "../node/inputs";
import { LOCAL_KUBECTL } from "../node/paths";
import { repeatable } from "../node/reach";

const clusterReadyArgs = z.strictObject({
  owner,
  clusterId: z.string().min(1),
  controlPlanes: z.array(z.strictObject({ name: nodeName, endpoint })).min(1),
  /** All nodes of the cluster. */
  nodes: z.array(nodeName).min(1),
  timeoutSeconds: z.number().positive().default(600),
});
export type ClusterReadyInputs = z.output<typeof clusterReadyArgs>;

/**
 * That every node of a cluster is Ready: what needs a cluster that runs pods depends on this. It waits for the nodes without depending on
 * them in the engine's sense, so that one node can be destroyed as a target without everything that needs a cluster. It depends on the pod
 * network, and so it is deleted before the nodes when the whole cluster goes, and never when one node goes: its delete tells this run, and
 * nobody else, that draining would serve nobody.
 */
export const clusterReadyKind: Kind<ClusterReadyInputs, object> = {
  token: "kvmesh:index:ClusterReady",
  args: clusterReadyArgs,
  outputs: {},
  deleteBeforeReplace: true,

  check: checkWith(clusterReadyArgs),

  diff: (olds, news) =>
    changesOf<ClusterReadyInputs>(olds, news, {
      clusterId: "live",
      nodes: "live",
      controlPlanes: "record",
      owner: "record",
      timeoutSeconds: "record",
    }),

  async create(ctx, inputs) {
    clusterGoesOn(inputs.owner);
    await waitForNodes(ctx, inputs);
    return { id: inputs.owner.cluster, outputs: {} };
  },

  read(_ctx, id, known) {
    if (known === undefined) throw new UserError(`${id}: there is nothing to import; declare the cluster`);
    return Promise.resolve({ inputs: known, outputs: {} });
  },

  async update(ctx, _id, _olds, news) {
    clusterGoesOn(news.owner);
    await waitForNodes(ctx, news);
    return {};
  },

  delete(ctx, _id, { owner: whose }) {
    // A program that has just declared other things keeps its cluster: then this one is only made anew.
    if (ctx.onlyDeletes) clusterEnds(whose);
    return Promise.resolve();
  },
};

/** How often a wait that makes no headway is said again. */
const REPEAT_MS = 10_000;

/** The script prints a line a second until all are Ready: "name False <the kubelet's reason>" of each that is not, tabs between. */
async function waitForNodes(ctx: Context, inputs: ClusterReadyInputs): Promise<void> {
  const started = Date.now();
  let said = { names: "", at: 0 };
  const via = await findWayIn(ctx, inputs, inputs.controlPlanes);
  if (via instanceof NoWayIn) throw via.refusal(inputs.nodes.join(", "), "it is not known whether they are Ready");
  const result = await ctx.transport.script(
    via.endpoint,
    `tab=$(printf '\\t')
end=$(($(date +%s) + ${Math.ceil(inputs.timeoutSeconds)}))
while :; do
  seen=$(${LOCAL_KUBECTL} get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}{"\\n"}{end}' 2>&1)
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
