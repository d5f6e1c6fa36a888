import { createHash } from "node:crypto";
import { controlNames, domains, type Level, type Rule } from "../policies/catalogue";
import { reviewWaivers, type WaiverFile } from "../policies/waivers";
import { conclusionOf } from "./conclusion";
import type { ObservedFinding, ObservedGap, Observations, RuleObservation } from "./events";
import { evidenceFor, measurementOf } from "./evidence";
import type { Locator } from "./locate";
import {
  DISCLAIMER,
  STATUSES,
  type Header,
  type Measurement,
  type Report,
  type RuleResult,
  type Status,
} from "./model";
import type { PackConfig } from "./pack-config";

export interface EvaluationInput {
  readonly header: Header;
  readonly observations: Observations;
  readonly packConfig: PackConfig;
  readonly waivers: WaiverFile;
  readonly locator: Locator;
}

/** Every rule of the catalogue in its order, also those that no event names; then what other packs said. */
export function evaluate(input: EvaluationInput): Report {
  const { header, observations, waivers } = input;
  const complete = header.end.state === "ended" && observations.complete;
  const evidence = measurements(observations, new Date(header.time));
  const judge = judgeOf(input, complete, evidence);
  const results = domains.map(({ name, rules }) => ({ name, rules: rules.map(judge) }));
  const others = foreignRules(observations).map(judge);
  const all = [...results.flatMap(({ rules }) => rules), ...others];
  const counts = Object.fromEntries(
    STATUSES.map((status) => [status, all.filter((result) => result.status === status).length]),
  ) as Report["counts"];
  const plan = header.judged === "state" ? undefined : observations.plan.build();
  const report = {
    schema: 1 as const,
    header,
    complete,
    counts,
    planned: all.filter(({ status }) => status === "planned").length,
    blocking: all.flatMap(({ violations }) => violations).filter(({ level }) => level === "mandatory").length,
    waivers: {
      file: waivers.file,
      digest: waivers.digest,
      entries: waivers.waivers.map(({ rule, resource, where, owner, reason, ticket, expires }) => ({
        ...{ owner, reason, ticket, expires },
        ...{ rule, resource, where },
      })),
      findings: [...waivers.findings, ...(complete ? review(all, waivers) : [])],
    },
    ...(plan && { plan }),
    evidence: evidence.map(({ measurement }) => measurement),
    domains: others.length === 0 ? results : [...results, { name: "Rules outside the catalogue", rules: others }],
    disclaimer: DISCLAIMER,
  };
  const conclusion = conclusionOf(report);
  const { schema, header: head, ...rest } = report;
  return { schema, header: head, conclusion, ...rest };
}

/** What can only be said after a run that judged everything. */
function review(rules: readonly RuleResult[], waivers: WaiverFile): ReturnType<typeof reviewWaivers> {
  const violations = rules.flatMap(({ id, violations: open, waived }) =>
    [...open, ...waived].map(({ subject }) => ({ rule: id, subject })),
  );
  return reviewWaivers(waivers, { violations });
}

interface Measured {
  readonly measurement: Measurement;
  readonly role: string;
}

function measurements(observations: Observations, now: Date): readonly Measured[] {
  return [...observations.measured.values()]
    .map((resource) => ({ measurement: measurementOf(resource, now), role: resource.record.role }))
    .sort((a, b) => compare(a.measurement.urn, b.measurement.urn));
}

