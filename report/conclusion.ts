import type { Conclusion, Report } from "./model";

/**
 * What a report says as a whole; its first line, its colour and the exit code follow from this alone.
 *
 * `broken`: the run did not end well, so there is no verdict. `blocked`: a mandatory rule is violated. `failed`: Pulumi
 * ended with an error that no rule explains. `warned`: only advisory rules are violated, or a waiver is to be mended.
 * `open`: nothing is violated, and a rule that has a policy has no verdict. `clear`: every rule that has a policy was
 * judged, and none is violated.
 */
export function conclusionOf(
  report: Pick<Report, "blocking" | "complete" | "counts" | "header" | "waivers">,
): Conclusion {
  const { blocking, complete, counts, header, waivers } = report;
  if (header.end.state !== "ended") return "broken";
  if (blocking > 0) return "blocked";
  if (header.exitCode !== 0) return "failed";
  if (!complete) return "broken";
  if (counts.fail > 0 || waivers.findings.length > 0) return "warned";
  return counts["not-evaluated"] > 0 ? "open" : "clear";
}

/** Exit codes of `npm run report`; docs/report.md has the same table. */
export const EXIT = {
  ok: 0,
  /** A mandatory rule is violated. */
  blocked: 1,
  /** Wrong arguments: there is no report. */
  usage: 2,
  /** Pulumi failed, and not for a rule; or input can't be read, and there is no report. */
  failed: 3,
  /** The run did not end well: interrupted, killed, or its log is cut off. There is no verdict. */
  broken: 4,
} as const;

const EXIT_OF: Readonly<Record<Conclusion, number>> = {
  broken: EXIT.broken,
  blocked: EXIT.blocked,
  failed: EXIT.failed,
  warned: EXIT.ok,
  open: EXIT.ok,
  clear: EXIT.ok,
};

export function exitCodeOf({ conclusion }: Pick<Report, "conclusion">): number {
  return EXIT_OF[conclusion];
}
