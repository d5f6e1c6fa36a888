import { digestOf } from "../provider/evidence/digest";
import type { EvidenceRecord, Value } from "../provider/evidence/schema";
import type { EvidenceRef, Measurement } from "./model";

/** An Evidence resource as events or a state have it. */
export interface MeasuredResource {
  readonly urn: string;
  readonly record: EvidenceRecord;
  readonly digest: string;
  readonly maxAgeSeconds: number;
}

const DAY_SECONDS = 86_400;

/** Values that each rule rests on, by the beginning of their ids. Every value: what the rule reads is the record as a whole. */
const RESTS_ON: Readonly<Record<string, readonly string[]>> = {
  "node-live-dedication": [""],
  "etcd-local-nvme": ["disk", "host-disk", "host-cache", "fsync-p99-"],
  "etcd-fsync": ["fsync-p99-"],
};

/** Rules that speak of control planes only. */
const CONTROL_PLANES_ONLY = new Set(["etcd-local-nvme", "etcd-fsync"]);

/** undefined: no evidence, or none yet. */
export function measuredIn(type: string, urn: string, outputs: unknown): MeasuredResource | undefined {
  if (type !== "kvmesh:index:Evidence" || typeof outputs !== "object" || outputs === null) return undefined;
  const { record, digest, maxAgeSeconds } = outputs as Record<string, unknown>;
  if (typeof record !== "object" || record === null || !Array.isArray((record as { values?: unknown }).values))
    return undefined;
  return {
    urn,
    record: record as EvidenceRecord,
    digest: typeof digest === "string" ? digest : "none",
    maxAgeSeconds: typeof maxAgeSeconds === "number" ? maxAgeSeconds : 0,
  };
}

/** @param now the time for which rules are judged. */
export function measurementOf({ urn, record, digest, maxAgeSeconds }: MeasuredResource, now: Date): Measurement {
  const age = (now.getTime() - Date.parse(record.takenAt)) / 1000 / DAY_SECONDS;
  const limitDays = maxAgeSeconds / DAY_SECONDS;
  return {
    machine: record.machine,
    urn,
    takenAt: record.takenAt,
    ageDays: Number.isFinite(age) ? round(age) : -1,
    limitDays: round(limitDays),
    // Without a date it is no evidence.
    tooOld: !(age <= limitDays),
    digest,
    digestHolds: digestOf(record) === digest,
    verdict: record.verdict,
    values: record.values.map((value) => ({
      id: value.id,
      what: value.what,
      measured: withUnit(value.measured, value.unit) ?? `not measured: ${value.note ?? "no reason given"}`,
      limit: withUnit(value.limit, value.unit) ?? "",
      verdict: value.verdict,
    })),
  };
}

/** The measurements that a rule's verdict rests on. */
export function evidenceFor(rule: string, measurements: readonly Measurement[], roles: ReadonlyMap<string, string>) {
  const prefixes = RESTS_ON[rule];
  if (prefixes === undefined) return [];
  return measurements
    .filter(({ machine }) => !CONTROL_PLANES_ONLY.has(rule) || roles.get(machine) === "control-plane")
    .map((measurement): { readonly ref: EvidenceRef; readonly measurement: Measurement } => {
      const values = measurement.values.filter(({ id }) => prefixes.some((prefix) => id.startsWith(prefix)));
      const shown = prefixes.includes("") ? values.filter(({ limit }) => limit !== "") : values;
      const what = shown.map(
        ({ what: of, measured, limit }) => `${of}: ${measured}${limit === "" ? "" : ` (${limit})`}`,
      );
      return {
        ref: {
          what: what.join("; ") || "nothing measured",
          on: measurement.machine,
          takenAt: measurement.takenAt,
          digest: measurement.digest,
        },
        measurement,
      };
    });
}

function withUnit(value: Value["measured"], unit: Value["unit"]): string | undefined {
  return value === null ? undefined : `${value}${unit === undefined ? "" : ` ${unit}`}`;
}

function round(days: number): number {
  return Math.round(days * 10) / 10;
}
