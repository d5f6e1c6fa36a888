import { kubeadmImages, versionData } from "../../rules/versions";

/**
 * Versions that go together: of everything that the program fetches, builds or bakes into machines. What follows a
 * change of one (a wrapper module's go.mod and go.sum, an npm package) is in docs/toolchain.md.
 */
export interface Versions {
  readonly pulumi: string;
  /** The npm package @pulumi/kubernetes has the same. */
  readonly pulumiKubernetes: string;
  readonly kubernetes: string;
  readonly istio: string;
  /** Of the image that kubeadm of `kubernetes` deploys, without the image's build number. */
  readonly etcd: string;
  /** As `kubeadm config images list` of `kubernetes` says; the image tag adds a build number. */
  readonly etcdImage: string;
  readonly coredns: string;
  readonly pause: string;
  readonly flannel: string;
  /** The last release of the CNI project that still held flannel's plugin; upstream's image has a later fork of it. */
  readonly flannelCni: string;
  /** What the manifest of `flannel` asks for. */
  readonly flannelCniImage: string;
  readonly envoy: string;
  readonly kubeVip: string;
  readonly go: string;
  /** For Pulumi programs where PATH has none of 22 or later. */
  readonly node: string;
}

/** The versions that go with this Kubernetes; without one those of the quickstart. */
export function versionsWith(kubernetes: string = versionData.run.kubernetes): Versions {
  const { etcd, coredns, pause } = kubeadmImages(kubernetes);
  const { run, flannel } = versionData;
  return {
    ...run,
    kubernetes,
    etcd: etcd.replace(/-.*$/, ""),
    etcdImage: etcd,
    coredns,
    pause,
    flannelCniImage: flannel.cniPluginImage[run.flannel]!.replace(/^v/, ""),
  };
}

/** What the quickstart and the tests run. */
export const versions = versionsWith();

/** `major.minor.patch`; a missing patch is 0. */
export type Version = readonly [number, number, number];

/** The first version in a text such as `v1.34.2` or `client version: 1.28.3`; undefined when there is none. */
export function parseVersion(text: string): Version | undefined {
  const match = /(?<![\d.])v?(?:go)?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

/** True when `found` is at least `least`, of the same major version. */
export function isAtLeast(found: Version, least: Version): boolean {
  if (found[0] !== least[0]) return false;
  if (found[1] !== least[1]) return found[1] > least[1];
  return found[2] >= least[2];
}

/** True when the minor versions are at most `distance` apart, of the same major version. */
export function isWithinMinors(found: Version, wanted: Version, distance: number): boolean {
  return found[0] === wanted[0] && Math.abs(found[1] - wanted[1]) <= distance;
}
