import type * as pulumi from "@pulumi/pulumi";
import type { EvidenceSpec, PoolSpec } from "../../config/spec";
import type { Evidence, EvidenceArgs, EvidenceRecord } from "../../provider/sdk";

/** What the stack file says of a pool's measurements, as the resource takes it. */
export function evidenceSettings(
  pool: PoolSpec,
  evidence: EvidenceSpec,
): Pick<
  EvidenceArgs,
  | "role"
  | "maxFsyncMs"
  | "directory"
  | "windowSeconds"
  | "fsyncWriters"
  | "fsyncBytes"
  | "fsyncSeconds"
  | "maxAgeSeconds"
  | "installFio"
> {
  return {
    role: pool.role,
    maxFsyncMs: pool.maxFsync,
    directory: pool.dataFolder,
    windowSeconds: evidence.window / 1000,
    fsyncWriters: evidence.fsync.writers,
    fsyncBytes: evidence.fsync.size,
    fsyncSeconds: evidence.fsync.time / 1000,
    maxAgeSeconds: evidence.maxAge / 1000,
    // What is on a machine that exists is its operator's business, and would stay behind.
    installFio: pool.source === "hosts" && evidence.fsync.install,
  };
}

/** A machine's evidence as the stack's outputs show it; the whole record is in the state (`npm run evidence`). */
export interface EvidenceSummary {
  readonly verdict: string;
  readonly takenAt: string;
  /** "2.1 ms"; "not measured". */
  readonly fsyncP99: string;
  readonly steal: string;
  readonly digest: string;
}

export function summarizeEvidence(evidence: Evidence): pulumi.Output<EvidenceSummary> {
  return evidence.record.apply((record) =>
    evidence.digest.apply((digest) => ({
      verdict: record.verdict,
      takenAt: record.takenAt,
      fsyncP99: valueText(record, /^fsync-p99-/),
      steal: valueText(record, /^steal$/),
      digest,
    })),
  );
}

/** Of the first value whose id matches. */
function valueText({ values }: EvidenceRecord, id: RegExp): string {
  const value = values.find((candidate) => id.test(candidate.id));
  return value === undefined || value.measured === null
    ? "not measured"
    : `${value.measured} ${value.unit ?? ""}`.trim();
}
