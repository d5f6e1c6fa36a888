import type {
  PolicyConfigSchema,
  PolicyResource,
  ReportViolation,
  ResourceValidationArgs,
  ResourceValidationPolicy,
  StackValidationPolicy,
} from "@pulumi/policy";
import { controlNames, ruleOf, type Environment } from "./catalogue";
import { at, peek, text } from "./read";

/** One violation: whose, what was observed, what is required. The remedy is the rule's, unless a better one is known. */
export interface Finding {
  readonly subject: string;
  /** Never a value that could be a secret. */
  readonly found: string;
  readonly required: string;
  readonly remedy?: string;
  /** Stack policies: the resource that the finding is about. */
  readonly urn?: string;
}

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
}

/** Judges yield findings one by one, so that those found before an unknown value is met are still reported. */
export type Judge = (resource: Judged, context: Context) => Iterable<Finding>;
export type StackJudge = (resources: readonly Judged[], context: Context) => Iterable<Finding>;

export interface Context {
  /** The policy's settings, from `--policy-pack-config`: an object. */
  readonly settings: unknown;
  /** Ends the judgement: the rule has nothing to say about this resource or stack. */
  notApplicable(reason: string): never;
}

export type KvmeshPolicy = (ResourceValidationPolicy | StackValidationPolicy) & { readonly name: string };

interface PolicyOptions {
  readonly settings?: PolicyConfigSchema["properties"];
}

/**
 * A policy that judges one resource at a time by its type. Types are Pulumi's; one `*` stands for any text without a
 * colon, for the versions of an API group: `kubernetes:security.istio.io/*:PeerAuthentication`.
 */
export function resourcePolicy(
  id: string,
  judges: Readonly<Record<string, Judge>>,
  options: PolicyOptions = {},
): KvmeshPolicy & ResourceValidationPolicy {
  const patterns = Object.entries(judges).map(([pattern, judge]) => ({ matches: typeMatcher(pattern), judge }));
  const validateResource = (args: ResourceValidationArgs, report: ReportViolation): void => {
    const found = patterns.find(({ matches }) => matches(args.type));
    if (!found) args.notApplicable(`applies to ${Object.keys(judges).join(", ")}`);
    for (const finding of found.judge(judged(args), contextOf(args))) report(message(id, finding));
  };
  // The SDK decodes the inputs anew for every policy; a policy of one type, marked so, is passed over before that.
  const [only, ...more] = Object.keys(judges);
  if (more.length === 0 && only && !only.includes("*")) Object.assign(validateResource, { __pulumiType: only });
  return { ...describe(id, options), validateResource };
}

/** A policy that needs all resources. In `up` it runs after the changes: what must block is a resource policy. */
export function stackPolicy(
  id: string,
  judge: StackJudge,
  options: PolicyOptions = {},
): KvmeshPolicy & StackValidationPolicy {
  return {
    ...describe(id, options),
    validateStack: (args, report) => {
      for (const finding of judge(args.resources.map(judged), contextOf(args)))
        report(message(id, finding), finding.urn);
    },
  };
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

/** The report reads these lines again (report/finding.ts). */
export function message(id: string, { subject, found, required, remedy }: Finding): string {
  return `${subject}: found ${found}\nrequired: ${required}\nremedy: ${remedy ?? ruleOf(id).remedy}`;
}

export function typeMatcher(pattern: string): (type: string) => boolean {
  const [before = "", after] = pattern.split("*");
  if (after === undefined) return (type) => type === pattern;
  return (type) =>
    type.length >= before.length + after.length &&
    type.startsWith(before) &&
    type.endsWith(after) &&
    !type.slice(before.length, type.length - after.length).includes(":");
}

/** Resources of these types, patterns as in resourcePolicy. */
export function ofType(resources: readonly Judged[], ...patterns: readonly string[]): readonly Judged[] {
  const matchers = patterns.map(typeMatcher);
  return resources.filter(({ type }) => matchers.some((matches) => matches(type)));
}

/** "machine web-0", "VirtualService shop/cart"; the logical name where the object's own is not known yet. */
export function subjectOf({ type, name, props }: Judged): string {
  const kind = type.split(":").at(-1) ?? type;
  if (type.startsWith("kvmesh:")) return `${kind} ${peek(() => text(at(props, "name"))) ?? name}`;
  const objectName = peek(() => text(at(props, "metadata", "name")) ?? text(at(props, "name"))) ?? name;
  const namespace = peek(() => text(at(props, "metadata", "namespace")) ?? text(at(props, "namespace")));
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${objectName}`;
}

function judged(args: ResourceValidationArgs | PolicyResource): Judged {
  const { type, name, urn, props, opts } = args;
  return { type, name, urn, props, protect: opts.protect, additionalSecretOutputs: opts.additionalSecretOutputs };
}

function contextOf(args: Pick<ResourceValidationArgs, "getConfig" | "notApplicable">): Context {
  return {
    settings: args.getConfig(),
    notApplicable: (reason) => args.notApplicable(reason),
  };
}
