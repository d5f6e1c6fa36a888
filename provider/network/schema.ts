import { z } from "zod";
import { checkWith, endpoint, name, owner } from "../core/check";
import { UNKNOWN } from "../core/kind";
import type { CheckFailure } from "../core/kind";
import { contains, parseCidr } from "./ipv4";

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

export const networkArgs = z.strictObject({
  host: endpoint,
  owner,
  name,
  /** A bridge that libvirt makes: the kernel's names have 15 characters. */
  bridge: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/, "must be the name of an interface"),
  cidr: z.string().refine((text) => parseCidr(text) !== undefined, "must be an IPv4 network, 10.20.0.0/24"),
  address: z.string().regex(ipv4, "must be an IPv4 address"),
  dns: z.boolean().default(false),
});

export type NetworkInputs = z.infer<typeof networkArgs>;

export interface NetworkOutputs {
  readonly uuid: string;
  /** False is drift: `up` starts it. */
  readonly active: boolean;
  /** What somebody else changed, in words; `up` writes the definition anew. */
  readonly changed: readonly string[];
}

export const checkNetwork = checkWith(networkArgs, ({ cidr, address }) => {
  const failures: CheckFailure[] = [];
  const range = parseCidr(cidr);
  if (range && cidr !== UNKNOWN && !contains(range, address))
    failures.push({ property: "address", reason: `${address} is not in ${cidr}` });
  return failures;
});
