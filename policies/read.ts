/**
 * Readers for resource properties. Properties come through the SDK's proxy, which throws when a value is read that is
 * not known yet; these functions let that through, so that the engine says "can't run policy" instead of a verdict.
 */

/** The value at a path of property names and array indexes; undefined where something on the way is missing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here = value;
  for (const step of path) {
    if (typeof here !== "object" || here === null) return undefined;
    here = (here as Record<string | number, unknown>)[step];
  }
  return here;
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** An array's elements, each read (and so known); anything else is an empty list. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.map((_element, index) => at(value, index)) : [];
}

export function numbers(value: unknown): readonly number[] {
  return list(value).filter((element) => typeof element === "number");
}

export function texts(value: unknown): readonly string[] {
  return list(value).filter((element) => typeof element === "string");
}

/** An object's own properties, each read. */
export function entries(value: unknown): readonly (readonly [string, unknown])[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.keys(value).map((key) => [key, at(value, key)] as const);
}

/** What an unknown value throws; asked without its class, which would load the SDK. */
export function isUnknownError(error: unknown): error is Error {
  return error instanceof Error && "unknownTypeSentinel" in error;
}

/** A value that only helps to name things: undefined when it isn't known yet. */
export function peek<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isUnknownError(error)) return undefined;
    throw error;
  }
}

/**
 * True where a property is declared and its value comes only in the run. `holder` itself must be known: read it with `at`
 * first. Whoever accepts such a property says something of its presence only; on `up` its value is judged.
 */
export function comesLater(holder: unknown, property: string): boolean {
  try {
    at(holder, property);
    return false;
  } catch (error) {
    if (isUnknownError(error)) return true;
    throw error;
  }
}

/**
 * A value for people, when it has the form that such values have: policies see decrypted secrets, and whoever put one
 * into the wrong field must not read it in a report.
 */
export function shown(value: string, form: RegExp): string {
  return form.test(value) && !looksRandom(value) ? value : "(not shown)";
}

/** A long run of mixed letters and digits that is no digest: tokens and keys look so. */
function looksRandom(value: string): boolean {
  const rest = value.replace(/sha256:[0-9a-f]{64}/g, "");
  return rest.split(/[^A-Za-z0-9]/).some((word) => word.length >= 20 && /\d/.test(word) && /[A-Za-z]/.test(word));
}

/** CPU numbers as people write them: [0,1,2,4] → "0-2,4". */
export function cpuText(cpus: readonly number[]): string {
  const sorted = [...cpus].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let start = 0; start < sorted.length;) {
    let end = start;
    while (sorted[end + 1] === sorted[end]! + 1) end += 1;
    parts.push(end > start ? `${sorted[start]}-${sorted[end]}` : `${sorted[start]}`);
    start = end + 1;
  }
  return parts.join(",");
}
