import { didYouMean } from "../problems";
import type { CanarySpec } from "../spec";
import { declared, fail, keyOf, warn, type Draft, type Findings } from "./draft";

/** Mesh, namespaces, services, gateways and canaries. */
export function checkMesh(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  const { mesh, namespaces, gateways, canaries } = draft;
  const sources = Object.values(mesh.charts).filter((source) => source !== undefined);
  if (sources.length !== 1) {
    fail(findings, ["mesh", "charts"], `${sources.length} sources`, "give exactly one of repository, oci and folder");
  }
  if (mesh.provider === "none") checkNoMesh(draft, findings);
  for (const namespace of namespaces) {
    if (namespace.injection && namespace.revision !== undefined) {
      const message = "a namespace has the injection label or a revision, not both: remove one of them";
      fail(findings, ["namespaces", namespace.name, "revision"], namespace.revision, message);
    }
  }
  for (const gateway of gateways) {
    const at = ["gateways", keyOf(raw, "gateways", gateway.name)];
    if (gateway.protocol === "HTTPS" && gateway.tlsSecret === undefined) {
      fail(
        findings,
        [...at, "tlsSecret"],
        undefined,
        "missing: HTTPS needs the name of a secret with certificate and key",
      );
    }
    if (gateway.protocol === "HTTP" && gateway.tlsSecret !== undefined) {
      fail(
        findings,
        [...at, "tlsSecret"],
        gateway.tlsSecret,
        "plain HTTP takes no certificate: write protocol HTTPS, or remove it",
      );
    }
  }
  for (const section of ["services", "gateways", "canaries"] as const) checkNamespaced(section, draft, raw, findings);
  for (const canary of canaries) checkCanary(canary, draft, raw, findings);
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

/** Kubernetes makes `default`, the mesh makes `istio-system`: these two need no declaration. */
const GIVEN_NAMESPACES = ["default", "istio-system"];

function checkNamespaced(
  section: "services" | "gateways" | "canaries",
  draft: Draft,
  raw: Readonly<Record<string, unknown>>,
  findings: Findings,
): void {
  const namespaces = declared(raw, "namespaces");
  const seen = new Set<string>();
  for (const { name, namespace } of draft[section]) {
    const at = [section, keyOf(raw, section, name)];
    if (seen.has(`${namespace}/${name}`))
      fail(findings, [...at, "name"], name, `another entry has this name in namespace ${namespace}`);
    seen.add(`${namespace}/${name}`);
    if (namespaces.includes(namespace) || GIVEN_NAMESPACES.includes(namespace)) continue;
    fail(
      findings,
      [...at, "namespace"],
      namespace,
      `no such namespace: declare it in namespaces.${didYouMean(namespace, namespaces)}`,
    );
  }
}

function checkCanary(
  canary: CanarySpec,
  draft: Draft,
  raw: Readonly<Record<string, unknown>>,
  findings: Findings,
): void {
  const at = ["canaries", keyOf(raw, "canaries", canary.name)];
  const sum = canary.weights.reduce((total, { weight }) => total + weight, 0);
  const shown = canary.weights.map(({ subset, weight }) => `${subset}: ${weight}`).join(", ");
  if (canary.weights.length < 2) {
    fail(findings, [...at, "weights"], shown, "a canary splits traffic between at least two versions");
  } else if (sum !== 100) {
    fail(findings, [...at, "weights"], shown, `the sum is ${sum}: make it 100`);
  }
  if (canary.hosts.includes("*") && canary.gateways.length === 0) {
    fail(
      findings,
      [...at, "hosts"],
      "*",
      "every host is only possible through a gateway: name the hosts, or a gateway",
    );
  }
  checkCanaryService(canary, at, draft, raw, findings);
  canary.gateways.forEach((reference, i) => {
    // "namespace/name" may be another team's gateway; "mesh" is Istio's word for sidecars.
    if (reference.includes("/") || reference === "mesh") return;
    const names = draft.gateways.filter((gateway) => gateway.namespace === canary.namespace).map(({ name }) => name);
    if (names.includes(reference) || declared(raw, "gateways").includes(reference)) return;
    const message = `no such gateway in namespace ${canary.namespace}: declare it in gateways, or write namespace/name.`;
    fail(findings, [...at, "gateways", i], reference, message + didYouMean(reference, names));
  });
}

/** A service may be deployed by others, so an undeclared one is a mistake only where it looks like a typing error. */
function checkCanaryService(
  canary: CanarySpec,
  at: readonly string[],
  draft: Draft,
  raw: Readonly<Record<string, unknown>>,
  findings: Findings,
): void {
  const near = draft.services.filter((service) => service.namespace === canary.namespace);
  const service = near.find(({ name }) => name === canary.service);
  if (service) {
    const versions = service.versions.map(({ name }) => name);
    for (const { subset, weight } of canary.weights) {
      if (versions.includes(subset)) continue;
      fail(
        findings,
        [...at, "weights", subset],
        weight,
        `service ${service.name} has no such version.${didYouMean(subset, versions)} It has ${versions.join(", ")}.`,
      );
    }
    return;
  }
  if (declared(raw, "services").includes(canary.service)) return;
  const hint = didYouMean(
    canary.service,
    near.map(({ name }) => name),
  );
  if (hint !== "")
    fail(findings, [...at, "service"], canary.service, `no such service in namespace ${canary.namespace}.${hint}`);
  else
    warn(
      findings,
      [...at, "service"],
      canary.service,
      `this stack declares no such service in namespace ${canary.namespace}: it must be there already`,
    );
}
