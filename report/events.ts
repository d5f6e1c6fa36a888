import { readSaid, type Verdict } from "../policies/verdict";
import type { EvidenceRef, WaiverRef } from "./model";
import { measuredIn, type MeasuredResource } from "./evidence";
import { PlanBuilder, type StepMetadata } from "./plan";

/** What the report needs of Pulumi's engine events (one JSON object a line, as in `--event-log`). */
export interface EngineEvent {
  readonly preludeEvent?: unknown;
  /** Comes last, however the run ends. */
  readonly cancelEvent?: unknown;
  readonly resourcePreEvent?: { readonly planning?: boolean; readonly metadata?: StepMetadata };
  readonly resOutputsEvent?: { readonly metadata?: StepMetadata };
  readonly resOpFailedEvent?: { readonly metadata?: StepMetadata };
  readonly policyEvent?: {
    readonly resourceUrn?: string;
    readonly message: string;
    readonly policyName: string;
    readonly policyPackName: string;
    readonly policyPackVersion?: string;
    readonly enforcementLevel: string;
    readonly severity?: string;
  };
  readonly policyAnalyzeSummaryEvent?: Summary & { readonly resourceUrn?: string };
  readonly policyAnalyzeStackSummaryEvent?: Summary;
  readonly summaryEvent?: { readonly isPreview?: boolean };
}

interface Summary {
  readonly policyPackName: string;
  readonly policyPackVersion?: string;
  readonly passed?: readonly string[];
}

export interface ObservedFinding {
  /** Empty: about the stack as a whole. */
  readonly urn: string;
  readonly subject: string;
  readonly level: "mandatory" | "advisory";
  readonly found: string;
  readonly required?: string;
  readonly remedy?: string;
  readonly evidence?: EvidenceRef;
  readonly waiver?: WaiverRef;
}

export interface ObservedGap {
  readonly urn: string;
  readonly subject: string;
  readonly reason: string;
}

export interface RuleObservation {
  /** Violations; those with a waiver don't block. */
  readonly findings: ObservedFinding[];
  readonly gaps: ObservedGap[];
  /** URNs that the rule passed on; "" stands for the stack. */
  readonly passed: Set<string>;
  readonly evidence: EvidenceRef[];
  severity?: string;
}

/** What one run's events, or the verdicts on a state, say. Rules of another pack are called PACK/RULE. */
export class Observations {
  readonly rules = new Map<string, RuleObservation>();
  /** Of the pack whose rules the catalogue has. */
  packVersion: string | undefined;
  /** Stack policies come last: once they ran, every policy had its turn. */
  complete = false;
  /** Of the last part: `up` runs a preview first. undefined: no event told. */
  isPreview: boolean | undefined;
  /** The engine said that this part is over. */
  ended = false;
  readonly measured = new Map<string, MeasuredResource>();
  plan = new PlanBuilder();

  constructor(private readonly packName: string) {}

  /** Takes one event. `up` runs a preview first: a new prelude begins the observations anew. */
  add(event: EngineEvent): void {
    if (event.preludeEvent !== undefined) this.reset();
    const { policyEvent, policyAnalyzeSummaryEvent: summary, policyAnalyzeStackSummaryEvent: stack } = event;
    if (policyEvent) this.addPolicyEvent(policyEvent);
    if (summary) this.addPassed(summary, summary.resourceUrn ?? "");
    if (stack) {
      this.addPassed(stack, "");
      if (stack.policyPackName === this.packName) this.complete = true;
    }
    this.addStep(event);
    if (event.cancelEvent !== undefined) this.ended = true;
    this.isPreview = event.summaryEvent?.isPreview ?? this.isPreview;
  }

