import type { Owner } from "../core/check";
import { isMade, type NodeState } from "../node/state";
import { isOurs, type Mark } from "../node/mark";
import type { ControlPlaneMachine } from "./schema";

/** A control plane's machine and what is on it; undefined: it did not answer. */
export interface Looked {
  readonly machine: ControlPlaneMachine;
  readonly state: NodeState | undefined;
}

/**
 * What there is to do for a cluster to be there.
 * `enter`: it is there, through this machine. `wake`: it is there, and no API answers yet. `found`: nobody has anything of it.
 * `go-on`: a founding was cut off here; etcd's data stays when `clear` is false. `refuse`: a second founding can't be ruled out.
 */
export type Verdict =
  | { readonly do: "enter"; readonly via: Looked }
  | { readonly do: "wake"; readonly machines: readonly Looked[]; readonly otherwise: string }
  | { readonly do: "found"; readonly on: Looked }
  | { readonly do: "go-on"; readonly on: Looked; readonly clusterId: string; readonly clear: boolean }
  | { readonly do: "refuse"; readonly why: string };

/** What an earlier run has recorded of the cluster. */
export interface OnRecord {
  readonly clusterId?: string;
  /** It was whole once: it is never founded again. */
  readonly whole: boolean;
}

const WAY_OUT =
  "Bring one of its control planes back and run again; when its data is lost, restore a snapshot (docs/cluster.md), or take what is left down with `pulumi destroy`";

/** Pure: what was seen on all machines that may hold the cluster, and what is on record of it. */
export function decideFounding(owner: Owner, looked: readonly Looked[], record: OnRecord): Verdict {
  const ours = looked.flatMap((one) => {
    const mark = one.state?.mark;
    return isOurs(mark, owner, one.machine.name) && mark.role === "control-plane" ? [{ ...one, mark }] : [];
  });
  const ids = new Set([
    ...ours.map(({ mark }) => mark.clusterId),
    ...(record.clusterId === undefined ? [] : [record.clusterId]),
  ]);
  if (ids.size > 1) {
    const whose = ours.map(({ machine, mark }) => `${machine.name}: ${mark.clusterId}`).join(", ");
    return refuse(
      `its machines belong to different clusters of this name (${whose}; on record ${record.clusterId ?? "none"})`,
    );
  }
  const finished = ours.filter(({ mark }) => mark.phase !== "started");
  const healthy = finished.find(({ state }) => state?.apiHealthy && state.adminConf && state.etcdData);
  if (healthy) return { do: "enter", via: healthy };
  const silent = looked.filter(({ state }) => state === undefined);
  if (finished.length > 0) return unhealthy(finished, silent);
  const founding = ours.filter(({ mark }) => mark.making === "init");
  if (founding.length > 1) return refuse(`its founding was begun on ${namesOf(founding)}`);
  // Before it was done, nobody joined: what the others have, or whether they answer, is of no matter.
  if (founding[0]) return goOn(founding[0]);
  if (ours.length > 0)
    return refuse(
      `${namesOf(ours)} began to join it, and no machine that holds it ${silent.length > 0 ? `answers (${namesOf(silent)})` : "is there any more"}`,
    );
  if (record.whole)
    return refuse(`it was whole, and none of its machines holds it any more (${namesOf(looked)}). ${WAY_OUT}`);
  if (silent.length > 0)
    return refuse(
      `${namesOf(silent)} did not answer and may hold it: nobody founds it a second time. Start the machine, and run again`,
    );
  return { do: "found", on: looked[0]! };
}

function unhealthy(finished: readonly Looked[], silent: readonly Looked[]): Verdict {
  const empty = finished.filter(({ state }) => !state?.etcdData);
  const holding = finished.filter(({ state }) => state?.etcdData);
  const found = [
    ...empty.map(
      ({ machine }) =>
        `${machine.name} is a finished control plane, and /var/lib/etcd there is empty: is its disk mounted?`,
    ),
    ...silent.map(({ machine }) => `${machine.name} does not answer`),
  ];
  if (holding.length === 0) return refuse(`${found.join("; ")}. ${WAY_OUT}`);
  const dead = holding.map(({ machine }) => `the API server of ${machine.name} does not become ready`);
  return { do: "wake", machines: holding, otherwise: [...dead, ...found].join("; ") };
}

function goOn(on: Looked & { readonly mark: Mark }): Verdict {
  const { state } = on;
  const clear = state !== undefined && isMade(state) && !state.etcdData;
  return { do: "go-on", on, clusterId: on.mark.clusterId, clear };
}

function refuse(why: string): Verdict {
  return { do: "refuse", why };
}

function namesOf(looked: readonly Looked[]): string {
  return looked.map(({ machine }) => `${machine.name} (${machine.endpoint.address})`).join(", ");
}
