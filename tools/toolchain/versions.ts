/**
 * The versions of everything that this program fetches or builds: the one place to change one. What else follows a
 * bump (a wrapper module's go.mod and go.sum, an npm package) is in docs/toolchain.md.
 */
export const versions = {
  pulumi: "3.259.0",
  /** The npm package @pulumi/kubernetes has the same. */
  pulumiKubernetes: "4.25.0",
  kubernetes: "1.34.2",
  istio: "1.28.3",
  /** The newest 3.6 patch of the series that kubeadm of `kubernetes` deploys. */
  etcd: "3.6.5",
  /** As `kubeadm config images list` of `kubernetes` says; the image tag adds a build number. */
  etcdImage: "3.6.5-0",
  coredns: "1.12.1",
  pause: "3.10.1",
  flannel: "0.28.4",
  /** The last release of the CNI project that still held flannel's plugin; upstream's image has a later fork of it. */
  flannelCni: "0.9.1",
  /** What the manifest of `flannel` asks for. */
  flannelCniImage: "1.9.1-flannel1",
  envoy: "1.40.0",
  go: "1.26.8",
  /** For Pulumi programs where PATH has none of 22 or later. */
  node: "22.23.3",
} as const;

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
