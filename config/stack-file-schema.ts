import { z } from "zod";
import { dnsLabel } from "./fields";
import { maps, SECTION_NAMES, values, type MapName } from "./sections";

/** The schema of a section: of the value itself, or of each entry of a map. */
export function schemaOf(name: (typeof SECTION_NAMES)[number]): z.ZodType {
  return isMap(name) ? maps[name].entry : values[name].schema;
}

export function isMap(name: (typeof SECTION_NAMES)[number]): name is MapName {
  return name in maps;
}

/** JSON Schema of a whole stack file (`Pulumi.<stack>.yaml`), for editors. */
export function stackFileSchema(): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  for (const name of SECTION_NAMES) {
    const schema = toJson(schemaOf(name));
    properties[`kvmesh:${name}`] = isMap(name)
      ? {
          type: "object",
          propertyNames: toJson(dnsLabel),
          additionalProperties: { description: maps[name].what, ...schema },
        }
      : schema;
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

/** `absent` says in words what holds where a key is left out: editors show it with the description. */
function toJson(schema: z.ZodType): Record<string, unknown> {
  const json: Record<string, unknown> = {
    ...z.toJSONSchema(schema, {
      io: "input",
      override: ({ jsonSchema: node }) => {
        const { absent, description } = node as { absent?: string; description?: string };
        if (absent === undefined) return;
        delete (node as { absent?: string }).absent;
        node.description = description === undefined ? `Default: ${absent}` : `${description}; default: ${absent}`;
      },
    }),
  };
  delete json.$schema;
  return json;
}

/** Known keys of the map at `path` below `schema`; for suggestions. */
export function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] {
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
