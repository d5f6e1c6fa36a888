import type {
  PolicyConfigSchema,
  PolicyResource,
  ReportViolation,
  ResourceValidationArgs,
  ResourceValidationPolicy,
  StackValidationPolicy,
} from "@pulumi/policy";
import { controlNames, ruleOf, type Environment, type Level } from "./catalogue";
import { Memory } from "./memory";
import { at, isUnknownError, peek, text } from "./read";
import { runOf } from "./run";
import { sayVerdict, type EvidenceRef, type Said, type WaiverRef } from "./verdict";
import { waiverFor } from "./waivers";

/** One violation: whose, what was observed, what is required. The remedy is the rule's, unless a better one is known. */
export interface Finding {
  readonly subject: string;
  /** Never a value that could be a secret: `shown` of policies/read.ts. */
  readonly found: string;
  readonly required: string;
  readonly remedy?: string;
  /** Stack policies: the resource that the finding is about. */
  readonly urn?: string;
  readonly evidence?: EvidenceRef;
  /** Lower than the rule's own, where the way out isn't there yet. */
  readonly level?: "advisory";
}

/** What a judge can't look into: no verdict on it, and never a pass. */
export interface Gap {
  readonly subject: string;
  /** Why, and how it could be looked into. */
  readonly unseen: string;
  readonly urn?: string;
  /** The rules that it could break; left out: the policy's own. */
  readonly rules?: readonly string[];
}

/** What held by a measurement: shown beside the pass. */
export interface Held {
  readonly subject: string;
  readonly held: EvidenceRef;
  readonly urn?: string;
}

export type Item = Finding | Gap | Held;

/** A resource as judges see it. */
export interface Judged {
  readonly type: string;
  /** Logical name in the program. */
  readonly name: string;
  readonly urn: string;
  /** Inputs in a resource policy, outputs in a stack policy. */
  readonly props: unknown;
  readonly protect: boolean;
  readonly additionalSecretOutputs: readonly string[];
  /** URN of the parent; only in stack policies. */
  readonly parent?: string;
}

/** Judges yield items one by one, so that those found before an unknown value is met are still reported. */
export type Judge = (resource: Judged, context: Context) => Iterable<Item>;
export type StackJudge = (resources: readonly Judged[], context: Context) => Iterable<Item>;

export interface Context {
  /** The policy's settings, from `--policy-pack-config`: an object. */
  readonly settings: unknown;
  /** The time for which rules are judged. */
  readonly now: Date;
  /** Ends the judgement: the rule has nothing to say about this resource or stack. */
  notApplicable(reason: string): never;
}

export type KvmeshPolicy = (ResourceValidationPolicy | StackValidationPolicy) & {
  readonly name: string;
  /** Patterns of the Kubernetes objects that the rule judges, as in resourcePolicy: what an unseen chart could break. */
  readonly kinds: readonly string[];
};

interface PolicyOptions {
  readonly settings?: PolicyConfigSchema["properties"];
  /** Kubernetes objects that a stack policy judges: "GROUP/KIND". */
  readonly kinds?: readonly string[];
  /** What the run declared, which a stack policy judges in place of outputs; a resource policy adds to it. */
  readonly memory?: Memory;
}

/**
 * A policy that judges one resource at a time by its type. Types are Pulumi's; one `*` stands for any text without a
 * colon, `**` at the end for any text. `object:GROUP/KIND` stands for a Kubernetes object of any version, however it is declared: as a typed
 * resource, a CustomResource, a Patch of an existing object, or an item of a List; the group of core objects is `core`.
 */
export function resourcePolicy(
  id: string,
  judges: Readonly<Record<string, Judge>>,
  options: PolicyOptions = {},
): KvmeshPolicy & ResourceValidationPolicy {
  const patterns = Object.entries(judges).map(([pattern, judge]) => ({ matches: typeMatcher(pattern), judge }));
  const applies = `applies to ${Object.keys(judges).join(", ")}`;
  const validateResource = (args: ResourceValidationArgs, report: ReportViolation): void => {
    const found = patterns.find(({ matches }) => matches(args.type));
    if (!found) passOver(args, applies);
    options.memory?.see(args.urn, args.type, args.name, args.props);
    const context = contextOf(args);
    for (const object of objectsOf(judged(args))) {
      for (const item of found.judge(object, context)) say(id, item, args, report as unknown as Report);
    }
  };
  // The SDK decodes the inputs anew for every policy; a policy of one type, marked so, is passed over before that.
  const [only, ...more] = Object.keys(judges);
  if (more.length === 0 && only && !/[*]|^object:/.test(only)) Object.assign(validateResource, { __pulumiType: only });
  return { ...describe(id, options), kinds: objectPatterns(Object.keys(judges)), validateResource };
}

