export type Environment = "production" | "staging" | "development";

/** `mandatory` blocks the run, `advisory` is shown. Staging may lower a level, not hide a rule. */
export type Level = "mandatory" | "advisory";
export type Severity = "low" | "medium" | "high" | "critical";

/** What a rule is evidence for. A pass is evidence, never legal compliance. */
export interface Controls {
  /** CIS Kubernetes Benchmark 1.12, in kube-bench's numbering. */
  readonly cis?: readonly string[];
  /** ISO/IEC 27001:2022, Annex A. */
  readonly iso?: readonly string[];
  /** GDPR: a–d of Art. 32(1), or another article by name. */
  readonly gdpr?: readonly string[];
  /** NIS2 Art. 21(2), letters. In Norway a readiness item only. */
  readonly nis2?: readonly string[];
}

export interface Rule {
  /** Lower case, words joined by hyphens; never reused for another rule. */
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  readonly level: Readonly<Record<Environment, Level>>;
  /**
   * `resource`: judged on the inputs of one resource, before it is made. `stack`: judged on all resources, in preview
   * before anything is made, in `up` after the changes. `both`: each part as it can.
   */
  readonly kind: "resource" | "stack" | "both";
  readonly controls: Controls;
  /** What to do, in one sentence. */
  readonly remedy: string;
  /** What a planned rule is about can't be declared yet: it has no policy, and is never counted. */
  readonly status: "active" | "planned";
}

/** A rule as it is written down: the level by name, the rest as in Rule. */
export type RuleEntry = Omit<Rule, "level" | "status"> & {
  readonly level: keyof typeof levels;
  readonly status?: "planned";
};

export const levels = {
  /** What would be broken anywhere. */
  everywhere: { production: "mandatory", staging: "mandatory", development: "mandatory" },
  /** Staging is held to it as production is. */
  shared: { production: "mandatory", staging: "mandatory", development: "advisory" },
  /** What only production has to pay for. */
  production: { production: "mandatory", staging: "advisory", development: "advisory" },
  advisory: { production: "advisory", staging: "advisory", development: "advisory" },
} as const satisfies Record<string, Readonly<Record<Environment, Level>>>;

export function rule(entry: RuleEntry): Rule {
  return { status: "active", ...entry, level: levels[entry.level] };
}
