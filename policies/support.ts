/**
 * Maintained versions, from the projects' own pages of releases. They are a snapshot: the verdict on a commit must not
 * change with the clock, or a version's last day would stop the deployment that repairs something else. Whoever updates
 * the snapshot decides when a version's end begins to block.
 */
export const SUPPORT_AS_OF = "2026-08-01";

export const KUBERNETES_MAINTAINED: readonly string[] = ["1.34", "1.35", "1.36"];

/** Istio 1.28 ended on 2026-07-01. */
export const ISTIO_MAINTAINED: readonly string[] = ["1.29", "1.30"];

/** "1.34.2" → "1.34". */
export function minorOf(version: string): string {
  return version.replace(/^v/, "").split(".").slice(0, 2).join(".");
}
