import { createRequire } from "node:module";
import type { PolicyResource, ResourceValidationArgs, StackValidationArgs } from "@pulumi/policy";
import type { KvmeshPolicy } from "../../policies/frame";
import { makePolicies } from "../../policies/pack";
import type { Said } from "../../policies/verdict";

/**
 * The SDK's own proxy, through which the analyzer hands properties to policies: reading an unknown value throws.
 * It is internal to the SDK and has no types.
 */
const proxy = createRequire(__filename)("@pulumi/policy/proxy") as {
  unknownCheckingProxy(props: object): Record<string, unknown>;
  unknownStringValue: string;
  unknownArrayValue: string;
  unknownNumberValue: string;
  UnknownValueError: new () => Error;
};

/** What a value not known yet looks like to the analyzer. */
export const unknown = {
  string: proxy.unknownStringValue,
  number: proxy.unknownNumberValue,
  array: proxy.unknownArrayValue,
};

export interface Subject {
  readonly type: string;
  readonly name?: string;
  readonly props: object;
  readonly protect?: boolean;
  readonly additionalSecretOutputs?: readonly string[];
  /** Name of the parent, for stack policies. */
  readonly parent?: string;
}

export interface Verdict {
  /** Messages of what is violated, or waived. */
  readonly violations: readonly string[];
  /** Messages of what the policy can't look into. */
  readonly gaps?: readonly string[];
  readonly notApplicable?: string;
  /** Path of the unknown value that stopped the policy. */
  readonly unknown?: string;
  /** What a person is told of it. */
  readonly said?: string;
}

class NotApplicable extends Error {}

/** A rule of the pack that has seen nothing yet. */
export function fresh(id: string): KvmeshPolicy {
  const found = makePolicies().find(({ name }) => name === id);
  if (!found) throw new Error(`no policy ${id}`);
  return found;
}

/** As the analyzer runs a policy on one resource. */
export function judge(policy: KvmeshPolicy, subject: Subject, settings: object = {}): Verdict {
  const { validateResource } = policy as { validateResource?: unknown };
  if (typeof validateResource !== "function") throw new Error(`${policy.name} is no resource policy`);
  return verdict((report) => {
    (validateResource as (args: ResourceValidationArgs, report: Reported) => void)(
      { ...judged(subject), ...common(settings) } as unknown as ResourceValidationArgs,
      report,
    );
  });
}

/** As the analyzer runs a policy on all resources. */
export function judgeStack(policy: KvmeshPolicy, subjects: readonly Subject[], settings: object = {}): Verdict {
  const { validateStack } = policy as { validateStack?: unknown };
  if (typeof validateStack !== "function") throw new Error(`${policy.name} is no stack policy`);
  return verdict((report) => {
    (validateStack as (args: StackValidationArgs, report: Reported) => void)(
      { resources: subjects.map(judged), ...common(settings) } as unknown as StackValidationArgs,
      report,
    );
  });
}

function judged(subject: Subject): PolicyResource {
  const { type, name = "r", props, protect = false, additionalSecretOutputs = [], parent } = subject;
  return {
    type,
    name,
    urn: `urn:pulumi:test::kvmesh::${type}::${name}`,
    props: proxy.unknownCheckingProxy(props),
    opts: { protect, additionalSecretOutputs },
    ...(parent !== undefined && { parent: { urn: parent } }),
  } as unknown as PolicyResource;
}

function common(settings: object) {
  return {
    getConfig: () => settings,
    notApplicable: (reason?: string): never => {
      throw new NotApplicable(reason);
    },
  };
}

type Reported = (violation: { readonly message: string; readonly said: Said }) => void;

function verdict(run: (report: Reported) => void): Verdict {
  const violations: string[] = [];
  const unseen: string[] = [];
  const gaps = (): { gaps?: readonly string[] } => (unseen.length > 0 ? { gaps: unseen } : {});
  try {
    run(({ message, said }) => (said.outcome === "not-evaluated" ? unseen : violations).push(withoutTitle(message)));
  } catch (error) {
    if (error instanceof NotApplicable) return { violations, ...gaps(), notApplicable: error.message };
    if (error instanceof proxy.UnknownValueError) {
      const props = (error as Error & { props: string[] }).props.join(".");
      return { violations, ...gaps(), unknown: props, said: error.message };
    }
    throw error;
  }
  return { violations, ...gaps() };
}

/** Without the rule's title. */
function withoutTitle(message: string): string {
  return message.split("\n").slice(1).join("\n");
}
