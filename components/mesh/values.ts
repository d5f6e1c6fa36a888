import type { MeshSpec } from "../../config/spec";

/** Values of a Helm chart: plain data. */
export type ChartValues = Readonly<Record<string, unknown>>;

/** Names of the charts' values, tested against the charts themselves: Helm ignores a name that it doesn't know. */
export function baseChartValues(spec: MeshSpec): ChartValues {
  return profileValue(spec);
}

/**
 * istiod with a fixed number of replicas: the chart's autoscaler needs a metrics server, which kvmesh does not install,
 * and without one it stays at its minimum and says "unknown" for ever.
 */
export function istiodChartValues(spec: MeshSpec): ChartValues {
  const ours = {
    ...profileValue(spec),
    autoscaleEnabled: false,
    replicaCount: spec.replicas,
    resources: spec.istiodResources,
    ...samplingValues(spec.traceSampling),
    ...spreadValue(spec.replicas, "istiod"),
    global: {
      hub: spec.hub,
      tag: spec.version,
      imagePullPolicy: spec.imagePullPolicy,
      // A budget over a single replica blocks every drain of its node (istio/istio#12602).
      defaultPodDisruptionBudget: { enabled: spec.replicas > 1 },
      proxy: { resources: spec.sidecarResources },
    },
  };
  return mergeValues(ours, spec.istiodValues);
}

export function gatewayChartValues(spec: MeshSpec): ChartValues {
  const ours = {
    ...profileValue(spec),
    autoscaling: { enabled: false },
    replicaCount: spec.gatewayReplicas,
    imagePullPolicy: spec.imagePullPolicy,
    service: { type: spec.gatewayServiceType },
    podDisruptionBudget: spec.gatewayReplicas > 1 ? { minAvailable: 1 } : {},
    ...spreadValue(spec.gatewayReplicas, "istio-ingressgateway"),
  };
  return mergeValues(ours, spec.gatewayValues);
}

/**
 * Laid over one another as Helm does it with several values files: objects merge, anything else is replaced.
 */
export function mergeValues(under: ChartValues, over: ChartValues): ChartValues {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isObject(below) && isObject(value) ? mergeValues(below, value) : value;
  }
  return merged;
}

/** The charts' own defaults are the `default` profile; naming it is an error ("unknown profile default"). */
function profileValue({ profile }: MeshSpec): ChartValues {
  return profile === "default" ? {} : { profile };
}

/** The chart leaves out a sampling of 0, and istiod then takes its own default of 1 %: say 0 by its variable. */
function samplingValues(traceSampling: number): ChartValues {
  return traceSampling === 0 ? { traceSampling: 0, env: { PILOT_TRACE_SAMPLING: "0" } } : { traceSampling };
}

function spreadValue(replicas: number, app: string): ChartValues {
  if (replicas <= 1) {
    return {};
  }
  return {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: { app } },
      },
    ],
  };
}

function isObject(value: unknown): value is ChartValues {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
