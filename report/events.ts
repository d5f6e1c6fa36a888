import { peekMessage } from "./finding";
import type { Gap, Violation } from "./model";

/** What the report needs of Pulumi's engine events (one JSON object a line, as in `--event-log`). */
export interface EngineEvent {
  readonly preludeEvent?: unknown;
  /** Comes last, however the run ends. */
  readonly cancelEvent?: unknown;
  readonly resourcePreEvent?: { readonly planning?: boolean };
  readonly policyEvent?: {
    readonly resourceUrn?: string;
    readonly message: string;
    readonly policyName: string;
    readonly policyPackName: string;
    readonly policyPackVersion?: string;
    readonly enforcementLevel: string;
  };
  readonly policyAnalyzeSummaryEvent?: Summary & { readonly resourceUrn?: string };
  readonly policyAnalyzeStackSummaryEvent?: Summary;
  readonly summaryEvent?: {
    readonly isPreview?: boolean;
    readonly result?: string;
    /** Versions by name. */
    readonly PolicyPacks?: Readonly<Record<string, string>>;
  };
}

interface Summary {
  readonly policyPackName: string;
  readonly policyPackVersion?: string;
  readonly passed?: readonly string[];
}

export interface RuleObservation {
  readonly violations: Violation[];
  readonly gaps: Gap[];
  /** URNs that the rule passed on; "" stands for the stack. */
  readonly passed: Set<string>;
}

/** What one run's events say. */
export class Observations {
  readonly rules = new Map<string, RuleObservation>();
  packVersion: string | undefined;
  /** Stack policies come last: once they ran, every policy had its turn. */
  complete = false;
  /** Of the last part: `up` runs a preview first. undefined: no event told. */
  isPreview: boolean | undefined;
  /** The engine said that this part is over. */
  ended = false;
  /** What Pulumi says of the run as a whole. */
  result: string | undefined;

  constructor(private readonly packName: string) {}

  /** Takes one event. `up` runs a preview first: a new prelude begins the observations anew. */
  add(event: EngineEvent): void {
    if (event.preludeEvent !== undefined) this.reset();
    const { policyEvent, policyAnalyzeSummaryEvent: summary, policyAnalyzeStackSummaryEvent: stack } = event;
    if (policyEvent && policyEvent.policyPackName === this.packName) this.addPolicyEvent(policyEvent);
    if (summary && summary.policyPackName === this.packName) {
      this.packVersion = summary.policyPackVersion ?? this.packVersion;
      for (const id of summary.passed ?? []) this.of(id).passed.add(summary.resourceUrn ?? "");
    }
    if (stack && stack.policyPackName === this.packName) {
      this.packVersion = stack.policyPackVersion ?? this.packVersion;
      this.complete = true;
      for (const id of stack.passed ?? []) this.of(id).passed.add("");
    }
    // Only what plans says so: the field is left out when it is false.
    if (event.resourcePreEvent !== undefined) this.isPreview ??= event.resourcePreEvent.planning === true;
    if (event.cancelEvent !== undefined) this.ended = true;
    this.isPreview = event.summaryEvent?.isPreview ?? this.isPreview;
    this.result = event.summaryEvent?.result ?? this.result;
    this.packVersion = event.summaryEvent?.PolicyPacks?.[this.packName] ?? this.packVersion;
  }

  private reset(): void {
    this.rules.clear();
    this.complete = false;
    this.isPreview = undefined;
    this.ended = false;
    this.result = undefined;
  }

  private addPolicyEvent(event: NonNullable<EngineEvent["policyEvent"]>): void {
    const urn = event.resourceUrn ?? "";
    const rule = this.of(event.policyName);
    const gap = /^can't run policy '[^']*' from policy pack '[^']*'(?: during preview)?: ([^]*)/.exec(
      event.message.trim(),
    );
    if (gap) {
      rule.gaps.push({ urn, reason: gap[1]?.trim() ?? "not known yet" });
      return;
    }
    const level = event.enforcementLevel === "mandatory" ? "mandatory" : "advisory";
    rule.violations.push({ urn, level, ...peekMessage(event.message) });
  }

  private of(id: string): RuleObservation {
    const known = this.rules.get(id);
    if (known) return known;
    const fresh: RuleObservation = { violations: [], gaps: [], passed: new Set() };
    this.rules.set(id, fresh);
    return fresh;
  }
}
