import { controlPlaneAddresses } from "../defaults";
import type { KubernetesSpec } from "../spec";
import { kubernetesProblem, pairProblem } from "../versions";
import { fail, warn, type Draft, type Findings } from "./draft";

/** Control planes, versions and the API's endpoint. */
export function checkCluster(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  checkControlPlanes(draft, raw, findings);
  const { kubernetes, mesh, environment } = draft;
  if (!kubernetes) return;
  checkRepository(kubernetes, raw, findings);
  const old = kubernetesProblem(kubernetes.version);
  if (old !== undefined) fail(findings, ["kubernetes", "version"], kubernetes.version, old);
  if (mesh.provider !== "istio" || mesh.version === "") return;
  const pair = pairProblem(kubernetes.version, mesh.version);
  if (pair === undefined) return;
  const report = environment === "development" ? warn : fail;
  report(findings, ["mesh", "version"], mesh.version, pair);
}

/** The key guards what is installed; over http: nothing guards who asks for what, so that it takes a word of its own. */
function checkRepository(
  { packages }: KubernetesSpec,
  raw: Readonly<Record<string, unknown>>,
  findings: Findings,
): void {
  if (packages.source !== "apt" || !/^http:/i.test(packages.repository)) return;
  const given = raw.kubernetes as { packages?: { keyFingerprints?: unknown } } | undefined;
  if (given?.packages?.keyFingerprints !== undefined) return;
  const message =
    "http: is not encrypted, and is taken only with the key pinned beside it: give an https: URL, or write keyFingerprints, too";
  fail(findings, ["kubernetes", "packages", "repository"], packages.repository, message);
}

function checkControlPlanes(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  const { pools } = draft;
  const given = raw.pools;
  const everyPoolParsed = typeof given === "object" && given !== null && Object.keys(given).length === pools.length;
  if (given === undefined) fail(findings, ["pools"], undefined, "missing: give at least one pool of control planes");
  // Counting would mislead while a pool is missing for an error of its own.
  if (!everyPoolParsed) return;

  const planes = pools
    .filter((pool) => pool.role === "control-plane")
    .reduce((sum, pool) => sum + (pool.source === "hosts" ? pool.count : pool.machines.length), 0);
  if (planes === 0) {
    fail(
      findings,
      ["pools"],
      undefined,
      "no control plane: give one pool `role: control-plane` and at least one machine",
    );
  } else if (planes % 2 === 0) {
    warn(findings, ["pools"], `${planes} control planes`, "an even number survives no more failures than one less");
  }
  const endpoint = (raw.kubernetes as { endpoint?: unknown } | undefined)?.endpoint;
  if (planes > 1 && endpoint === undefined && draft.kubernetes) {
    const first = controlPlaneAddresses(pools)[0] ?? "";
    fail(
      findings,
      ["kubernetes", "endpoint"],
      undefined,
      `missing: with ${planes} control planes, give an address that stays when ${first} is gone (a virtual IP or a load balancer), as host:port`,
    );
  }
}
