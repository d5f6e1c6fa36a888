import { z } from "zod";
import { versionData } from "../../rules/versions";
import { fail, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { contains, parseCidr } from "../ipv4";
import type { Milliseconds } from "../units";

const vip = z.strictObject({
  address: field.address.meta({
    description: "free address in the control planes' network, which kube-vip keeps there",
  }),
  port: z.int().min(1).max(65_535).meta({ description: "of every API server" }).default(6443),
  interface: field
    .text("interface of the control planes that gets the address")
    .meta({ absent: "the one of the default route" })
    .optional(),
  image: field
    .text("kube-vip's image, with an exact tag or a digest")
    .regex(/^[A-Za-z0-9][\w./:@-]*(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$/, "give an exact tag or a digest")
    .default(`ghcr.io/kube-vip/kube-vip:v${versionData.run.kubeVip}`),
  lease: field
    .duration("until another control plane takes the address of a dead one")
    .refine((value) => value >= 5000 && value <= 60_000 && value % 1000 === 0, "give whole seconds from 5s to 60s")
    .prefault("15s"),
});

/** `kubernetes.endpoint`: where every node and kubeconfig reach the API. */
export const schema = z.union([
  field.parsed(
    parseHostPort,
    "`host` or `host:port` that every node and kubeconfig use, kept by a load balancer or the only control plane; or `vip`",
    ["10.0.10.10:6443"],
  ),
  z.strictObject({ vip }),
]);

type Given = Immutable<z.output<typeof schema>>;

export interface ApiEndpointSpec {
  readonly host: string;
  readonly port: number;
  /** kube-vip keeps the address on one of the control planes; absent: somebody else keeps it. */
  readonly vip?: VipSpec;
}

export interface VipSpec {
  /** Default: the one of the default route. */
  readonly interface?: string;
  readonly image: string;
  /** Until another control plane takes the address of a dead one; whole seconds. */
  readonly lease: Milliseconds;
}

export function complete(given: Given): ApiEndpointSpec {
  if ("host" in given) return given;
  const { address, port, ...rest } = given.vip;
  return { host: address, port, vip: rest };
}

/** A virtual IP is announced by ARP: it must be in the control planes' own network, and nobody's. */
export function check(
  { pools, hosts, network }: Draft,
  { host: address, vip: virtual }: ApiEndpointSpec,
  findings: Findings,
): void {
  if (virtual === undefined) return;
  const path = ["kubernetes", "endpoint", "vip", "address"];
  const taken = (who: string): void => fail(findings, path, address, `${who} has this address: give a free one`);
  for (const pool of pools) {
    if (pool.source === "machines") {
      for (const { name, nodeAddress, endpoint } of pool.machines)
        if ([nodeAddress, endpoint.address].includes(address)) taken(`machine ${name}`);
    } else if (pool.addresses.includes(address)) taken(`pool ${pool.name}`);
  }
  for (const { name, endpoint } of hosts) if (endpoint.address === address) taken(`host ${name}`);
  if (network === undefined || !pools.some(({ role, source }) => role === "control-plane" && source === "hosts"))
    return;
  if (network.gateway === address) taken("the gateway");
  const cidr = parseCidr(network.cidr);
  if (!contains(cidr, address))
    fail(findings, path, address, `is outside the machines' network ${cidr.text} (network.cidr)`);
}

function parseHostPort(text: string): { host: string; port: number } {
  const match = /^([A-Za-z0-9.-]+)(?::(\d{1,5}))?$/.exec(text.trim());
  const port = Number(match?.[2] ?? 6443);
  if (!match || port < 1 || port > 65_535) throw new Error("give host or host:port, such as 10.0.10.10:6443");
  return { host: match[1]!, port };
}
