import { createHash } from "node:crypto";

/**
 * JSON in one form only, as RFC 8785 has it: no blanks, keys in the order of their UTF-16 code units, numbers as JavaScript
 * writes them. Whoever has the record can compute its digest with any such library.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
    return `{${fields.join(",")}}`;
  }
  return JSON.stringify(value);
}

/** "sha256:<64 hex>" of a record's canonical JSON. */
export function digestOf(record: object): string {
  return `sha256:${createHash("sha256").update(canonicalJson(record)).digest("hex")}`;
}
