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

interface Export {
  readonly deployment?: {
    readonly resources?: readonly {
      readonly type: string;
      readonly outputs?: {
        readonly record?: EvidenceRecord;
        readonly digest?: string;
        readonly contradictions?: readonly string[];
      };
    }[];
  };
}

/** All evidence of an exported state, in the order of the machines' names. */
export function evidenceIn(stateJson: string): readonly FoundEvidence[] {
  const resources = (JSON.parse(stateJson) as Export).deployment?.resources ?? [];
  return resources
    .flatMap(({ type, outputs }) => {
      if (type !== "kvmesh:index:Evidence" || outputs?.record === undefined) return [];
      const { record, digest = "", contradictions = [] } = outputs;
      return [{ record, digest, computed: digestOf(record), contradictions }];
    })
    .sort((a, b) => (a.record.machine < b.record.machine ? -1 : 1));
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