  /** Of our own run of the pack over a state. */
  addVerdicts(verdicts: readonly Verdict[]): void {
    for (const {
      rule: id,
      outcome,
      urn,
      subject = subjectOf(urn),
      level,
      found,
      reason,
      evidence,
      ...more
    } of verdicts) {
      const rule = this.of(id);
      if (outcome === "pass") rule.passed.add(urn);
      if (evidence) rule.evidence.push(evidence);
      if (outcome === "not-evaluated") rule.gaps.push({ urn, subject, reason: reason ?? "" });
      if (outcome !== "fail" && outcome !== "waived") continue;
      const { required, remedy, waiver } = more;
      rule.findings.push({
        ...{ urn, subject, level, found: found ?? "" },
        ...optional({ required, remedy, evidence, waiver }),
      });
    }
    this.complete = true;
    this.ended = true;
  }

  private reset(): void {
    this.rules.clear();
    this.measured.clear();
    this.plan = new PlanBuilder();
    this.complete = false;
    this.isPreview = undefined;
    this.ended = false;
  }

  private addStep({ resourcePreEvent: begun, resOutputsEvent: done, resOpFailedEvent: failed }: EngineEvent): void {
    // Only what plans says so: the field is left out when it is false.
    if (begun) this.isPreview ??= begun.planning === true;
    const planned = this.isPreview === true;
    if (begun?.metadata) this.plan.add(begun.metadata, planned ? "planned" : "begun");
    if (done?.metadata && !planned) this.plan.add(done.metadata, "done");
    if (failed?.metadata) this.plan.add(failed.metadata, "failed");
    const metadata = done?.metadata ?? begun?.metadata;
    const measured =
      metadata && measuredIn(metadata.type, metadata.urn, metadata.new?.outputs ?? metadata.old?.outputs);
    if (measured) this.measured.set(measured.urn, measured);
  }

  private addPassed(summary: Summary, urn: string): void {
    if (summary.policyPackName === this.packName) this.packVersion = summary.policyPackVersion ?? this.packVersion;
    for (const id of summary.passed ?? []) this.of(this.idOf(summary.policyPackName, id)).passed.add(urn);
  }

  private addPolicyEvent(event: NonNullable<EngineEvent["policyEvent"]>): void {
    const urn = event.resourceUrn ?? "";
    const id = this.idOf(event.policyPackName, event.policyName);
    const rule = this.of(id);
    rule.severity = event.severity ?? rule.severity;
    const unknown = /^can't run policy '[^']*' from policy pack '[^']*'(?: during preview)?: ([^]*)/.exec(
      event.message.trim(),
    );
    if (unknown) {
      rule.gaps.push({ urn, subject: subjectOf(urn), reason: unknown[1]?.trim() ?? "not known yet" });
      return;
    }
    const said = readSaid(event.message);
    if (said?.outcome === "not-evaluated") {
      const gap = { urn, subject: said.subject, reason: said.reason ?? "" };
      for (const about of said.rules ?? [id]) this.of(about).gaps.push(gap);
      return;
    }
    const level = event.enforcementLevel === "mandatory" ? "mandatory" : "advisory";
    if (said === undefined) {
      rule.findings.push({ urn, subject: subjectOf(urn), level, found: event.message.trim().split("\n").join(" ") });
      return;
    }
    const { subject, found = "", required, remedy, evidence, waiver } = said;
    rule.findings.push({ ...{ urn, subject, level, found }, ...optional({ required, remedy, evidence, waiver }) });
  }

  private idOf(pack: string, policy: string): string {
    return pack === this.packName ? policy : `${pack}/${policy}`;
  }

  private of(id: string): RuleObservation {
    const known = this.rules.get(id);
    if (known) return known;
    const fresh: RuleObservation = { findings: [], gaps: [], passed: new Set(), evidence: [] };
    this.rules.set(id, fresh);
    return fresh;
  }
}

/** What a rule on all resources is about. */
export const STACK = "the stack";

/** "Domain web-0"; the stack for the stack itself and for no resource. */
function subjectOf(urn: string): string {
  const [, , types = "", ...name] = urn.split("::");
  const type = types.split("$").at(-1) ?? "";
  if (type === "" || type === "pulumi:pulumi:Stack") return STACK;
  return `${type.split(":").at(-1) ?? type} ${name.join("::")}`;
}

/** The fields that have a value. */
function optional<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
