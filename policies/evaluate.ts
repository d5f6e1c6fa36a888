import { createRequire } from "node:module";
import type { PolicyResource, ResourceValidationArgs, StackValidationArgs } from "@pulumi/policy";
import { catalogue, controlNames, ruleOf, type Environment, type Rule } from "./catalogue";
import { subjectOf, type Held, type KvmeshPolicy, type Report } from "./frame";
import { makePolicies } from "./pack";
import { isUnknownError } from "./read";
import { setRun, type PolicyRun } from "./run";
import type { Said, Verdict } from "./verdict";

/** A resource as a stack's state has it. */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  /** Left out, or false: a component, which has no inputs of its own in the state. */
  readonly custom?: boolean;
  readonly parent?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly protect?: boolean;
  readonly additionalSecretOutputs?: readonly string[];
}

export interface EvaluateOptions extends PolicyRun {
  readonly environment: Environment;
  /** Of `--policy-pack-config`: settings by rule. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/**
 * Runs every rule of the catalogue over the resources of a state, without Pulumi and without a login: inputs for what is
 * judged before, outputs for what needs the whole stack. Says what passed and what had nothing to judge, which
 * `pulumi policy analyze` drops. A secret, which a state holds encrypted, is a value that can't be read: not evaluated.
 *
 * @returns for every rule at least one verdict, in the order of the catalogue, then of the resources.
 */
export function evaluateState(resources: readonly StateResource[], options: EvaluateOptions): readonly Verdict[] {
  const before = setRun({ now: options.now, waivers: options.waivers });
  try {
    const evaluation = new Evaluation(resources, options);
    const policies = makePolicies();
    for (const policy of policies) evaluation.run(policy);
    return catalogue.flatMap((rule) => evaluation.verdictsOf(rule));
  } finally {
    setRun(before);
  }
}

/** The SDK's own; internal to it and without types. Loads nothing else of the SDK. */
const proxy = createRequire(__filename)("@pulumi/policy/proxy") as {
  unknownCheckingProxy(props: object): Record<string, unknown>;
  unknownStringValue: string;
};

const SECRET_KEY = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

class NotApplicable extends Error {}

class Evaluation {
  private readonly found = new Map<string, Verdict[]>();
  private readonly inputs: readonly PolicyResource[];
  private readonly outputs: readonly PolicyResource[];

  constructor(
    resources: readonly StateResource[],
    private readonly options: EvaluateOptions,
  ) {
    const judged = resources.filter(
      ({ type }) => type !== "pulumi:pulumi:Stack" && !type.startsWith("pulumi:providers:"),
    );
    this.inputs = judged.map((resource) => policyResource(resource, resource.inputs ?? {}));
    this.outputs = judged.map((resource) => policyResource(resource, resource.outputs ?? resource.inputs ?? {}));
  }

  run(policy: KvmeshPolicy): void {
    const { validateResource, validateStack } = policy as {
      validateResource?: (args: ResourceValidationArgs, report: Report) => void;
      validateStack?: (args: StackValidationArgs, report: Report) => void;
    };
    if (validateResource)
      for (const resource of this.inputs)
        this.judge(policy.name, resource, (more, report) =>
          validateResource({ ...resource, ...more } as unknown as ResourceValidationArgs, report),
        );
    if (validateStack)
      this.judge(policy.name, undefined, (more, report) =>
        validateStack({ resources: this.outputs, ...more } as unknown as StackValidationArgs, report),
      );
  }

  verdictsOf(rule: Rule): readonly Verdict[] {
    if (rule.status === "planned") return [this.verdict(rule.id, { outcome: "planned", urn: "" })];
    const found = this.found.get(rule.id) ?? [];
    if (found.length > 0) return found;
    const reason = "the stack has nothing that the rule is about";
    return [this.verdict(rule.id, { outcome: "not-applicable", urn: "", reason })];
  }

  private judge(id: string, resource: PolicyResource | undefined, run: (more: object, report: Report) => void): void {
    const urn = resource?.urn ?? "";
    const subject = resource ? { subject: subjectOf({ ...resource, ...resource.opts, parent: "" }) } : {};
    const said: { readonly said: Said; readonly urn: string }[] = [];
    const held: Held[] = [];
    let gap: string | undefined;
    try {
      const more = {
        getConfig: () => this.options.settings?.[id] ?? {},
        notApplicable: (): never => {
          throw new NotApplicable();
        },
        held: (item: Held) => held.push(item),
      };
      run(more, (violation) => said.push({ said: violation.said, urn: violation.urn ?? urn }));
    } catch (error) {
      if (error instanceof NotApplicable) return;
      if (!isUnknownError(error)) throw error;
      gap = error.message;
    }
    for (const one of said) for (const rule of one.said.rules ?? [id]) this.add(rule, { ...one.said, urn: one.urn });
    if (gap !== undefined) this.add(id, { outcome: "not-evaluated", urn, ...subject, reason: gap });
    else if (said.length === 0 && held.length === 0) this.add(id, { outcome: "pass", urn, ...subject });
    else if (said.length === 0)
      for (const item of held)
        this.add(id, { outcome: "pass", urn: item.urn ?? urn, subject: item.subject, evidence: item.held });
  }

  private add(id: string, verdict: Omit<Verdict, "rule" | "severity" | "level" | "controls">): void {
    const found = this.found.get(id) ?? [];
    found.push(this.verdict(id, verdict));
    this.found.set(id, found);
  }

  private verdict(id: string, verdict: Omit<Verdict, "rule" | "severity" | "level" | "controls">): Verdict {
    const rule = ruleOf(id);
    return {
      rule: id,
      severity: rule.severity,
      level: rule.level[this.options.environment],
      controls: controlNames(rule),
      ...verdict,
    };
  }
}

function policyResource(resource: StateResource, props: Readonly<Record<string, unknown>>): PolicyResource {
  const { type, urn, parent, protect = false, additionalSecretOutputs = [] } = resource;
  return {
    type,
    urn,
    name: urn.split("::").slice(3).join("::"),
    props: proxy.unknownCheckingProxy(withoutSecrets(props) as object),
    opts: { protect, additionalSecretOutputs },
    ...(parent !== undefined && { parent: { urn: parent } }),
  } as unknown as PolicyResource;
}

/** Encrypted values become what an unknown value is to the SDK. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== "object" || value === null) return value;
  if ((value as Record<string, unknown>)[SECRET_KEY] === SECRET) return proxy.unknownStringValue;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, withoutSecrets(child)]));
}
