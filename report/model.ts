import { z } from "zod";

/**
 * The canonical report: everything that any format shows, and nothing that depends on how it is shown. `report/schema.json`
 * is made of this; a change that old readers can't take raises SCHEMA_VERSION.
 */
export const SCHEMA_VERSION = 1;

const severity = z.enum(["low", "medium", "high", "critical"]);
const level = z.enum(["mandatory", "advisory"]);
const isoTime = z.string().describe("ISO 8601, UTC");
const sha256 = z.string().describe('"sha256:…", or "none"');

/**
 * `pass`: judged everywhere it applies, and held. `not-evaluated`: no verdict, for the reasons given; never to be taken
 * for a pass. `not-applicable`: the run had nothing that the rule is about. `waived`: violated, and accepted until a day.
 * `planned`: the rule has no policy yet; never counted.
 */
const status = z.enum(["fail", "not-evaluated", "waived", "pass", "not-applicable", "planned"]);

const location = z
  .strictObject({
    file: z.string().describe("Path below the repository's root"),
    line: z.int().min(1),
    key: z.string().describe('Path in the stack file, "kvmesh:pools.worker.vcpus"; empty: the file as a whole'),
  })
  .describe("Where in the stack file the resource comes from");

const evidenceRef = z.strictObject({ what: z.string(), on: z.string(), takenAt: isoTime, digest: sha256 });

const waiverRef = z.strictObject({
  owner: z.string(),
  reason: z.string(),
  ticket: z.string(),
  expires: z.string().describe("The last day, YYYY-MM-DD"),
});

const finding = z.strictObject({
  fingerprint: z.string().describe("The same for the same rule and resource in every run"),
  urn: z.string().describe("Empty: about the stack as a whole"),
  subject: z.string().describe('"Domain web-0"'),
  level,
  found: z.string().describe("Never a value that may be secret"),
  required: z.string().optional(),
  remedy: z.string(),
  evidence: evidenceRef.optional(),
  waiver: waiverRef.optional(),
  location,
});

const gap = z.strictObject({
  fingerprint: z.string(),
  urn: z.string().describe("Empty: about the rule as a whole"),
  subject: z.string(),
  reason: z.string(),
  location,
});

const rule = z.strictObject({
  id: z.string(),
  title: z.string(),
  severity,
  level: level.describe("What a violation does in this run"),
  controls: z.array(z.string()),
  remedy: z.string(),
  status,
  passed: z.int().min(0).describe("Resources, or 1 for the stack, that the rule held for"),
  violations: z.array(finding),
  waived: z.array(finding),
  gaps: z.array(gap),
  evidence: z.array(evidenceRef).describe("Measurements that the verdict rests on"),
});

const measurement = z.strictObject({
  machine: z.string(),
  urn: z.string(),
  takenAt: isoTime,
  ageDays: z.number(),
  limitDays: z.number(),
  tooOld: z.boolean(),
  digest: sha256,
  digestHolds: z.boolean().describe("The digest is the one of the record that stands beside it"),
  verdict: z.string(),
  values: z.array(
    z.strictObject({
      id: z.string(),
      what: z.string(),
      measured: z.string(),
      limit: z.string().describe("Empty: nothing is demanded of it"),
      verdict: z.string(),
    }),
  ),
});

const waiverFinding = z.strictObject({
  problem: z.string(),
  where: z.string().describe('"waivers.yaml:12"'),
  rule: z.string().optional(),
  resource: z.string().optional(),
  text: z.string(),
});

const waivers = z.strictObject({
  file: z.string(),
  digest: sha256,
  entries: z.array(waiverRef.extend({ rule: z.string(), resource: z.string(), where: z.string() })),
  findings: z.array(waiverFinding),
});

const step = z.strictObject({
  op: z.enum(["create", "change", "replace", "delete"]),
  urn: z.string(),
  kind: z.string().describe('"Domain", "VirtualService"'),
  name: z.string(),
  changes: z.array(
    z.strictObject({
      path: z.string(),
      replaces: z.boolean(),
      values: z.tuple([z.string(), z.string()]).optional().describe("Old and new, of numbers and switches only"),
    }),
  ),
  ended: z.enum(["planned", "done", "failed", "begun"]),
});

const plan = z.strictObject({ same: z.int().min(0), steps: z.array(step) });

const reference = z.strictObject({ rule: z.string(), subject: z.string(), fingerprint: z.string(), text: z.string() });

const changes = z
  .strictObject({
    base: z.strictObject({ commit: z.string(), time: isoTime, stack: z.string() }),
    newFailures: z.array(reference),
    fixed: z.array(reference),
    newlyWaived: z.array(reference),
    newlyNotEvaluated: z.array(reference),
    newWaivers: z.array(waivers.shape.entries.element),
    configuration: z.array(z.string()).describe("What of the pack or its configuration is not as in the base"),
  })
  .describe("Against the base of a pull request");

const packSetting = z.strictObject({
  rule: z.string(),
  effect: z.enum(["off", "lowered", "raised", "setting"]),
  text: z.string(),
});

