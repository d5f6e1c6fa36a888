import * as pulumi from "@pulumi/pulumi";
import type { EvidenceSpec, PoolSpec } from "../../config/spec";
import { Evidence, Preflight, type EvidenceRecord, type MeasurementArgs } from "../../provider/sdk";

/** What the stack file says of a pool's measurements, as the resources take it. */
export function measurementSettings(
  pool: PoolSpec,
  { window, fsync }: EvidenceSpec,
): Pick<
  MeasurementArgs,
  "role" | "maxFsyncMs" | "directory" | "windowSeconds" | "fsyncWriters" | "fsyncBytes" | "fsyncSeconds" | "installFio"
> {
  return {
    role: pool.role,
    maxFsyncMs: pool.maxFsync,
    directory: pool.dataFolder,
    windowSeconds: window / 1000,
    fsyncWriters: fsync.writers,
    fsyncBytes: fsync.size,
    fsyncSeconds: fsync.time / 1000,
    // What is on a machine that exists is its operator's business, and would stay behind.
    installFio: pool.source === "hosts" && fsync.install,
  };
}

/**
 * A machine's measurements: the preflight that everything on it waits for, and the evidence that nothing waits for.
 *
 * @param afterwards when whatever must not wait for a measurement that is due is done: the evidence is declared then, so that it takes no
 *   turn of the engine's from it.
 */
export function measurements(
  name: string,
  args: MeasurementArgs,
  { maxAge, afterwards }: { readonly maxAge: EvidenceSpec["maxAge"]; readonly afterwards: Promise<unknown> },
  opts: pulumi.CustomResourceOptions,
): { readonly preflight: Preflight; readonly evidence: Evidence } {
  const preflight = new Preflight(name, args, opts);
  const maxAgeSeconds = pulumi.output(afterwards.then(() => maxAge / 1000));
  const evidence = new Evidence(name, { ...args, first: preflight.record, maxAgeSeconds }, opts);
  return { preflight, evidence };
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
