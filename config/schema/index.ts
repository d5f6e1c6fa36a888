import { z } from "zod";
import type { Path } from "../problems";
import * as field from "./fields";
import { host, image, network } from "./hosts";
import { kubernetes } from "./kubernetes";
import { canary, gateway, mesh, namespace, service } from "./mesh";
import { carvedPool, existingPool } from "./pools";
import { evidence, ssh, timeouts } from "./run";

export type { EndpointEntry } from "./endpoint";
export type { HostEntry } from "./hosts";
export type { CarvedPoolEntry, ExistingPoolEntry } from "./pools";

/** Sections of the stack file that hold one value each. */
export const sections = {
  cluster: field.dnsLabel.meta({ description: "Name of the cluster; default: the stack's name" }).optional(),
  environment: z
    .enum(["production", "staging", "development"])
    .meta({ description: "How strict the program and the policies are" })
    .default("production"),
  ssh: ssh.prefault({}),
  timeouts: timeouts.prefault({}),
  evidence: evidence.prefault({}),
  image: image.optional(),
  network: network.optional(),
  kubernetes,
  mesh: mesh.optional(),
};

/** Sections that are maps: name → entry. Each entry is validated for itself, so that one error hides no other. */
export const maps = {
  hosts: host.meta({ description: "KVM hosts by name" }),
  pools: z.union([carvedPool, existingPool]).meta({ description: "Pools of nodes by name" }),
  namespaces: namespace.meta({ description: "Namespaces by name" }),
  services: service.meta({ description: "Services by name" }),
  gateways: gateway.meta({ description: "Istio Gateways by name" }),
  canaries: canary.meta({ description: "Weighted routes by name" }),
};

/** A pool with `machines` is meant to be of existing ones; so its errors name what is wrong with it as such. */
export function poolSchema(entry: unknown): z.ZodType {
  return typeof entry === "object" && entry !== null && "machines" in entry ? existingPool : carvedPool;
}

export const SECTION_NAMES = [
  "cluster",
  "environment",
  "ssh",
  "timeouts",
  "evidence",
  "hosts",
  "image",
  "network",
  "pools",
  "kubernetes",
  "mesh",
  "namespaces",
  "services",
  "gateways",
  "canaries",
] as const;

/** Known keys of the map at `path` below `schema`; for suggestions. */
export function keysAt(schema: z.core.$ZodType, path: Path): readonly string[] {
  const def = (schema as z.ZodType).def as z.core.$ZodTypeDef & Record<string, unknown>;
  switch (def.type) {
    case "optional":
    case "default":
    case "prefault":
      return keysAt(def.innerType as z.core.$ZodType, path);
    case "pipe":
      return keysAt(def.in as z.core.$ZodType, path);
    case "union":
      return [...new Set((def.options as z.core.$ZodType[]).flatMap((option) => keysAt(option, path)))];
    case "record":
      return path.length === 0 ? [] : keysAt(def.valueType as z.core.$ZodType, path.slice(1));
    case "array":
      return path.length === 0 ? [] : keysAt(def.element as z.core.$ZodType, path.slice(1));
    case "object": {
      const shape = def.shape as Record<string, z.core.$ZodType>;
      if (path.length === 0) return Object.keys(shape);
      const next = shape[String(path[0])];
      return next ? keysAt(next, path.slice(1)) : [];
    }
    default:
      return [];
  }
}

/** JSON Schema of a whole stack file (`Pulumi.<stack>.yaml`), for editors. */
export function stackFileSchema(): Record<string, unknown> {
  const toJson = (schema: z.ZodType) => {
    const json: Record<string, unknown> = { ...z.toJSONSchema(schema, { io: "input" }) };
    delete json.$schema;
    return json;
  };
  const properties: Record<string, unknown> = {};
  for (const name of SECTION_NAMES) {
    const key = `kvmesh:${name}`;
    if (name in maps) {
      const schema = maps[name as keyof typeof maps];
      const names = toJson(field.dnsLabel);
      properties[key] = { type: "object", propertyNames: names, additionalProperties: toJson(schema) };
    } else {
      properties[key] = toJson(sections[name as keyof typeof sections]);
    }
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "kvmesh stack file",
    type: "object",
    properties: {
      config: {
        type: "object",
        properties,
        // Other namespaces belong to other providers; an unknown key of ours is a mistake.
        patternProperties: { [`^kvmesh:(?!(${SECTION_NAMES.join("|")})$)`]: false },
        required: ["kvmesh:kubernetes", "kvmesh:pools"],
      },
    },
  };
}
