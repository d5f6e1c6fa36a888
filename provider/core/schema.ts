import { z } from "zod";
import type { AnyKind } from "./kind";

type PropertySpec =
  { $ref: string } | { type: string; items?: PropertySpec } | { type: string; additionalProperties: PropertySpec };

const ANY: PropertySpec = { $ref: "pulumi.json#/Any" };

/** The package schema: every kind with its properties; nested objects are given as Any, their types are in provider/sdk. */
export function packageSchema(kinds: readonly AnyKind[], version: string): string {
  return JSON.stringify({
    name: "kvmesh",
    version,
    description: "Dedicated-core KVM machines and the Kubernetes nodes on them, over SSH",
    config: { variables: providerProperties },
    provider: { inputProperties: providerProperties },
    resources: Object.fromEntries(kinds.map((kind) => [kind.token, resource(kind)])),
  });
}

const providerProperties = {
  hosts: { type: "object", additionalProperties: ANY, description: "Hosts by the names that import IDs begin with" },
  cluster: { type: "string", description: "Cluster of what is imported without a mark; default: the stack's name" },
  environment: { type: "string", description: "Environment of what is imported without a mark" },
  breakGlass: { ...ANY, description: "A node, and a word that lets it be changed once although it can't be verified" },
  identityFile: { type: "string", description: "Private key file; default: the SSH agent" },
  connectTimeoutSeconds: { type: "integer" },
  attempts: { type: "integer" },
};

function resource(kind: AnyKind): object {
  const json = kind.args ? (z.toJSONSchema(kind.args, { io: "input", unrepresentable: "any" }) as JsonSchema) : {};
  const inputProperties = Object.fromEntries(
    Object.entries(json.properties ?? {}).map(([name, property]) => [name, propertySpec(property)]),
  );
  const outputs = Object.keys(kind.outputs ?? {}).map((name) => [
    name,
    { ...ANY, ...(kind.secretOutputs?.includes(name) ? { secret: true } : {}) },
  ]);
  return {
    inputProperties,
    requiredInputs: json.required ?? [],
    properties: { ...inputProperties, ...(Object.fromEntries(outputs) as object) },
    required: Object.keys(kind.outputs ?? {}),
  };
}

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
}

function propertySpec(json: JsonSchema): PropertySpec {
  if (json.type === "array") return { type: "array", items: json.items ? propertySpec(json.items) : ANY };
  if (json.type !== undefined && ["string", "integer", "number", "boolean"].includes(json.type))
    return { type: json.type };
  return ANY;
}
