import type { Plan, Step } from "./model";

/** Of a step in engine events. */
export interface StepMetadata {
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  readonly old?: StepState | null;
  readonly new?: StepState | null;
  readonly diffs?: readonly string[] | null;
  readonly detailedDiff?: Readonly<Record<string, { readonly diffKind: string; readonly inputDiff?: boolean }>> | null;
}

interface StepState {
  /** Left out of components, which are only names for what is below them. */
  readonly custom?: boolean;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** What a step is for people; the parts of a replacement are one. undefined: nothing changes, or it is a part. */
const OP: Readonly<Record<string, Step["op"]>> = {
  create: "create",
  import: "create",
  update: "change",
  delete: "delete",
  replace: "replace",
  "create-replacement": "replace",
  "import-replacement": "replace",
  "delete-replaced": "replace",
};

const ORDER: readonly Step["op"][] = ["delete", "replace", "change", "create"];

/** Collects steps from events. Of values it keeps numbers and switches only: anything else may be secret. */
export class PlanBuilder {
  private readonly steps = new Map<string, Step>();
  private readonly same = new Set<string>();

  add(metadata: StepMetadata, ended: Step["ended"]): void {
    const { op, urn, type } = metadata;
    if ((metadata.new ?? metadata.old)?.custom !== true || type.startsWith("pulumi:providers:")) return;
    if (op === "same") this.same.add(urn);
    const ours = OP[op];
    if (ours === undefined) return;
    const before = this.steps.get(urn);
    const changes = changesOf(metadata);
    this.steps.set(urn, {
      op: before?.op === "replace" ? "replace" : ours,
      urn,
      kind: type.split(":").at(-1) ?? type,
      name: urn.split("::").slice(3).join("::"),
      changes: changes.length > 0 || before === undefined ? changes : before.changes,
      ended: before?.ended === "failed" ? "failed" : ended,
    });
  }

  build(): Plan {
    const steps = [...this.steps.values()].sort(
      (a, b) => ORDER.indexOf(a.op) - ORDER.indexOf(b.op) || compare(a.kind, b.kind) || compare(a.urn, b.urn),
    );
    return { same: this.same.size, steps };
  }
}

function changesOf({ detailedDiff, diffs, old, new: next }: StepMetadata): Step["changes"] {
  if (!detailedDiff) return [...(diffs ?? [])].sort(compare).map((path) => ({ path, replaces: false }));
  return Object.keys(detailedDiff)
    .sort(compare)
    .map((path) => {
      const values = [plain(at(old?.inputs, path)), plain(at(next?.inputs, path))] as const;
      const [before, after] = values;
      const replaces = detailedDiff[path]?.diffKind.includes("replace") ?? false;
      if (before === undefined || after === undefined || before === after) return { path, replaces };
      return { path, replaces, values: [before, after] };
    });
}

function plain(value: unknown): string | undefined {
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/** The value at a path as the engine writes it: `spec.http[0].route[1].weight`, `metadata.annotations["a.b/c"]`. */
function at(value: unknown, path: string): unknown {
  let here = value;
  for (const [, quoted, index, word] of path.matchAll(/\["([^"]*)"\]|\[(\d+)\]|([^.[\]]+)/g)) {
    if (typeof here !== "object" || here === null) return undefined;
    here = (here as Record<string, unknown>)[quoted ?? index ?? word ?? ""];
  }
  return here;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
