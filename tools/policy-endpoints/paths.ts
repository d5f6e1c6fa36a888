import { z } from "zod";
import { kinds } from "../../provider/kinds";

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** Resource type → path of an SSH endpoint in its inputs, `controlPlanes[].endpoint` → whether it must be there. */
export type EndpointPaths = Readonly<Record<string, Readonly<Record<string, boolean>>>>;

/** Every place in the plugin's resources that a connection is described in: an object with a host key, or a bastion. */
export function endpointPaths(): EndpointPaths {
  return Object.fromEntries(
    kinds.flatMap(({ token, args }): [string, Record<string, boolean>][] => {
      if (args === undefined) return [];
      const paths = pathsIn(z.toJSONSchema(args, { io: "input", unrepresentable: "any" }) as JsonSchema, [], true);
      return paths.length === 0 ? [] : [[token, Object.fromEntries(paths)]];
    }),
  );
}

function pathsIn(schema: JsonSchema, path: readonly string[], required: boolean): [string, boolean][] {
  const { properties = {}, anyOf = [], oneOf = [] } = schema;
  // A bastion stands in its endpoint, and is judged with it.
  if ("hostKey" in properties && "address" in properties) return [[path.join("."), required]];
  const [last = "", ...before] = [...path].reverse();
  return [
    ...(schema.items ? pathsIn(schema.items, [...before.reverse(), `${last}[]`], required) : []),
    ...Object.entries(properties).flatMap(([name, child]) =>
      pathsIn(child, [...path, name], required && (schema.required ?? []).includes(name)),
    ),
    ...[...anyOf, ...oneOf].flatMap((child) => pathsIn(child, path, required)),
  ];
}
