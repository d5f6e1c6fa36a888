import type { Judged } from "./frame";
import { at, entries, text } from "./read";

/** Kinds whose pods a rule judges: "GROUP/KIND". */
export const WORKLOADS = [
  "core/Pod",
  "core/PodTemplate",
  "core/ReplicationController",
  "apps/Deployment",
  "apps/ReplicaSet",
  "apps/StatefulSet",
  "apps/DaemonSet",
  "batch/Job",
  "batch/CronJob",
  "argoproj.io/Rollout",
] as const;

/** A pod as a workload declares it. */
export interface PodTemplate {
  readonly labels: unknown;
  readonly annotations: unknown;
  readonly spec: unknown;
}

export function podOf({ type, props }: Judged): PodTemplate {
  const spec = at(props, "spec");
  const template = /:Pod(Patch)?$/.test(type)
    ? props
    : (at(props, "template") ?? at(spec, "template") ?? at(spec, "jobTemplate", "spec", "template"));
  return {
    labels: at(template, "metadata", "labels"),
    annotations: at(template, "metadata", "annotations"),
    spec: at(template, "spec"),
  };
}

/** An object's own name; the logical one where it has none. */
export function objectName({ props, name }: Judged): string {
  return text(at(props, "metadata", "name")) ?? name;
}

export function namespaceOf({ props }: Pick<Judged, "props">): string {
  return text(at(props, "metadata", "namespace")) ?? "default";
}

/** True when every label of the selector is among the labels; an empty selector selects everything. */
export function selects(selector: unknown, labels: unknown): boolean {
  return entries(selector).every(([key, value]) => at(labels, key) === value);
}

/** A service of the cluster that a host of Istio's API stands for; an empty namespace or name stands for all of them. */
export interface ServiceHost {
  readonly namespace: string;
  readonly name: string;
}

/**
 * What a host means in Istio: without a dot the name of a service in the object's own namespace; with dots a full name,
 * of a service when it ends with svc.<domain>. `*` and `*.local` cover all services.
 *
 * @returns undefined for a host outside the cluster, such as `example.org`.
 */
export function serviceOf(host: string, own: string): ServiceHost | undefined {
  if (host === "*" || /^\*\.(svc\.)?(cluster\.)?local$/.test(host)) return { namespace: "", name: "" };
  const [name = "", namespace, svc] = host.split(".");
  if (namespace === undefined) return { namespace: own, name: name === "*" ? "" : name };
  if (svc !== "svc") return undefined;
  return { namespace, name: name === "*" ? "" : name };
}

/** True when the first covers the second. */
export function coversService(pattern: ServiceHost, service: ServiceHost): boolean {
  return (
    (pattern.namespace === "" || pattern.namespace === service.namespace) &&
    (pattern.name === "" || pattern.name === service.name)
  );
}
