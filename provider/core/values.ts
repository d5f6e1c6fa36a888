import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";
import { UserError } from "./kind";

/** A resource's properties as plain data. */
export type Properties = Record<string, unknown>;

/** Marks an object on the wire as a special value; the engine's own signature, the same in every Pulumi SDK. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** Properties without secret wrappers, and which top-level properties held one. */
export interface Unwrapped {
  readonly values: Properties;
  readonly secrets: ReadonlySet<string>;
  /** A create or update failed half-way and was recorded so. */
  readonly incomplete: boolean;
}

/** Internal to the engine and to us by its underscores: shown to nobody, given to no handler. */
const INCOMPLETE = "__incomplete";

export function isObject(value: unknown): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy without some of its properties. */
export function without<T extends object, K extends keyof T & string>(value: T, ...names: readonly K[]): Omit<T, K> {
  const left = Object.entries(value).filter(([name]) => !(names as readonly string[]).includes(name));
  return Object.fromEntries(left) as Omit<T, K>;
}

export function fromStruct(struct: Struct | undefined): Unwrapped {
  const secrets = new Set<string>();
  const values: Properties = {};
  const plain = struct?.toJavaScript() ?? {};
  for (const [name, value] of Object.entries(plain)) {
    // Added by SDKs that fill in defaults themselves; no property of ours.
    if (name.startsWith("__")) continue;
    values[name] = unwrap(value, () => secrets.add(name));
  }
  return { values, secrets, incomplete: plain[INCOMPLETE] === true };
}

/** Notes in a state that its resource is half made, until a create or update succeeds. */
export function markIncomplete(struct: Struct): Struct {
  return Struct.fromJavaScript({ ...struct.toJavaScript(), [INCOMPLETE]: true });
}

/**
 * Every named top-level property is wrapped as a secret; undefined values are left out, as on the wire.
 *
 * @throws UserError for a key "__proto__", at any depth: google-protobuf's maps would lose it without a word.
 */
export function toStruct(values: Properties, secrets: Iterable<string> = []): Struct {
  const names = new Set(secrets);
  const out: Record<string, JavaScriptValue> = {};
  for (const [name, plain] of Object.entries(wire(values) as Record<string, JavaScriptValue>)) {
    out[name] = names.has(name) ? { [SIGNATURE]: SECRET, value: plain } : plain;
  }
  return Struct.fromJavaScript(out);
}

function unwrap(value: unknown, onSecret: () => void): unknown {
  if (Array.isArray(value)) return value.map((item) => unwrap(item, onSecret));
  if (!isObject(value)) return value;
  if (value[SIGNATURE] === SECRET) {
    onSecret();
    return unwrap(value["value"], onSecret);
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unwrap(item, onSecret)]));
}

/** google-protobuf refuses undefined and anything that is not JSON. */
function wire(value: unknown): JavaScriptValue {
  if (Array.isArray(value)) return value.map((item: unknown) => wire(item ?? null));
  if (isObject(value)) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    if (entries.some(([key]) => key === "__proto__"))
      throw new UserError('a key is called "__proto__", which can not be sent to the engine: rename it');
    return Object.fromEntries(entries.map(([key, item]) => [key, wire(item)]));
  }
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return null;
}
