import { z } from "zod";
import { expandAddresses, ipv4, parseCidr } from "./ipv4";
import { parseAuthorizedKey, parseHostKey } from "./keys";
import { parseAge, parseBytes, parseCpuSet, parseDuration, parsePercent } from "./units";

/** The values that stack files are made of. Descriptions here become the editors' hints (config/schema.json) and the tables of docs/configuration.md. */

/** Text that `parse` reads; the Error that it throws says what to write instead. */
export function parsed<T>(parse: (text: string) => T, description: string, examples: readonly string[]) {
  return z
    .string()
    .meta({ description, examples: [...examples] })
    .transform((text, ctx) => attempt(() => parse(text), ctx, text));
}

function attempt<T>(parse: () => T, ctx: z.core.$RefinementCtx, input: unknown): T {
  try {
    return parse();
  } catch (error) {
    ctx.issues.push({ code: "custom", message: error instanceof Error ? error.message : String(error), input });
    return z.NEVER;
  }
}

/** Text that must match; `message` says what to write. */
function matching(pattern: RegExp, message: string, description: string) {
  return z.string().regex(pattern, message).meta({ description });
}

export const text = (description: string) => z.string().min(1).meta({ description });

/** Every name becomes part of a Kubernetes node's, a libvirt domain's or an object's name. */
export const dnsLabel = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  "a name has lower-case letters, digits and hyphens, begins and ends with a letter or digit, and at most 63 of them",
  "DNS label",
);

export const exactVersion = (description: string) =>
  matching(/^\d+\.\d+\.\d+$/, 'give an exact version without "v", such as 1.34.2', description);

export const bytes = (description: string) => parsed(parseBytes, description, ["16GiB", "512MiB"]);
export const duration = (description: string) => parsed(parseDuration, description, ["90s", "5m"]);
export const age = (description: string) => parsed(parseAge, description, ["30d", "12h"]);
export const cpuList = (description: string) => parsed(parseCpuSet, description, ["0,64", "0-3,8", "none"]);
export const cidr = (description: string) => parsed((value) => parseCidr(value).text, description, ["10.0.10.0/24"]);
export const hostKey = parsed(
  parseHostKey,
  "the server's public key as `ssh-keyscan` prints it, without the host; compare it on the host's console first",
  ["ssh-ed25519 AAAAC3Nz…"],
);
export const authorizedKey = parsed(parseAuthorizedKey, "a public key that may log in to carved machines", [
  "ssh-ed25519 AAAAC3Nz… ops@example",
]);

export const address = parsed(
  (value) => {
    if (ipv4(value) === undefined) throw new Error("give an IPv4 address, such as 10.0.10.11");
    return value;
  },
  "IPv4 address",
  ["10.0.10.11"],
);

/** Ranges and single addresses, expanded to a flat list. */
export const addresses = z
  .union([z.string(), z.array(z.string())])
  .meta({
    description: "IPv4 addresses: a range, or a list of ranges and addresses",
    examples: ["10.0.10.11-10.0.10.16"],
  })
  .transform((value, ctx) => attempt(() => [value].flat().flatMap(expandAddresses), ctx, value));

export const percent = (description: string) =>
  z
    .union([z.number(), z.string()])
    .meta({ description: `${description} (whole percent)`, examples: [90, "90%"] })
    .transform((value, ctx) => attempt(() => parsePercent(value), ctx, value));

export const port = (description: string) => z.int().min(1).max(65_535).meta({ description });
export const count = (description: string, min: number, max: number) => z.int().min(min).max(max).meta({ description });
export const flag = (description: string) => z.boolean().meta({ description });

export const digest = matching(
  /^sha256:[0-9a-f]{64}$/,
  'give "sha256:" and the 64 hexadecimal digits that `sha256sum` prints',
  "`sha256:` and 64 hexadecimal digits, of the file as it is downloaded",
);

export const absolutePath = (description: string) =>
  matching(/^\/[\w./-]*$/, "give an absolute path without spaces", description);

/** A relative one would be looked for in a folder of its own by each program that reads it. */
export const ownFile = (description: string) =>
  matching(/^~?\//, "give an absolute path, or one that begins with ~/", description);

export const lvmName = (description: string) =>
  matching(
    /^(?!\.\.?$)[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,99}$/,
    "a name of LVM has letters, digits, _, +, . and -, and no - at its start",
    description,
  );

export const country = matching(
  /^[A-Z]{2}$/,
  'give the two-letter country code in upper case, quoted because YAML 1.1 reads NO as false: "NO"',
  "ISO 3166-1 alpha-2",
);

export const pullPolicy = z.enum(["IfNotPresent", "Never", "Always"]);

/** A Kubernetes quantity: 100m, 2, 128Mi, 2048Mi. */
export const quantity = matching(
  /^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/,
  "give a Kubernetes quantity, such as 100m or 128Mi",
  "Kubernetes quantity",
);

export const labels = z.record(
  z.string().regex(/^([a-z0-9.-]+\/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/, "this is no Kubernetes label key"),
  z.string().regex(/^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/, "this is no Kubernetes label value"),
);

/** Fields that are handed on as they are; what they mean is the receiver's. */
export const passthrough = (description: string) => z.record(z.string(), z.unknown()).meta({ description });
