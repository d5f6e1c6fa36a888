import type { CanaryResult } from "./canary";
import type { ProbeOutcome, StrictResult } from "./strict";

/** A measurement as lines for a person. */
export function canaryTable(result: CanaryResult): string[] {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const answered = result.requests - result.failed;
  const rows = result.shares.map((share) => [
    share.version,
    `${share.weight} %`,
    String(share.count),
    answered === 0 ? "–" : percent(share.count / answered),
    `${percent(share.interval.low)} – ${percent(share.interval.high)}`,
    share.asDeclared ? "as declared" : "NOT as declared",
  ]);
  const strangers = Object.entries(result.unexpected).map(([version, count]) => [
    version,
    "none",
    String(count),
    percent(count / answered),
    "",
    "NOT declared",
  ]);
  const head = ["version", "weight", "answers", "share", `could be (${100 * result.confidence} %)`, ""];
  return [
    `${result.requests} requests in ${result.seconds.toFixed(1)} s, ${result.failed} failed` +
      (result.firstError === undefined ? "" : ` (${result.firstError})`),
    ...table([head, ...rows, ...strangers]),
  ];
}

export function strictTable(result: StrictResult): string[] {
  const row = ({ client, verdict, identity, evidence }: ProbeOutcome): string[] => [
    client === "plain" ? "plaintext, outside the mesh" : "mutual TLS, in the mesh",
    verdict,
    identity ?? evidence,
  ];
  return table([["client", "", "evidence"], row(result.plain), row(result.mesh)]);
}

/** Columns as wide as their widest cell, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
