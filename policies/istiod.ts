import { parse } from "yaml";
import { ofType, type Judged } from "./frame";
import { at, peek, text } from "./read";

export const RELEASE = "kubernetes:helm.sh/v3:Release";
/** Istio's own objects that install it. */
export const OPERATORS = ["object:install.istio.io/IstioOperator", "object:sailoperator.io/Istio"];

/** An installation of istiod, and the chart's values that it is made with. */
export interface Install {
  readonly resource: Judged;
  readonly values: unknown;
}

/** Values that only istiod's chart has. */
const OF_ISTIOD = ["meshConfig", "pilot", "sidecarInjectorWebhook", "istiodRemote", "traceSampling", "autoscaleMin"];

/**
 * True of a release of istiod, by its name, its chart's, or values that only its chart has: a release may be called
 * anything, and a chart's folder is not known in a preview that has not fetched it yet.
 */
export function isIstiod({ props }: Judged): boolean {
  const names = [peek(() => text(at(props, "name"))), peek(() => text(at(props, "chart")))];
  if (names.some((name) => name !== undefined && /(^|\/)(istiod(-[^/]*)?|[^/]*istio-discovery)$/.test(name)))
    return true;
  const values = at(props, "values");
  return OF_ISTIOD.some((key) => peek(() => at(values, key)) !== undefined);
}

/** The values of a resource that installs istiod; undefined: it doesn't. */
export function valuesOf(resource: Judged): unknown {
  if (resource.type === RELEASE) return isIstiod(resource) ? (at(resource.props, "values") ?? {}) : undefined;
  const spec = at(resource.props, "spec");
  const values = at(spec, "values") ?? {};
  const mesh = at(spec, "meshConfig");
  return mesh === undefined ? values : { ...values, meshConfig: mesh };
}

/** All of a stack; a ConfigMap with the mesh's configuration counts as one. */
export function installsOf(resources: readonly Judged[]): readonly Install[] {
  return [
    ...ofType(resources, RELEASE, ...OPERATORS).flatMap((resource) => {
      const values = valuesOf(resource);
      return values === undefined ? [] : [{ resource, values }];
    }),
    ...ofType(resources, "object:core/ConfigMap").flatMap((resource) => {
      const meshConfig = meshConfigOf(resource);
      return meshConfig === undefined ? [] : [{ resource, values: { meshConfig } }];
    }),
  ];
}

/** The mesh's configuration in istiod's ConfigMap (`istio`, with a revision `istio-REVISION`). */
export function meshConfigOf(configMap: Judged): unknown {
  const name = text(at(configMap.props, "metadata", "name")) ?? "";
  const mesh = /^istio(-|$)/.test(name) ? text(at(configMap.props, "data", "mesh")) : undefined;
  if (mesh === undefined) return undefined;
  try {
    return parse(mesh) as unknown;
  } catch {
    return undefined;
  }
}

/** Istio 1.24 and later take values at the top level, earlier ones under `pilot`. */
export function pilotValue(values: unknown, ...path: readonly string[]): unknown {
  return at(values, ...path) ?? at(values, "pilot", ...path);
}