/** A policy that needs all resources. In `up` it runs after the changes: what must block is a resource policy. */
export function stackPolicy(
  id: string,
  judge: StackJudge,
  options: PolicyOptions = {},
): KvmeshPolicy & StackValidationPolicy {
  return {
    ...describe(id, options),
    kinds: options.kinds ?? [],
    validateStack: (args, report) => {
      const resources = args.resources.flatMap((resource) => objectsOf(declared(judged(resource), options.memory)));
      for (const item of judge(resources, contextOf(args))) say(id, item, args, report as unknown as Report);
    },
  };
}

/**
 * A rule on several objects that decides on inputs: each time one of its kinds is shown, with all that were shown
 * before, and once more at the end. `judge` must say nothing that a later object could take back.
 */
export function objectsPolicy(
  id: string,
  kinds: readonly string[],
  memory: Memory,
  judge: StackJudge,
  options: PolicyOptions = {},
): KvmeshPolicy {
  const said = new Set<string>();
  const unknown = new Set<string>();
  function* news(items: Iterable<Item>): Iterable<Item> {
    for (const item of items) {
      const key = "found" in item ? `${item.subject} ${item.found}` : undefined;
      if (key !== undefined && said.has(key)) continue;
      if (key !== undefined) said.add(key);
      yield item;
    }
  }
  const early: Judge = function* (resource, context) {
    const seen = memory.all().map((one): Judged => ({ ...resource, ...one }));
    try {
      yield* news(judge(seen.flatMap(objectsOf), context));
    } catch (error) {
      if (!isUnknownError(error)) throw error;
      // Of another object it was said when that one was shown. Of this one, judging it alone says it.
      try {
        for (const item of judge([resource], context)) yield* news([item]);
      } catch (own) {
        if (isUnknownError(own)) unknown.add(own.message);
        throw own;
      }
    }
  };
  function* atTheEnd(resources: readonly Judged[], context: Context): Iterable<Item> {
    try {
      yield* news(judge(resources, context));
    } catch (error) {
      if (!isUnknownError(error) || !unknown.has(error.message)) throw error;
    } finally {
      // The same process may serve the update after the preview.
      said.clear();
      unknown.clear();
    }
  }
  return bothPolicy(
    resourcePolicy(id, Object.fromEntries(kinds.map((kind) => [`object:${kind}`, early])), { ...options, memory }),
    stackPolicy(id, atTheEnd, { ...options, kinds, memory }),
  );
}

/** One rule with a part for each resource and one for the whole stack. */
export function bothPolicy(
  resource: KvmeshPolicy & ResourceValidationPolicy,
  stack: KvmeshPolicy & StackValidationPolicy,
): KvmeshPolicy {
  return { ...stack, ...resource, kinds: [...new Set([...stack.kinds, ...resource.kinds])] };
}

/** What the SDK takes beside text, though its types don't say so: a level of its own for one violation. */
interface ReportedViolation {
  readonly message: string;
  readonly urn?: string;
  readonly enforcementLevel?: Level;
  /** For policies/evaluate.ts, which runs the pack without an engine. */
  readonly said: Said;
}
export type Report = (violation: ReportedViolation) => void;

function say(id: string, item: Item, args: object, report: Report): void {
  const urn = item.urn === undefined ? {} : { urn: item.urn };
  if ("held" in item) {
    // The engine has no place for what held.
    (args as { held?: (item: Held) => void }).held?.(item);
    return;
  }
  if ("unseen" in item) {
    const rules = item.rules === undefined ? {} : { rules: item.rules };
    const said: Said = { outcome: "not-evaluated", subject: item.subject, reason: item.unseen, ...rules };
    report({ message: titled(id, said), enforcementLevel: "advisory", said, ...urn });
    return;
  }
  const waiver = waiverFor(runOf().waivers, id, item.subject);
  const said = saidOf(id, item, waiver);
  const level = waiver ? "advisory" : item.level;
  report({ message: titled(id, said), ...(level && { enforcementLevel: level }), said, ...urn });
}

function saidOf(id: string, { subject, found, required, remedy, evidence }: Finding, waiver?: WaiverRef): Said {
  return {
    outcome: waiver ? "waived" : "fail",
    subject,
    found,
    required,
    remedy: remedy ?? ruleOf(id).remedy,
    ...(evidence && { evidence }),
    ...(waiver && { waiver }),
  };
}

/** What a violation says after the rule's title; reports read it by `readSaid`. */
export function message(id: string, finding: Finding): string {
  return sayVerdict(saidOf(id, finding));
}

function titled(id: string, said: Said): string {
  return `${ruleOf(id).title}\n${sayVerdict(said)}`;
}

/** What Pulumi knows of a rule; the many-to-many mapping of controls stays in the catalogue. */
function describe(id: string, { settings }: PolicyOptions) {
  const rule = ruleOf(id);
  return {
    name: id,
    description: rule.title,
    severity: rule.severity,
    remediationSteps: rule.remedy,
    tags: [...controlNames(rule)],
    ...(settings && { configSchema: { properties: settings } }),
  };
}

