import { z } from "zod";
import { istioCharts, versionData } from "../../rules/versions";
import { fail, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { problem, type Path, type Problem } from "../problems";
import type { Environment } from "./environment";

const resources = z.strictObject({
  requests: z.strictObject({ cpu: field.quantity, memory: field.quantity }),
  limits: z.strictObject({ cpu: field.quantity.optional(), memory: field.quantity }),
});

const charts = z.strictObject({
  repository: field.text("Helm repository URL").optional(),
  oci: field.text("`oci://` reference of the folder that holds the charts").optional(),
  folder: field.text("folder of this checkout, or absolute, that holds one folder a chart").optional(),
});

/** Modes of mutual TLS; `unset` declares none. */
export const mtls = z.enum(["STRICT", "PERMISSIVE", "unset"]);

const given = z.strictObject({
  provider: z.enum(["istio", "none"]).meta({ description: "`none`: no mesh" }).default("istio"),
  version: field
    .exactVersion("exact Istio version; the pair with Kubernetes must be a supported one outside development")
    .optional(),
  profile: z.enum(["default", "demo"]).meta({ description: "`demo` is refused in production" }).default("default"),
  charts: charts
    .meta({
      description: "where charts come from: exactly one",
      absent:
        "Istio's repository: `blob.istio.io/istio-release/charts` from 1.31 on, `istio-release.storage.googleapis.com/charts` before",
    })
    .optional(),
  hub: field.text("registry and prefix of Istio's images").default(versionData.istio.hub),
  imagePullPolicy: field.pullPolicy.default("IfNotPresent"),
  replicas: field.count("istiod replicas", 1, 20).meta({ absent: "`2` in production, else `1`" }).optional(),
  istiodResources: resources.prefault({
    requests: { cpu: "500m", memory: "2048Mi" },
    limits: { memory: "4096Mi" },
  }),
  sidecarResources: resources.prefault({
    requests: { cpu: "100m", memory: "128Mi" },
    limits: { cpu: "2000m", memory: "1024Mi" },
  }),
  mtls: mtls
    .meta({
      description: "mesh-wide mutual TLS; `unset` leaves it to the namespaces",
      absent: "`STRICT` in production, else `unset`",
    })
    .optional(),
  traceSampling: z
    .number()
    .min(0)
    .max(100)
    .meta({ description: "traces sampled, in percent of the requests" })
    .default(1),
  gatewayServiceType: z.enum(["LoadBalancer", "NodePort", "ClusterIP"]).default("LoadBalancer"),
  gatewayReplicas: field
    .count("ingress gateway replicas", 1, 100)
    .meta({ absent: "`2` in production, else `1`" })
    .optional(),
  istiodValues: field
    .passthrough("added to the istiod chart's values, and so to the gateway chart's below")
    .default({}),
  gatewayValues: field.passthrough("added to the gateway chart's values").default({}),
});

/** `mesh`: left out, there is none. */
export const schema = given.optional();

type Given = Immutable<z.output<typeof given>>;

/** Kubernetes quantities, as in a container's resources. */
export type ResourcesSpec = Immutable<z.output<typeof resources>>;
/** Exactly one of repository, oci and folder. */
export type ChartSource = Immutable<z.output<typeof charts>>;

export interface MeshSpec extends Given {
  readonly version: string;
  readonly charts: ChartSource;
  readonly replicas: number;
  readonly gatewayReplicas: number;
  readonly mtls: NonNullable<Given["mtls"]>;
}

/** `isGiven`: the stack file has the section, whether it parsed or not. */
export function complete(
  entry: Given | undefined,
  isGiven: boolean,
  environment: Environment,
  problems: Problem[],
): MeshSpec {
  const production = environment === "production";
  // A mesh that did not parse is still one: what needs it is no second problem.
  const mesh = entry ?? (isGiven ? { ...NO_MESH, provider: "istio" as const } : NO_MESH);
  if (entry?.provider === "istio" && entry.version === undefined) {
    problems.push(
      problem(["mesh", "version"], undefined, `missing: give an exact version, such as ${versionData.run.istio}`),
    );
  }
  return {
    ...mesh,
    version: mesh.version ?? "",
    charts: mesh.charts ?? { repository: istioCharts(mesh.version ?? "") },
    replicas: mesh.replicas ?? (production ? 2 : 1),
    gatewayReplicas: mesh.gatewayReplicas ?? (production ? 2 : 1),
    mtls: mesh.mtls ?? (production ? "STRICT" : "unset"),
  };
}

const NO_MESH: Given = {
  provider: "none",
  profile: "default",
  hub: "",
  imagePullPolicy: "IfNotPresent",
  istiodResources: { requests: { cpu: "0", memory: "0" }, limits: { memory: "0" } },
  sidecarResources: { requests: { cpu: "0", memory: "0" }, limits: { memory: "0" } },
  traceSampling: 0,
  gatewayServiceType: "ClusterIP",
  istiodValues: {},
  gatewayValues: {},
};

export function check(draft: Draft, findings: Findings): void {
  checkAlone(draft.mesh, ["mesh"], findings);
  if (draft.mesh.provider === "none") checkNoMesh(draft, findings);
}

/** What a mesh by itself can't be. */
export function checkAlone({ charts }: MeshSpec, at: Path, findings: Findings): void {
  const { repository, oci, folder } = charts;
  const given = Object.entries({ repository, oci, folder }).filter(([, source]) => source !== undefined);
  if (given.length === 1) return;
  const found = given.length === 0 ? "no source" : `${given.map(([key]) => key).join(" and ")} together`;
  fail(findings, [...at, "charts"], found, "give exactly one of repository, oci and folder");
}

function checkNoMesh(draft: Draft, findings: Findings): void {
  const needed = "there is no mesh: give `mesh.provider: istio` and its version, or remove this";
  for (const section of ["gateways", "canaries"] as const) {
    if (draft[section].length > 0) fail(findings, [section], `${draft[section].length} entries`, needed);
  }
  for (const { name, injection, revision, mtls } of draft.namespaces) {
    if (injection || revision !== undefined || mtls !== "unset")
      fail(findings, ["namespaces", name], undefined, needed);
  }
}
