import { z } from "zod";
import { UNKNOWN } from "./kind";
import type { CheckFailure } from "./kind";

/** A schema for a property that may be unknown in preview; strings need none, because the sentinel is a string. */
export function orUnknown<T extends z.ZodType>(schema: T): z.ZodUnion<[z.ZodLiteral<typeof UNKNOWN>, T]> {
  return z.union([z.literal(UNKNOWN), schema]);
}

/** A string of a given form, or one that is not known yet. */
export function text(pattern: RegExp, what: string): z.ZodType<string> {
  return z.string().refine((value) => value === UNKNOWN || pattern.test(value), { error: `must be ${what}` });
}

/** The type of a host key and its base64; no comment. */
export const hostKey = text(
  /^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{40,}={0,2}$/,
  'a public host key, type and base64 as in known_hosts: "ssh-ed25519 AAAA…"',
);

const port = orUnknown(z.int().min(1).max(65535)).default(22) as z.ZodType<number>;
const hop = {
  address: text(/^[A-Za-z0-9][A-Za-z0-9.:_-]*$/, "a host name or an IP address"),
  port,
  user: text(/^[a-z_][a-z0-9_-]*\$?$/, "a user name").default("root"),
  hostKey,
};

/** `Endpoint` of the transport, defaults filled in. */
export const endpoint = z.strictObject({ ...hop, bastion: z.strictObject(hop).optional() });

/** A word of the ownership mark: it is compared on hosts, in shell scripts and in XML. */
const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "must be letters, digits, '.', '_' and '-'");

export const owner = z.strictObject({
  project: word,
  stack: word,
  cluster: word,
  environment: z.enum(["production", "staging", "development"]),
});
export type Owner = z.infer<typeof owner>;

/** An absolute path on a host, without `..`, safe in every place that a path goes to. */
export const absolutePath = text(
  /^(\/(?!\.\.?(\/|$))[A-Za-z0-9._@+-]+)+$/,
  "an absolute path of letters, digits and ._@+-",
);

/** A block device by its path; names below /dev/disk/by-path have colons. */
export const devicePath = text(
  /^\/dev(\/(?!\.\.?(\/|$))[A-Za-z0-9._@+:-]+)+$/,
  "the path of a block device below /dev, of letters, digits and ._@+:-",
);

/** File name, volume name or domain name. */
export const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    "must start with a letter or digit, then letters, digits, '.', '_' or '-'; at most 100",
  );

/** A `Kind.check` that validates with a schema: all failures at once, each with its path and what was found. */
export function checkWith<I extends object>(
  schema: z.ZodType<I>,
  also: (inputs: I) => readonly CheckFailure[] = () => [],
): (inputs: Record<string, unknown>) => { inputs: I; failures: readonly CheckFailure[] } {
  return (inputs) => {
    const result = schema.safeParse(inputs);
    if (result.success) return { inputs: result.data, failures: also(result.data) };
    const failures = result.error.issues.map((issue) => ({
      property: propertyPath(issue.path),
      reason: `${issue.message}${found(inputs, issue)}`,
    }));
    return { inputs: inputs as I, failures };
  };
}

function propertyPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}

/** Short plain values are shown; long ones and anything that may hold a secret are not. */
function found(inputs: unknown, issue: z.core.$ZodIssue): string {
  let value = inputs;
  for (const part of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[part];
  if (value === undefined && issue.code !== "unrecognized_keys") return "; it is missing";
  if (typeof value === "number" || typeof value === "boolean") return `, found ${value}`;
  if (typeof value === "string" && value.length <= 40 && /^[\x20-\x7e]*$/.test(value))
    return `, found ${JSON.stringify(value)}`;
  return "";
}