/** The environment is decided once a run; without one, production holds. */
export function withLevel<P extends KvmeshPolicy>(policy: P, environment: Environment): P {
  return { ...policy, enforcementLevel: ruleOf(policy.name).level[environment] };
}

/** `kubernetes:apps/v1:Deployment` → "apps/Deployment"; a Patch is its object. undefined: no Kubernetes object. */
export function objectKind(type: string): string | undefined {
  if (!type.startsWith("kubernetes:")) return undefined;
  const known = kindsByType.get(type);
  if (known !== undefined) return known;
  const [, group = "", kind = ""] = type.split(":");
  const plain = kind.replace(/(Patch|List)$/, "");
  const name = group.includes("/") ? group.split("/")[0]! : "core";
  // Kubernetes 1.21 and before had them in `extensions`, too.
  const found = `${name === "extensions" ? (MOVED[plain] ?? name) : name}/${plain}`;
  kindsByType.set(type, found);
  return found;
}

const kindsByType = new Map<string, string>();

const MOVED: Readonly<Record<string, string>> = {
  Deployment: "apps",
  DaemonSet: "apps",
  ReplicaSet: "apps",
  Ingress: "networking.k8s.io",
  NetworkPolicy: "networking.k8s.io",
};

export function typeMatcher(pattern: string): (type: string) => boolean {
  if (pattern.startsWith("object:")) {
    const kind = pattern.slice("object:".length);
    return (type) => objectKind(type) === kind;
  }
  if (pattern.endsWith(":**")) return (type) => type.startsWith(pattern.slice(0, -2));
  const [before = "", after] = pattern.split("*");
  if (after === undefined) return (type) => type === pattern;
  return (type) =>
    type.length >= before.length + after.length &&
    type.startsWith(before) &&
    type.endsWith(after) &&
    !type.slice(before.length, type.length - after.length).includes(":");
}

function objectPatterns(patterns: readonly string[]): readonly string[] {
  return patterns.filter((pattern) => pattern.startsWith("object:")).map((pattern) => pattern.slice("object:".length));
}

/** A Kubernetes object as it was declared. */
function declared(resource: Judged, memory: Memory | undefined): Judged {
  if (memory === undefined || !resource.type.startsWith("kubernetes:")) return resource;
  return { ...resource, props: memory.propsOf(resource.urn, resource.props) };
}

/** Resources of these types, patterns as in resourcePolicy. */
export function ofType(resources: readonly Judged[], ...patterns: readonly string[]): readonly Judged[] {
  const kinds = new Set(objectPatterns(patterns));
  const matchers = patterns.filter((pattern) => !pattern.startsWith("object:")).map(typeMatcher);
  return resources.filter(({ type }) => kinds.has(objectKind(type) ?? "") || matchers.some((matches) => matches(type)));
}

/** A List's items, each as a resource of its own; anything else is itself. */
function objectsOf(resource: Judged): readonly Judged[] {
  if (!resource.type.startsWith("kubernetes:") || !resource.type.endsWith("List")) return [resource];
  const items = at(resource.props, "items");
  if (!Array.isArray(items)) return [resource];
  return items.map((_, index) => ({
    ...resource,
    type: resource.type.slice(0, -"List".length),
    name: `${resource.name}[${index}]`,
    props: at(items, index),
  }));
}

/** "machine web-0", "VirtualService shop/cart"; the logical name where the object's own is not known yet. */
export function subjectOf({ type, name, props }: Judged): string {
  const kind = (type.split(":").at(-1) ?? type).replace(/Patch$/, "");
  if (type.startsWith("kvmesh:")) return `${kind} ${peek(() => text(at(props, "name"))) ?? name}`;
  const objectName = peek(() => text(at(props, "metadata", "name")) ?? text(at(props, "name"))) ?? name;
  const namespace = peek(() => text(at(props, "metadata", "namespace")) ?? text(at(props, "namespace")));
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${objectName}`;
}

function judged(args: ResourceValidationArgs | PolicyResource): Judged {
  const { type, name, urn, props, opts } = args;
  const parent = "parent" in args ? args.parent?.urn : undefined;
  return {
    type,
    name,
    urn,
    props,
    protect: opts.protect,
    additionalSecretOutputs: opts.additionalSecretOutputs,
    ...(parent !== undefined && { parent }),
  };
}

function contextOf(args: Pick<ResourceValidationArgs, "getConfig" | "notApplicable">): Context {
  return {
    settings: args.getConfig(),
    now: runOf().now,
    notApplicable: (reason) => passOver(args, reason),
  };
}

/** The SDK says it by an error, some forty times a resource: without a trace, which would cost more than the judging. */
function passOver(args: Pick<ResourceValidationArgs, "notApplicable">, reason: string): never {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return args.notApplicable(reason);
  } finally {
    Error.stackTraceLimit = limit;
  }
}
