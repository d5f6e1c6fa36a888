import json from "./versions.json";

/**
 * What the program knows of versions: one dated file of data, from which toolchain, quickstart, defaults, checks and
 * policies read. What else follows a change of it is in docs/toolchain.md.
 */

/** A day, "2026-11-28". Compared as text. */
export type Day = string;

interface Minor {
  readonly released: Day;
  /** Last day with fixes; undefined: none is published. */
  readonly endOfLife?: Day;
  /** The newest patch release on the file's day. */
  readonly latest: string;
}

interface IstioMinor extends Minor {
  /** The first patch release with every security fix that the file knows. */
  readonly fixed?: string;
  /** Kubernetes minors that it supports, oldest first. */
  readonly kubernetes: readonly string[];
}

interface VersionData {
  /** The day on which the file was last checked. */
  readonly asOf: Day;
  /** Age in days from which a warning asks for a newer file. */
  readonly warnAfterDays: number;
  /** What the quickstart, the lab and the toolchain run and build. */
  readonly run: Readonly<
    Record<
      | "kubernetes"
      | "istio"
      | "flannel"
      | "pulumi"
      | "pulumiKubernetes"
      | "envoy"
      | "flannelCni"
      | "kubeVip"
      | "go"
      | "node",
      string
    >
  >;
  readonly kubernetes: {
    readonly minors: Readonly<Record<string, Minor>>;
    /** Tags of the images that kubeadm of that minor deploys. */
    readonly kubeadm: Readonly<Record<string, KubeadmImages>>;
  };
  readonly istio: {
    readonly minors: Readonly<Record<string, IstioMinor>>;
    /** Where charts are published, from which minor on; newest first. */
    readonly charts: readonly { readonly from: string; readonly repository: string }[];
    readonly hub: string;
  };
  readonly flannel: { readonly cniPluginImage: Readonly<Record<string, string>> };
}

export interface KubeadmImages {
  readonly etcd: string;
  readonly coredns: string;
  readonly pause: string;
}

/** The file, typed: what it lacks does not compile. */
export const versionData: VersionData = json;

/** "v1.34.2" → "1.34". */
export function minorOf(version: string): string {
  return version.replace(/^v/, "").split(".").slice(0, 2).join(".");
}

/** Negative when `a` is older; a missing part counts as 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.replace(/^v/, "").split(".").map(Number));
  for (const index of [0, 1, 2]) {
    const difference = (left![index] ?? 0) - (right![index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export type Project = "kubernetes" | "istio";

/** Of the machine's clock, in UTC. */
export function today(): Day {
  return new Date().toISOString().slice(0, 10);
}

/** Minors with fixes on that day, as far as the file knows; oldest first. */
export function maintainedMinors(project: Project, on: Day): readonly string[] {
  return Object.entries<Minor>(versionData[project].minors)
    .filter(([, { endOfLife }]) => endOfLife === undefined || endOfLife >= on)
    .map(([minor]) => minor);
}

/**
 * What is wrong with running this version on that day; undefined: nothing. The minor after the newest that the file
 * knows counts as maintained: projects release one a quarter, and an old file must not refuse it.
 */
export function supportProblem(project: Project, version: string, on: Day): string | undefined {
  const { minors } = versionData[project];
  const name = project === "istio" ? "Istio" : "Kubernetes";
  const minor = minorOf(version);
  const known: IstioMinor | Minor | undefined = minors[minor];
  if (!known) return isNextMinor(project, minor) ? undefined : `${name} ${version || "without a version"}`;
  if (known.endOfLife !== undefined && known.endOfLife < on) {
    return `${name} ${version}, whose minor ended on ${known.endOfLife}`;
  }
  const fixed = "fixed" in known ? known.fixed : undefined;
  if (fixed !== undefined && compareVersions(version, fixed) < 0) {
    return `${name} ${version}, which lacks the security fixes of ${fixed}`;
  }
  return undefined;
}

/** Whether the minor is the one that follows the newest of the file. */
export function isNextMinor(project: Project, minor: string): boolean {
  const [major, newest] = Object.keys(versionData[project].minors).at(-1)!.split(".").map(Number);
  return minor === `${major}.${newest! + 1}`;
}

/** A sentence when the file is old for that day; undefined: it is fresh. It is for people and refuses nothing. */
export function staleness(on: Day): string | undefined {
  const days = Math.floor((Date.parse(on) - Date.parse(versionData.asOf)) / 86_400_000);
  if (days <= versionData.warnAfterDays) return undefined;
  return (
    `what the program knows of maintained versions is ${days} days old (${versionData.asOf}): ` +
    "take a newer kvmesh, or bring rules/versions.json up to date"
  );
}

/** The lowest minor that the program knows how to bootstrap. */
const KUBERNETES_FLOOR = 18;

/** Why the program can't bootstrap this Kubernetes version; undefined: it can. */
export function kubernetesProblem(version: string): string | undefined {
  const [major, minor] = version.split(".").map(Number);
  if (major !== 1 || minor === undefined || minor < KUBERNETES_FLOOR) {
    return `the program bootstraps Kubernetes 1.${KUBERNETES_FLOOR} and later`;
  }
  return undefined;
}

/** What is wrong with this pair, naming what is supported; undefined: nothing. */
export function pairProblem(kubernetes: string, istio: string): string | undefined {
  const { minors } = versionData.istio;
  const supported = minors[minorOf(istio)]?.kubernetes;
  const minor = minorOf(kubernetes);
  if (supported?.includes(minor)) return undefined;
  const fitting = Object.keys(minors).filter((version) => minors[version]!.kubernetes.includes(minor));
  const alternatives = fitting.length > 0 ? ` Kubernetes ${minor} goes with Istio ${fitting.join(", ")}.` : "";
  if (!supported) {
    const known = Object.keys(minors).join(", ");
    return `Istio ${minorOf(istio)} is not among the supported ones (${known}).${alternatives}`;
  }
  return `Istio ${minorOf(istio)} supports Kubernetes ${supported[0]} to ${supported.at(-1)}, not ${minor}.${alternatives}`;
}

/** Where Istio publishes the charts of this version. */
export function istioCharts(version: string): string {
  const { charts } = versionData.istio;
  return (charts.find(({ from }) => compareVersions(version, from) >= 0) ?? charts.at(-1)!).repository;
}

/** Kubernetes' own apt repository of this version's minor. */
export function kubernetesApt(version: string): string {
  return `https://pkgs.k8s.io/core:/stable:/v${minorOf(version)}/deb/`;
}

/**
 * The images that kubeadm of this version deploys beside its own.
 * @throws Error for a minor that the file does not know
 */
export function kubeadmImages(version: string): KubeadmImages {
  const images = versionData.kubernetes.kubeadm[minorOf(version)];
  if (!images) throw new Error(`rules/versions.json does not say which images kubeadm ${minorOf(version)} deploys`);
  return images;
}