function judgeOf(input: EvaluationInput, complete: boolean, measured: readonly Measured[]) {
  const { header, observations, packConfig, locator } = input;
  const roles = new Map(measured.map(({ measurement, role }) => [measurement.machine, role]));
  const all = measured.map(({ measurement }) => measurement);
  return (rule: Rule): RuleResult => {
    const observed: RuleObservation | undefined = observations.rules.get(rule.id);
    const places = new Fingerprints(rule.id);
    const findings = sorted(observed?.findings ?? []).map((finding) => ({
      fingerprint: places.next(finding),
      urn: finding.urn,
      subject: finding.subject,
      level: finding.level,
      found: finding.found,
      ...(finding.required !== undefined && { required: finding.required }),
      remedy: finding.remedy ?? rule.remedy,
      ...(finding.evidence && { evidence: finding.evidence }),
      ...(finding.waiver && { waiver: finding.waiver }),
      location: locator.locate(rule.id, finding.urn, finding.subject),
    }));
    const passed = observed?.passed.size ?? 0;
    const violations = findings.filter(({ waiver }) => waiver === undefined);
    const waived = findings.filter(({ waiver }) => waiver !== undefined);
    const gaps: ObservedGap[] = sorted(observed?.gaps ?? []);
    const rests = complete ? evidenceFor(rule.id, all, roles) : [];
    const judged = passed + violations.length + waived.length > 0;
    if (judged) gaps.push(...rests.flatMap(({ measurement }) => weakness(measurement)));
    const whole = rule.status === "planned" ? undefined : wholeGap(rule.id, complete, packConfig, passed);
    if (whole !== undefined && violations.length === 0) gaps.unshift({ urn: "", subject: "", reason: whole });
    const status: Status =
      rule.status === "planned" && findings.length + gaps.length + passed === 0
        ? "planned"
        : statusOf(violations.length, gaps.length, waived.length, passed);
    const configured = packConfig.levelOf(rule.id);
    return {
      id: rule.id,
      title: rule.title,
      severity: rule.severity,
      level: configured === "mandatory" || configured === "advisory" ? configured : rule.level[header.environment],
      controls: [...controlNames(rule)],
      remedy: rule.remedy,
      status,
      passed,
      violations,
      waived,
      gaps: gaps.map((gap) => ({
        fingerprint: places.next(gap),
        urn: gap.urn,
        subject: gap.subject,
        reason: gap.reason,
        location: locator.locate(rule.id, gap.urn, gap.subject),
      })),
      evidence: judged ? [...rests.map(({ ref }) => ref), ...(rests.length > 0 ? [] : (observed?.evidence ?? []))] : [],
    };
  };
}

/** A verdict that rests on a record that is too old, or isn't the one that its digest is of, is none. */
function weakness({ urn, machine, tooOld, ageDays, limitDays, takenAt, digestHolds }: Measurement): ObservedGap[] {
  const subject = `evidence of ${machine}`;
  if (!digestHolds) return [{ urn, subject, reason: "the digest is not the record's: one of them was changed" }];
  if (!tooOld) return [];
  const age = ageDays < 0 ? `dated "${takenAt}"` : `${ageDays} days old`;
  return [
    { urn, subject, reason: `the evidence is ${age}; it may be ${limitDays} days old: \`pulumi up\` measures again` },
  ];
}

/** Why a rule as a whole has no verdict, though no event says so. */
function wholeGap(id: string, complete: boolean, packConfig: PackConfig, passed: number): string | undefined {
  if (packConfig.levelOf(id) === "off") return "turned off by the pack's configuration";
  if (complete) return undefined;
  const before = passed > 0 ? `, after it had held for ${passed} resource${passed === 1 ? "" : "s"}` : "";
  return `the run ended before all policies had run${before}`;
}

function statusOf(violations: number, gaps: number, waived: number, passed: number): Status {
  if (violations > 0) return "fail";
  if (gaps > 0) return "not-evaluated";
  if (waived > 0) return "waived";
  return passed > 0 ? "pass" : "not-applicable";
}

/** Rules of other packs, or of a pack that has more rules than this catalogue: nothing that was found is left out. */
function foreignRules(observations: Observations): readonly Rule[] {
  const known = new Set(domains.flatMap(({ rules }) => rules.map(({ id }) => id)));
  return [...observations.rules.entries()]
    .filter(([id]) => !known.has(id))
    .sort(([a], [b]) => compare(a, b))
    .map(([id, { findings, severity }]) => {
      const level: Level = findings.some((finding) => finding.level === "mandatory") ? "mandatory" : "advisory";
      return {
        id,
        title: "A rule that this catalogue does not have",
        severity: severity === "low" || severity === "high" || severity === "critical" ? severity : "medium",
        level: { production: level, staging: level, development: level },
        kind: "both",
        controls: {},
        remedy: "See the pack that has the rule.",
        status: "active",
      };
    });
}

/** The same for the same rule and resource in every run: of the URN without its stack, and what the finding is about. */
class Fingerprints {
  private readonly seen = new Map<string, number>();

  constructor(private readonly rule: string) {}

  next({ urn, subject }: Pick<ObservedFinding, "urn" | "subject">): string {
    const resource = urn.replace(/^urn:pulumi:[^:]*::[^:]*::/, "");
    const key = createHash("sha256").update(`${this.rule}\0${resource}\0${subject}`).digest("hex").slice(0, 20);
    const count = (this.seen.get(key) ?? 0) + 1;
    this.seen.set(key, count);
    return count === 1 ? key : `${key}-${count}`;
  }
}

function sorted<T extends ObservedFinding | ObservedGap>(items: readonly T[]): T[] {
  const text = (item: T): string => ("found" in item ? item.found : item.reason);
  return [...items].sort((a, b) => compare(a.urn, b.urn) || compare(a.subject, b.subject) || compare(text(a), text(b)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
