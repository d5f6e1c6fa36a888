import { controlNames, domains, type Environment, type Rule } from "../policies/catalogue";
import type { Observations } from "./events";
import {
  DISCLAIMER,
  PLANNED,
  STATUSES,
  UNTOLD,
  type Gap,
  type Header,
  type Report,
  type RuleResult,
  type Status,
} from "./model";

export interface EvaluationInput {
  readonly header: Header;
  readonly observations: Observations;
  /** Rules that the pack's configuration turns off. */
  readonly disabled: ReadonlySet<string>;
}

/** Every rule of the catalogue in its order, also those that no event names. */
export function evaluate(input: EvaluationInput): Report {
  const complete = isComplete(input);
  const results = domains.map(({ name, rules }) => ({
    name,
    rules: rules.map((rule) => judge(rule, complete, input)),
  }));
  const all = results.flatMap(({ rules }) => rules);
  const counts = Object.fromEntries(
    STATUSES.map((status) => [status, all.filter((result) => result.status === status).length]),
  ) as Record<Status, number>;
  const blocking = all.flatMap(({ violations }) => violations).filter(({ level }) => level === "mandatory").length;
  return {
    header: input.header,
    complete,
    counts,
    blocking,
    domains: results,
    disclaimer: DISCLAIMER,
  };
}

/** Of a state no event says that the stack policies ran; a run that succeeded, or found what blocks, has come to its end. */
function isComplete({ header, observations }: EvaluationInput): boolean {
  if (header.end.state !== "ended") return false;
  if (header.judged !== "state") return observations.complete;
  const found = [...observations.rules.values()].flatMap(({ violations }) => violations);
  return observations.result === "succeeded" || found.some(({ level }) => level === "mandatory");
}

function judge(rule: Rule, complete: boolean, { header, observations, disabled }: EvaluationInput): RuleResult {
  const observed = observations.rules.get(rule.id);
  const violations = [...(observed?.violations ?? [])].sort(
    (a, b) => compare(a.urn, b.urn) || compare(a.subject ?? "", b.subject ?? "") || compare(a.found, b.found),
  );
  const gaps = [...(observed?.gaps ?? [])].sort((a, b) => compare(a.urn, b.urn) || compare(a.reason, b.reason));
  const passed = observed?.passed.size ?? 0;
  const whole = wholeRuleGap(rule, complete, disabled, passed, header.judged);
  if (whole && violations.length === 0) gaps.unshift(whole);
  return {
    id: rule.id,
    title: rule.title,
    severity: rule.severity,
    level: levelOf(rule, header.environment),
    controls: controlNames(rule),
    remedy: rule.remedy,
    status: statusOf(violations.length, gaps.length, passed),
    planned: rule.status === "planned",
    passed,
    violations,
    gaps,
  };
}

/** Why a rule as a whole has no verdict, though no event says so. */
function wholeRuleGap(
  rule: Rule,
  complete: boolean,
  disabled: ReadonlySet<string>,
  passed: number,
  judged: Header["judged"],
): Gap | undefined {
  if (rule.status === "planned") return { urn: "", reason: PLANNED };
  if (disabled.has(rule.id)) return { urn: "", reason: "turned off by the pack's configuration" };
  if (complete) return judged === "state" ? { urn: "", reason: UNTOLD } : undefined;
  const before = passed > 0 ? `, after it had held for ${passed} resource${passed === 1 ? "" : "s"}` : "";
  return { urn: "", reason: `the run ended before all policies had run${before}` };
}

function statusOf(violations: number, gaps: number, passed: number): Status {
  if (violations > 0) return "fail";
  if (gaps > 0) return "not-evaluated";
  return passed > 0 ? "pass" : "not-applicable";
}

function levelOf(rule: Rule, environment: Environment) {
  return rule.level[environment];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
