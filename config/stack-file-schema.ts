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
