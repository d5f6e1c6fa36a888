import type { Environment } from "./catalogue";

/**
 * The stack's environment: `environment` of the stack file, which the language host hands to policy packs as JSON in
 * PULUMI_CONFIG. Where it can't be told (no stack, as in `pulumi policy analyze --file`; a value of its own), the
 * strictest holds.
 */
export function environmentOf(variables: NodeJS.ProcessEnv): Environment {
  const project = variables.PULUMI_NODEJS_PROJECT ?? "kvmesh";
  const config = parseConfig(variables.PULUMI_CONFIG);
  const value = config["kvmesh:environment"] ?? config[`${project}:environment`];
  return value === "staging" || value === "development" ? value : "production";
}

function parseConfig(json: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(json ?? "{}");
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
