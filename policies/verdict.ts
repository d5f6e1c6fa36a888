import type { Level, Severity } from "./catalogue";

/**
 * What came of one rule on one subject. `pass`: judged, and held. `fail`: violated. `waived`: violated, and accepted until
 * a day. `not-evaluated`: no verdict, for a reason; never to be taken for a pass. `not-applicable`: nothing there that the
 * rule is about. `planned`: the rule's subject can't exist yet; never counted.
 */
export type Outcome = "pass" | "fail" | "waived" | "not-evaluated" | "not-applicable" | "planned";

/** The measurement that a verdict rests on. */
export interface EvidenceRef {
  /** What was measured, and what came out: "fdatasync, 99th percentile: 4.2 ms". */
  readonly what: string;
  /** The machine that it was measured on. */
  readonly on: string;
  /** ISO 8601, UTC. */
  readonly takenAt: string;
  /** "sha256:…" of the record's canonical JSON. */
  readonly digest: string;
}

/** Why a violation does not block. */
export interface WaiverRef {
  readonly owner: string;
  readonly reason: string;
  readonly ticket: string;
  /** The last day, YYYY-MM-DD. */
  readonly expires: string;
}

/** One rule on one resource, or on the stack. Values that may be secret are never in it. */
export interface Verdict {
  readonly rule: string;
  readonly outcome: Outcome;
  readonly severity: Severity;
  /** What a violation does in the stack's environment. */
  readonly level: Level;
  readonly controls: readonly string[];
  /** Empty: about the stack as a whole. */
  readonly urn: string;
  /** "machine web-0", "PeerAuthentication shop/default". */
  readonly subject?: string;
  /** The observed value; of `pass` only where evidence says it. */
  readonly found?: string;
  readonly required?: string;
  readonly remedy?: string;
  /** Of `not-evaluated` and `not-applicable`. */
  readonly reason?: string;
  readonly evidence?: EvidenceRef;
  readonly waiver?: WaiverRef;
}

/** A verdict as a policy says it to Pulumi, which takes text only: everything but what the catalogue knows anyway. */
export interface Said {
  readonly outcome: "fail" | "waived" | "not-evaluated";
  readonly subject: string;
  readonly found?: string;
  readonly required?: string;
  readonly remedy?: string;
  readonly reason?: string;
  readonly evidence?: EvidenceRef;
  readonly waiver?: WaiverRef;
  /** The rules that it is about, where it isn't about the policy's own (policies/unseen.ts). */
  readonly rules?: readonly string[];
}

/** The lines that a policy reports; `readSaid` takes them apart again. */
export function sayVerdict(said: Said): string {
  const { evidence, waiver } = said;
  return [
    said.outcome === "not-evaluated"
      ? `${said.subject}: not evaluated: ${said.reason ?? ""}`
      : `${said.subject}: found ${said.found ?? ""}`,
    ...(said.required === undefined ? [] : [`required: ${said.required}`]),
    ...(said.remedy === undefined ? [] : [`remedy: ${said.remedy}`]),
    ...(evidence ? [`evidence: ${evidence.digest} of ${evidence.on}, ${evidence.takenAt}: ${evidence.what}`] : []),
    ...(waiver ? [`waived: until ${waiver.expires} by ${waiver.owner} (${waiver.ticket}): ${waiver.reason}`] : []),
    ...(said.rules === undefined ? [] : [`rules: ${said.rules.join(", ")}`]),
  ]
    .map((line) => line.replace(/\s+/g, " ").trimEnd())
    .join("\n");
}

/** What a policy event's message says; undefined: it isn't one of ours. A first line, the rule's title, is passed over. */
export function readSaid(message: string): Said | undefined {
  const lines = message.trim().split("\n");
  const field = (name: string): string | undefined =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const first = lines.find((line) => /^.+?: (found |not evaluated: )/.test(line));
  const [, subject = "", how, rest = ""] = /^(.+?): (found |not evaluated: )(.*)$/.exec(first ?? "") ?? [];
  if (how === undefined) return undefined;
  const evidence = /^(\S+) of (.+?), (\S+): (.*)$/.exec(field("evidence") ?? "");
  const waiver = /^until (\S+) by (.+?) \((.+?)\): (.*)$/.exec(field("waived") ?? "");
  const [required, remedy, rules] = [field("required"), field("remedy"), field("rules")];
  return {
    outcome: how === "found " ? (waiver ? "waived" : "fail") : "not-evaluated",
    subject,
    ...(how === "found " ? { found: rest } : { reason: rest }),
    ...(required !== undefined && { required }),
    ...(remedy !== undefined && { remedy }),
    ...(evidence && {
      evidence: { digest: evidence[1]!, on: evidence[2]!, takenAt: evidence[3]!, what: evidence[4]! },
    }),
    ...(waiver && { waiver: { expires: waiver[1]!, owner: waiver[2]!, ticket: waiver[3]!, reason: waiver[4]! } }),
    ...(rules !== undefined && { rules: rules.split(", ") }),
  };
}
