/**
 * Which Kubernetes minors an Istio minor supports, from Istio's page "Supported releases" (August 2026).
 * The ends of life are dates of the same page; they are for people, nothing compares them with the clock.
 */
const ISTIO_SUPPORT: Readonly<Record<string, { readonly kubernetes: readonly string[]; readonly endOfLife: string }>> =
  {
    "1.30": { kubernetes: ["1.32", "1.33", "1.34", "1.35", "1.36"], endOfLife: "2026-11-30" },
    "1.29": { kubernetes: ["1.31", "1.32", "1.33", "1.34", "1.35"], endOfLife: "2026-08-31" },
    "1.28": { kubernetes: ["1.30", "1.31", "1.32", "1.33", "1.34"], endOfLife: "2026-07-01" },
    "1.27": { kubernetes: ["1.29", "1.30", "1.31", "1.32", "1.33"], endOfLife: "2026-04-07" },
  };

/** The lowest minor that the program knows how to bootstrap. */
const KUBERNETES_FLOOR = 18;

/** "1.34.2" → "1.34". */
export function minorOf(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

/** What is wrong with this Kubernetes version; undefined: nothing. */
export function kubernetesProblem(version: string): string | undefined {
  const [major, minor] = version.split(".").map(Number);
  if (major !== 1 || minor === undefined || minor < KUBERNETES_FLOOR) {
    return `the program bootstraps Kubernetes 1.${KUBERNETES_FLOOR} and later`;
  }
  return undefined;
}

/** What is wrong with this pair, naming what is supported; undefined: nothing. */
export function pairProblem(kubernetes: string, istio: string): string | undefined {
  const supported = ISTIO_SUPPORT[minorOf(istio)]?.kubernetes;
  const minor = minorOf(kubernetes);
  if (supported?.includes(minor)) return undefined;
  const fitting = Object.entries(ISTIO_SUPPORT)
    .filter(([, support]) => support.kubernetes.includes(minor))
    .map(([version]) => version);
  const alternatives = fitting.length > 0 ? ` Kubernetes ${minor} goes with Istio ${fitting.join(", ")}.` : "";
  if (!supported) {
    return `Istio ${minorOf(istio)} is not among the supported ones (${Object.keys(ISTIO_SUPPORT).join(", ")}).${alternatives}`;
  }
  return `Istio ${minorOf(istio)} supports Kubernetes ${supported[0]} to ${supported.at(-1)}, not ${minor}.${alternatives}`;
}