const runEnd = z
  .discriminatedUnion("state", [
    z.strictObject({ state: z.literal("ended") }),
    z.strictObject({ state: z.literal("running") }),
    z.strictObject({ state: z.literal("broken"), reason: z.string() }),
  ])
  .describe("running: it has not ended, or its end could not be written. broken: what it said is not whole");

const header = z.strictObject({
  judged: z.enum(["preview", "deployed", "state"]).describe("A plan, what `up` made, or the state of a deployed stack"),
  state: z
    .enum(["own", "none", "file"])
    .describe("own: the stack's state was read. none: committed facts alone. file: an exported state, without login"),
  stack: z.string(),
  environment: z.enum(["production", "staging", "development"]),
  commit: z.string().describe('Ends with "-dirty" when files differ from it'),
  pack: z.strictObject({ name: z.string(), version: z.string(), digest: sha256, folder: z.string() }),
  packConfig: z.strictObject({ digest: sha256, settings: z.array(packSetting) }),
  stackFile: z.strictObject({ path: z.string(), digest: sha256 }),
  cliVersion: z.string(),
  time: isoTime.describe("For which rules are judged; ISO 8601, UTC"),
  command: z.string().describe("Without values of its options"),
  exitCode: z.int().describe("Pulumi's own"),
  end: runEnd,
  notes: z.array(z.string()).describe("What else a reader must know of the run"),
});

export const reportSchema = z.strictObject({
  schema: z.literal(SCHEMA_VERSION),
  header,
  conclusion: z.enum(["broken", "blocked", "failed", "warned", "open", "clear"]),
  complete: z.boolean().describe("False: the run ended before all policies had been run"),
  counts: z.strictObject({
    fail: z.int(),
    "not-evaluated": z.int(),
    waived: z.int(),
    pass: z.int(),
    "not-applicable": z.int(),
  }),
  planned: z.int().describe("Rules without a policy; in no count"),
  blocking: z.int().describe("Violations that block"),
  changes: changes.optional(),
  waivers,
  plan: plan.optional(),
  evidence: z.array(measurement),
  domains: z.array(z.strictObject({ name: z.string(), rules: z.array(rule) })),
  disclaimer: z.string(),
});

export type Report = z.infer<typeof reportSchema>;
export type Header = Report["header"];
export type Status = z.infer<typeof status>;
export type RuleResult = z.infer<typeof rule>;
export type Finding = z.infer<typeof finding>;
export type Gap = z.infer<typeof gap>;
export type Location = z.infer<typeof location>;
export type EvidenceRef = z.infer<typeof evidenceRef>;
export type Measurement = z.infer<typeof measurement>;
export type WaiverRef = z.infer<typeof waiverRef>;
export type Waivers = z.infer<typeof waivers>;
export type Plan = z.infer<typeof plan>;
export type Step = z.infer<typeof step>;
export type Changes = z.infer<typeof changes>;
export type Reference = z.infer<typeof reference>;
export type PackSetting = z.infer<typeof packSetting>;
export type RunEnd = z.infer<typeof runEnd>;
export type Conclusion = Report["conclusion"];
export type DomainResult = Report["domains"][number];

/** The order of summaries. */
export const STATUSES = ["fail", "not-evaluated", "waived", "pass", "not-applicable"] as const;

export const DISCLAIMER =
  "A pass is evidence that a rule held for the inputs and the time named here. It is not legal compliance, nor a " +
  "statement about anything that was not evaluated.";

export const rulesOf = (report: Pick<Report, "domains">): readonly RuleResult[] =>
  report.domains.flatMap(({ rules }) => rules);

/** The last part of a URN, which is the resource's logical name, and its type. */
export function urnParts(urn: string): { readonly type: string; readonly name: string } {
  const [, , type = "", ...name] = urn.replace(/^urn:pulumi:/, "").split("::");
  return { type: type.split("$").at(-1) ?? type, name: name.join("::") };
}

/** report/schema.json; a test compares it with the file. `node dist/report/model.js` prints it. */
export function reportJsonSchema(): string {
  return `${JSON.stringify({ title: "kvmesh policy report", ...z.toJSONSchema(reportSchema) }, undefined, 2)}\n`;
}

/**
 * @param source named in the error.
 * @throws one sentence: what is wrong, where in the file, and what to do.
 */
export function parseReport(text: string, source: string): Report {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error(`${source}: this is no JSON; give a report's .json file`);
  }
  const version = (content as { schema?: unknown } | null)?.schema;
  if (version !== SCHEMA_VERSION)
    throw new Error(
      `${source}: schema: found ${version === undefined ? "none" : JSON.stringify(version)}, can read ${SCHEMA_VERSION}; write the report again`,
    );
  const { data, error } = reportSchema.safeParse(content);
  if (data) return data;
  const [issue] = error.issues;
  throw new Error(`${source}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not a report"}`);
}

if (require.main === module) process.stdout.write(reportJsonSchema());
