import type { z } from "zod";
import { fromIssues, type Path, type Problem } from "./problems";

/** What `schema` makes of the value at `path`; undefined where something is wrong, which is then among the problems. */
export function validate<S extends z.ZodType>(
  schema: S,
  value: unknown,
  path: Path,
  problems: Problem[],
): z.output<S> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  problems.push(...fromIssues(result.error.issues, value, path, (inner) => keysAt(schema, inner)));
  return undefined;
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
