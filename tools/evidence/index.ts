import { z } from "zod";
import { UserError } from "../../provider/core/kind";
import { digestOf } from "../../rules/canonical-json";
import type { EvidenceRecord, Value } from "../../provider/evidence/schema";
import { table } from "../measure/tables";

export interface FoundEvidence {
  readonly record: EvidenceRecord;
  /** As it stands in the state. */
  readonly digest: string;
  /** Of the record that stands beside it. */
  readonly computed: string;
  readonly contradictions: readonly string[];
}

/** What of an exported state is read here; a machine whose evidence was never taken has none. */
const exported = z.object({
  deployment: z.object({
    resources: z
      .array(z.object({ type: z.string(), outputs: z.record(z.string(), z.unknown()).optional() }))
      .optional(),
  }),
});

/** The parts of a record that the table shows; its digest is computed over all of it. */
const shown = z.object({
  record: z.looseObject({
    machine: z.string(),
    address: z.string(),
    takenAt: z.string(),
    verdict: z.string(),
    tools: z.record(z.string(), z.string()),
    values: z.array(z.looseObject({ verdict: z.string(), what: z.string() })),
  }),
  digest: z.string().default(""),
  contradictions: z.array(z.string()).default([]),
});

/**
 * All evidence of an exported state, in the order of the machines' names.
 * @throws UserError when the text is no export of a stack
 */
export function evidenceIn(stateJson: string): readonly FoundEvidence[] {
  return stateIn(stateJson)
    .flatMap(({ type, outputs }) => {
      if (type !== "kvmesh:index:Evidence" || outputs?.record === undefined) return [];
      const { record, digest, contradictions } = checked(shown, outputs);
      return [{ record: record as unknown as EvidenceRecord, digest, computed: digestOf(record), contradictions }];
    })
    .sort((a, b) => (a.record.machine < b.record.machine ? -1 : 1));
}

function stateIn(text: string) {
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch {
    throw new UserError(`the state is no JSON: ${WANTED}`);
  }
  return checked(exported, state).deployment.resources ?? [];
}

const WANTED = "give a file that `pulumi stack export` wrote";

function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  throw new UserError(`the state is not as Pulumi writes it, at ${first!.path.join(".") || "its top"}: ${WANTED}`);
}

/** One machine's evidence as lines for a person. */
export function evidenceTable({ record, digest, computed, contradictions }: FoundEvidence): string[] {
  const { machine, address, host, takenAt, verdict, tools, values } = record;
  const on = host === undefined ? "" : ` on host ${host}`;
  const rows = values.map((value) => [
    value.verdict,
    value.what,
    withUnit(value.measured, value),
    value.limit === null ? "" : withUnit(value.limit, value),
  ]);
  return [
    `${machine} (${address}${on}): ${verdict}, ${takenAt}`,
    ...table([["", "what", "measured", "limit"], ...rows]),
    Object.entries(tools)
      .map(([tool, version]) => `${tool} ${version}`)
      .join(", "),
    computed === digest ? `${digest} (computed again: the same)` : `${digest} IS NOT ITS RECORD'S: that is ${computed}`,
    ...contradictions.map((text) => `NO LONGER TRUE, a refresh saw: ${text}`),
    "",
  ];
}

function withUnit(value: string | number | null, { unit, note }: Value): string {
  if (value === null) return note ?? "not measured";
  return typeof value === "number" && unit !== undefined ? `${value} ${unit}` : String(value);
}
