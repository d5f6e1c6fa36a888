import { z } from "zod";
import { fail, keyOf, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import type { Path } from "../problems";
import { checkNamespaced, named } from "./namespaced";

/** `gateways.<gateway>`: one server of the ingress gateway's pods. */
export const entry = z.strictObject({
  ...named,
  hosts: z.array(z.string().min(1)).min(1).meta({ description: "hosts that it answers for" }).default(["*"]),
  port: field.port("port of the gateway").meta({ absent: "`443`; `80` for HTTP" }).optional(),
  protocol: z.enum(["HTTP", "HTTPS"]).default("HTTPS"),
  tlsSecret: field.text("name of the TLS secret; HTTPS needs it").optional(),
  selector: field.labels.meta({ description: "labels of the gateway's pods" }).default({ istio: "ingressgateway" }),
});

type GatewayEntry = Immutable<z.output<typeof entry>>;

export interface GatewaySpec extends GatewayEntry {
  readonly name: string;
  readonly port: number;
}

export function complete(key: string, given: GatewayEntry): GatewaySpec {
  return { ...given, name: given.name ?? key, port: given.port ?? (given.protocol === "HTTPS" ? 443 : 80) };
}

export function check(draft: Draft, raw: Readonly<Record<string, unknown>>, findings: Findings): void {
  for (const gateway of draft.gateways)
    checkAlone(gateway, ["gateways", keyOf(raw, "gateways", gateway.name)], findings);
  checkNamespaced("gateways", draft, raw, findings);
}

/** What one gateway by itself can't be. */
export function checkAlone({ protocol, tlsSecret }: GatewaySpec, at: Path, findings: Findings): void {
  if (protocol === "HTTPS" && tlsSecret === undefined) {
    const message = "missing: HTTPS needs the name of a secret with certificate and key";
    fail(findings, [...at, "tlsSecret"], undefined, message);
  }
  if (protocol === "HTTP" && tlsSecret !== undefined) {
    const message = "plain HTTP takes no certificate: write protocol HTTPS, or remove it";
    fail(findings, [...at, "tlsSecret"], tlsSecret, message);
  }
}
