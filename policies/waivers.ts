import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import type { Severity } from "./catalogue";
import { dayOf, daysBetween, isDay } from "./clock";
import type { WaiverRef } from "./verdict";
import type * as WaiverSchema from "./waiver-schema";

/** An accepted violation: it is still judged, and shown as waived. */
export interface Waiver extends WaiverRef {
  readonly rule: string;
  /** The subject as reports name it, "PeerAuthentication shop/legacy"; `*` stands for any text. */
  readonly resource: string;
  /** "waivers.yaml:12". */
  readonly where: string;
}

export type WaiverProblem =
  "unreadable" | "unknown-rule" | "unknown-resource" | "too-broad" | "too-long" | "expired" | "repeated" | "unused";

/** Something that is wrong with the file of waivers: a finding of the report. */
export interface WaiverFinding {
  readonly problem: WaiverProblem;
  /** "waivers.yaml:12". */
  readonly where: string;
  readonly rule?: string;
  readonly resource?: string;
  /** What was found and what to do, one sentence or two. */
  readonly text: string;
}

export interface WaiverFile {
  /** As it was given; for people. */
  readonly file: string;
  /** "sha256:…"; "none" when there is no file. */
  readonly digest: string;
  /** Those that hold at the time of the evaluation. */
  readonly waivers: readonly Waiver[];
  readonly findings: readonly WaiverFinding[];
}

export interface WaiverOptions {
  readonly file: string;
  /** The time of the evaluation. */
  readonly now: Date;
  /** What the catalogue knows of a rule; undefined: no such rule. */
  readonly rule: (id: string) => { readonly severity: Severity } | undefined;
}

export const NO_WAIVERS: WaiverFile = { file: "none", digest: "none", waivers: [], findings: [] };

/** Longest that a waiver may still last, in days. */
export const MOST_DAYS = 366;
export const MOST_DAYS_CRITICAL = 90;

/** `KVMESH_WAIVERS`, else `waivers.yaml` of the folder that holds the policy pack, which is the checkout. */
export function waiverPath(variables: NodeJS.ProcessEnv, checkout: string): string {
  const given = variables.KVMESH_WAIVERS;
  return given === undefined || given === "" ? path.join(checkout, "waivers.yaml") : path.resolve(given);
}

/** @throws when the file was named and isn't there, or can't be read. Without the default file there are no waivers. */
export function loadWaivers(variables: NodeJS.ProcessEnv, checkout: string, options: Omit<WaiverOptions, "file">) {
  const place = waiverPath(variables, checkout);
  if (!fs.existsSync(place)) {
    if (variables.KVMESH_WAIVERS) throw new Error(`KVMESH_WAIVERS: there is no file ${place}`);
    return NO_WAIVERS;
  }
  return readWaivers(fs.readFileSync(place, "utf8"), { ...options, file: path.basename(place) });
}

/** What holds of the file, and everything that is wrong with it. A waiver with a finding does not hold. */
export function readWaivers(text: string, options: WaiverOptions): WaiverFile {
  // Loaded here: most runs have no waivers, and pay for no schema.
  const { parseWaivers } = createRequire(__filename)("./waiver-schema") as typeof WaiverSchema;
  const { entries, findings } = parseWaivers(text, options.file);
  const wrong: WaiverFinding[] = [...findings];
  const waivers: Waiver[] = [];
  for (const waiver of entries) {
    const problem = problemOf(waiver, options, waivers);
    if (problem === undefined) waivers.push(waiver);
    else {
      const { rule, resource, where } = waiver;
      wrong.push({ ...problem, where, rule, resource });
    }
  }
  const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
  return { file: options.file, digest, waivers, findings: wrong };
}

type Problem = Pick<WaiverFinding, "problem" | "text">;

function problemOf(waiver: Waiver, { now, rule }: WaiverOptions, before: readonly Waiver[]): Problem | undefined {
  const known = rule(waiver.rule);
  if (known === undefined)
    return { problem: "unknown-rule", text: `no rule is called "${waiver.rule}"; docs/policies.md lists them` };
  if (isTooBroad(waiver.resource))
    return {
      problem: "too-broad",
      text: `"${waiver.resource}" would cover whatever comes; name the kind, and at least 3 letters of the name`,
    };
  if (!isDay(waiver.expires))
    return { problem: "unreadable", text: `"${waiver.expires}" is no day of the calendar; write YYYY-MM-DD` };
  const left = daysBetween(dayOf(now), waiver.expires);
  if (left < 0)
    return { problem: "expired", text: `ended on ${waiver.expires}; repair the resource, or have it renewed` };
  const most = known.severity === "critical" ? MOST_DAYS_CRITICAL : MOST_DAYS;
  if (left > most)
    return {
      problem: "too-long",
      text: `lasts ${left} days more; a waiver of a ${known.severity} rule lasts at most ${most}`,
    };
  const twin = before.find(({ rule: id, resource }) => id === waiver.rule && resource === waiver.resource);
  if (twin !== undefined) return { problem: "repeated", text: `says the same as ${twin.where}; keep one of them` };
  return undefined;
}

/** The kind must be said, and of the name something that isn't the same for all. */
function isTooBroad(resource: string): boolean {
  const [kind = "", ...name] = resource.split(" ");
  if (name.length === 0) return kind.includes("*") || kind.length < 3;
  return kind.includes("*") || (name.join(" ").includes("*") && name.join("").replace(/[^A-Za-z0-9]/g, "").length < 3);
}

/** The waiver that covers a violation. */
export function waiverFor(file: WaiverFile, rule: string, subject: string): Waiver | undefined {
  return file.waivers.find((waiver) => waiver.rule === rule && covers(waiver.resource, subject));
}

export function covers(pattern: string, subject: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(subject);
}

/** What a whole run said of the subjects that waivers name. */
export interface WaiverUse {
  /** Every violation, waived ones too. */
  readonly violations: readonly { readonly rule: string; readonly subject: string }[];
  /** Every subject that the run judged; without it nothing can be said of unknown resources. */
  readonly subjects?: readonly string[];
}

/** More than this many violations under one pattern are no exception any more. */
const MOST_COVERED = 10;

/** After a run that judged everything: waivers that nothing needs, and patterns that cover too much. */
export function reviewWaivers(file: WaiverFile, { violations, subjects }: WaiverUse): readonly WaiverFinding[] {
  return file.waivers.flatMap(({ rule, resource, where }): WaiverFinding[] => {
    const found = (problem: WaiverProblem, text: string): WaiverFinding[] => [{ problem, where, rule, resource, text }];
    const used = new Set(
      violations.filter((one) => one.rule === rule && covers(resource, one.subject)).map(({ subject }) => subject),
    );
    if (used.size > MOST_COVERED)
      return found("too-broad", `covers ${used.size} violations; a waiver covers at most ${MOST_COVERED}: name them`);
    if (used.size > 0) return [];
    if (subjects !== undefined && !subjects.some((subject) => covers(resource, subject)))
      return found("unknown-resource", `the stack has nothing called "${resource}"; correct it, or remove the waiver`);
    return found("unused", "nothing violates the rule there any more; remove the waiver");
  });
}
