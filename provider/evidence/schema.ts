import { z } from "zod";
import { absolutePath, endpoint, orUnknown, owner } from "../core/check";
import { identity, nodeName } from "../node/inputs";

const cpus = z.array(z.int().min(0).max(4095));
const WRITERS = [1, 2, 4];

/** How a machine is measured, and what is demanded of it. */
export const measurementArgs = z.strictObject({
  endpoint,
  owner,
  name: nodeName,
  role: z.enum(["control-plane", "worker"]),
  plan: z.enum(["dedicated", "metal", "shared"]),
  vcpus: z.int().min(1),
  hypervisors: z.array(z.string().min(1)).min(1),
  maxStealPercent: z.number().min(0).max(100),
  maxFsyncMs: z.number().positive(),
  directory: absolutePath,
  windowSeconds: z.int().min(1).max(300).default(10),
  fsyncWriters: z
    .array(z.int().min(1).max(64))
    .min(1)
    .transform((writers) => [...new Set(writers)].sort((a, b) => a - b))
    .default(WRITERS),
  fsyncBytes: z
    .int()
    .min(64 * 1024)
    .default(22 * 1024 * 1024),
  fsyncSeconds: z.int().min(1).max(300).default(10),
  installFio: z.boolean().default(false),
  host: endpoint.optional(),
  domain: z
    .strictObject({
      vcpuPins: cpus,
      emulatorPin: cpus,
      ioThreadPin: cpus,
      numaNode: z.int().min(0).optional(),
      /** The host's preparation takes the vCPUs' CPUs from its scheduler. */
      isolated: z.boolean().optional(),
    })
    .optional(),
  identity,
});

export const evidenceArgs = measurementArgs.extend({
  maxAgeSeconds: z
    .int()
    .min(60)
    .default(30 * 86_400),
  first: orUnknown(z.looseObject({ takenAt: z.string() })).optional() as unknown as z.ZodType<
    EvidenceRecord | undefined
  >,
});

export type MeasurementInputs = z.output<typeof measurementArgs>;
export type EvidenceInputs = z.output<typeof evidenceArgs>;

/** One thing that was measured. */
export interface Value {
  /** "vcpu-affinity": policies and reports find it by this. */
  readonly id: string;
  readonly what: string;
  /** In `unit`, or as text; null: it could not be measured, and `note` says why. */
  readonly measured: string | number | null;
  readonly unit?: "%" | "ms" | "s";
  /** What it must be, or the most that it may be; null: nothing is demanded of it. */
  readonly limit: string | number | null;
  /** `fail` contradicts what is declared; `warn` would in production, or on a control plane; `info` has no limit. */
  readonly verdict: "pass" | "warn" | "fail" | "info" | "not measured";
  readonly note?: string;
}

/** What is kept: plain data, whose canonical JSON the digest is of. */
export interface EvidenceRecord {
  readonly schema: 1;
  readonly machine: string;
  /** Address of the machine's SSH server. */
  readonly address: string;
  /** Address of the host that it is carved from. */
  readonly host?: string;
  readonly project: string;
  readonly stack: string;
  readonly cluster: string;
  readonly environment: string;
  readonly role: string;
  readonly plan: string;
  /** ISO 8601, UTC: when the measurement ended. */
  readonly takenAt: string;
  readonly tools: Readonly<Record<string, string>>;
  /** The worst of the values'. */
  readonly verdict: "pass" | "warn" | "fail";
  readonly values: readonly Value[];
}

export interface PreflightOutputs {
  readonly record: EvidenceRecord;
}

export interface EvidenceOutputs {
  readonly record: EvidenceRecord;
  /** "sha256:<hex>" of the record's canonical JSON (RFC 8785). */
  readonly digest: string;
  /** The record's own. */
  readonly takenAt: string;
  /** What a refresh, or a measurement that was due, saw and the record does not say: the next `up` measures again. */
  readonly contradictions: readonly string[];
}
