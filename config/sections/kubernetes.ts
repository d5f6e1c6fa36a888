import { z } from "zod";
import { isNextMinor, kubernetesApt, kubernetesProblem, minorOf, pairProblem, versionData } from "../../rules/versions";
import { fail, warn, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import * as apiEndpoint from "./api-endpoint";
import { controlPlaneAddresses, type PoolSpec } from "./pools";

/** "isv:kubernetes OBS Project", which signs the repository of every minor version at pkgs.k8s.io (docs/decisions/0140). */
const KUBERNETES_APT_KEY = "DE15B14486CD377B9E876E1A234654DA9A296436";

const packages = z.discriminatedUnion("source", [
  z.strictObject({ source: z.literal("preinstalled").meta({ description: "in the image already; only checked" }) }),
  z.strictObject({
    source: z.literal("apt"),
    repository: field
      .text("apt repository, such as a mirror: `https:`, `file:`, or `http:` together with `keyFingerprints`")
      .meta({ absent: "Kubernetes' own for the minor version" })
      .optional(),
    keyFingerprints: z
      .array(
        field
          .parsed(
            parseFingerprint,
            "OpenPGP fingerprints of every key that `Release.key` may hold, as `gpg --show-keys` prints them ([0140](decisions/0140-the-apt-key-is-pinned.md))",
            ["DE15 B144 86CD 377B 9E87  6E1A 2346 54DA 9A29 6436"],
          )
          .meta({ absent: "Kubernetes' own, of mirrors too" }),
      )
      .min(1)
      .optional(),
  }),
]);

const cni = z.strictObject({
  plugin: z.literal("flannel").default("flannel"),
  version: field.exactVersion("exact flannel version").default(versionData.run.flannel),
  backend: z
    .enum(["vxlan", "host-gw"])
    .meta({ description: "`host-gw` needs all nodes on one L2 network" })
    .default("vxlan"),
  imageRepository: field.text("repository prefix of the images").default("ghcr.io/flannel-io"),
});

/** `kubernetes`: what kubeadm makes of the machines. */
export const schema = z.strictObject({
  version: field.exactVersion("exact Kubernetes version"),
  endpoint: apiEndpoint.schema
    .meta({
      description:
        "`host` or `host:port` that every node and kubeconfig use, or `vip`; needed with more than one control plane ([api-endpoint.md](api-endpoint.md))",
      absent: "the only control plane, port 6443",
    })
    .optional(),
  podCidr: field.cidr("the pods' network").prefault("10.244.0.0/16"),
  serviceCidr: field.cidr("the services' network").prefault("10.96.0.0/16"),
  cni: cni.prefault({}),
  packages: packages.prefault({ source: "apt" }),
  imageRepository: field.text("where Kubernetes' images come from").default("registry.k8s.io"),
  imagePullPolicy: field.pullPolicy.default("IfNotPresent"),
  scheduleOnControlPlanes: field.flag("control planes also run workloads").default(false),
  ignorePreflightErrors: z
    .array(z.string().min(1))
    .meta({ description: "kubeadm preflight checks, by their names, that are known to fail on these machines" })
    .default([]),
  breakGlass: z
    .strictObject({
      node: field.text("the one node that it is for"),
      word: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, "letters, digits, '_' and '-'")
        .meta({ description: "any new one, such as a ticket's number; it works once" }),
    })
    .meta({
      description: "removes or changes a node although something about it can't be verified ([cluster.md](cluster.md))",
      absent: "never",
    })
    .optional(),
  kubelet: field.passthrough("added to KubeletConfiguration").default({}),
  kubeProxy: field.passthrough("added to KubeProxyConfiguration").default({}),
});

/** As `gpg --show-keys` prints it, with blanks or without. */
function parseFingerprint(text: string): string {
  const digits = text.replace(/\s+/g, "").toUpperCase();
  if (/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(digits)) return digits;
  throw new Error("give the whole fingerprint, 40 hexadecimal digits, as `gpg --show-keys Release.key` prints it");
}

type Given = Immutable<z.output<typeof schema>>;

export type CniSpec = Given["cni"];

/** An apt repository of one minor version, with its key in Release.key. */
interface AptSpec {
  readonly source: "apt";
  readonly repository: string;
  /** Of the keys that it may be signed with, 40 hexadecimal digits. */
  readonly keyFingerprints: readonly string[];
}

export interface KubernetesSpec extends Omit<Given, "endpoint" | "packages"> {
  readonly endpoint: apiEndpoint.ApiEndpointSpec;
  /** Where containerd, kubelet and kubeadm come from: the image (`preinstalled`) or an apt repository. */
  readonly packages: { readonly source: "preinstalled" } | AptSpec;
}

export function complete(given: Given, pools: readonly PoolSpec[]): KubernetesSpec {
  const packages = given.packages.source === "apt" ? completeApt(given.packages, given.version) : given.packages;
  // The checks ask for an explicit endpoint where there is more than one control plane, or none.
  const first = { host: controlPlaneAddresses(pools)[0] ?? "", port: 6443 };
  const endpoint = given.endpoint === undefined ? first : apiEndpoint.complete(given.endpoint);
  return { ...given, packages, endpoint };
}

function completeApt(
  { repository, keyFingerprints }: Extract<Given["packages"], { source: "apt" }>,
  version: string,
): AptSpec {
  return {
    source: "apt",
    repository: repository ?? kubernetesApt(version),
    // A mirror of Kubernetes' packages is signed by the same key.
    keyFingerprints: keyFingerprints ?? [KUBERNETES_APT_KEY],
  };
}

/** Control planes, versions and the API's endpoint. */
export function check(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  checkControlPlanes(draft, raw, findings);
  const { kubernetes, mesh, environment } = draft;
  if (!kubernetes) return;
  checkRepository(kubernetes, raw, findings);
  apiEndpoint.check(draft, kubernetes.endpoint, findings);
  const old = kubernetesProblem(kubernetes.version);
  if (old !== undefined) fail(findings, ["kubernetes", "version"], kubernetes.version, old);
  if (mesh.provider !== "istio" || mesh.version === "") return;
  const pair = pairProblem(kubernetes.version, mesh.version);
  if (pair === undefined) return;
  // Of an Istio that is newer than the file of versions nobody here can say that it does not fit.
  const report = environment === "development" || isNextMinor("istio", minorOf(mesh.version)) ? warn : fail;
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
      `missing: with ${planes} control planes, give an address that stays when ${first} is gone (\`vip: { address: … }\`, or host:port of a load balancer)`,
    );
  }
}
