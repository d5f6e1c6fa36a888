import { z } from "zod";
import { digestOf } from "../rules/canonical-json";
import type { EvidenceRef, Measurement } from "./model";

/** What the report shows of a record (provider/evidence); the digest is of the whole one. */
const recordSchema = z.looseObject({
  machine: z.string(),
  role: z.string(),
  takenAt: z.string(),
  verdict: z.string(),
  values: z.array(
    z.looseObject({
      id: z.string(),
      what: z.string(),
      measured: z.union([z.string(), z.number(), z.null()]),
      unit: z.string().optional(),
      limit: z.union([z.string(), z.number(), z.null()]),
      verdict: z.string(),
      note: z.string().optional(),
    }),
  ),
});

const outputsSchema = z.looseObject({ record: recordSchema, digest: z.string(), maxAgeSeconds: z.number() });

/** An Evidence resource as events or a state have it. */
export interface MeasuredResource {
  readonly urn: string;
  readonly record: z.infer<typeof recordSchema>;
  /** As it stands beside the record. */
  readonly digest: string;
  readonly digestHolds: boolean;
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
  if (type !== "kvmesh:index:Evidence") return undefined;
  const { data } = outputsSchema.safeParse(outputs);
  if (data === undefined) return undefined;
  const { record, digest, maxAgeSeconds } = data;
  return { urn, record, digest, digestHolds: digestOf(record) === digest, maxAgeSeconds };
}

/** @param now the time for which rules are judged. */
export function measurementOf(measured: MeasuredResource, now: Date): Measurement {
  const { urn, record, digest, digestHolds, maxAgeSeconds } = measured;
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
    digestHolds,
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

function withUnit(value: string | number | null, unit: string | undefined): string | undefined {
  return value === null ? undefined : `${value}${unit === undefined ? "" : ` ${unit}`}`;
}

function round(days: number): number {
  return Math.round(days * 10) / 10;
}
