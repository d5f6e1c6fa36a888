import { z } from "zod";
import { fail, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { contains, formatIpv4, overlap, parseCidr } from "../ipv4";
import { problem, type Problem } from "../problems";
import type { CarvedPoolSpec } from "./pools";

const interfaceName = (description: string) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,15}$/, "a Linux interface name has 1 to 15 letters, digits, _, . and -")
    .meta({ description });

const given = z.strictObject({
  type: z
    .enum(["bridge", "network", "nat", "macvtap"])
    .meta({
      description:
        "a Linux bridge, a libvirt network that exists, a NAT network of ours, or an interface of the host: [machines.md](machines.md#networks)",
    })
    .default("bridge"),
  bridge: interfaceName(
    "Linux bridge on each host; of a NAT network: the one that is made, by default named like it",
  ).optional(),
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "a network's name has letters, digits, dot, underscore and hyphen")
    .meta({ description: "name of the libvirt network", absent: "the cluster's, for `nat`" })
    .optional(),
  device: interfaceName("macvtap: interface of each host").optional(),
  mode: z
    .enum(["bridge", "vepa", "private", "passthrough"])
    .meta({ description: "macvtap: how machines of one host see each other", absent: "`bridge`" })
    .optional(),
  cidr: field.cidr("the machines' network; it must not overlap the pods' and the services'"),
  gateway: field.address.meta({ description: "default route of the machines" }).optional(),
  nameservers: z.array(field.address).meta({ description: "resolvers of the machines" }).default([]),
  viaHost: field
    .flag(
      "machines are reached through their host's SSH server; `false`: directly, or through the host's bastion, so this machine has a route to them",
    )
    .meta({ absent: "`true`, for macvtap `false`" })
    .optional(),
});

/** `network`: what carved machines are on. */
export const schema = given.optional();

/** What a machine's interface is attached to on its host. `nat` is a libvirt network that we make, with its own bridge. */
export type NetworkAttachment =
  | { readonly type: "bridge"; readonly bridge: string }
  | { readonly type: "network"; readonly network: string }
  | { readonly type: "nat"; readonly network: string; readonly bridge: string }
  | {
      readonly type: "macvtap";
      readonly device: string;
      readonly mode: "bridge" | "vepa" | "private" | "passthrough";
    };

type Given = Immutable<z.output<typeof given>>;

export interface NetworkSpec extends Omit<Given, "type" | "bridge" | "name" | "device" | "mode" | "viaHost"> {
  readonly attach: NetworkAttachment;
  readonly viaHost: boolean;
}

/** Keys that belong to each type; the first ones must be given. */
const KEYS = {
  bridge: { needs: ["bridge"], may: [] },
  network: { needs: ["name"], may: [] },
  nat: { needs: [], may: ["name", "bridge"] },
  macvtap: { needs: ["device"], may: ["mode"] },
} as const;

export function complete(
  { type, bridge, name, device, mode, viaHost, ...rest }: Given,
  cluster: string,
  problems: Problem[],
): NetworkSpec | undefined {
  const keys: { readonly needs: readonly string[]; readonly may: readonly string[] } = KEYS[type];
  const before = problems.length;
  for (const [key, value] of Object.entries({ bridge, name, device, mode })) {
    if (value === undefined && keys.needs.includes(key))
      problems.push(problem(["network", key], undefined, `missing: a network of type ${type} needs it`));
    if (value !== undefined && !keys.needs.includes(key) && !keys.may.includes(key))
      problems.push(problem(["network", key], value, `a network of type ${type} has no such key: remove it`));
  }
  if (type === "macvtap" && viaHost === true) {
    const why =
      "a host does not see its own machines over macvtap: leave it out, and give this machine a route to them";
    problems.push(problem(["network", "viaHost"], viaHost, why));
  }
  if (problems.length > before) return undefined;
  const network = name ?? cluster;
  const common = { ...rest, viaHost: viaHost ?? type !== "macvtap" };
  switch (type) {
    case "bridge":
      return { ...common, attach: { type, bridge: bridge ?? "" } };
    case "network":
      return { ...common, attach: { type, network } };
    case "nat": {
      const { first } = parseCidr(rest.cidr);
      return {
        ...common,
        gateway: rest.gateway ?? formatIpv4(first + 1),
        attach: { type, network, bridge: bridge ?? network.slice(0, 15) },
      };
    }
    case "macvtap":
      return { ...common, attach: { type, device: device ?? "", mode: mode ?? "bridge" } };
  }
}

export function check({ network, kubernetes, pools }: Draft, findings: Findings): void {
  const networks = [
    { path: ["network", "cidr"], text: network?.cidr, what: "the machines'" },
    { path: ["kubernetes", "podCidr"], text: kubernetes?.podCidr, what: "the pods'" },
    { path: ["kubernetes", "serviceCidr"], text: kubernetes?.serviceCidr, what: "the services'" },
  ].flatMap(({ text, ...rest }) => (text === undefined ? [] : [{ ...rest, cidr: parseCidr(text) }]));
  networks.forEach((a, i) => {
    for (const b of networks.slice(0, i)) {
      if (overlap(a.cidr, b.cidr)) {
        fail(
          findings,
          a.path,
          a.cidr.text,
          `overlaps ${b.what} network ${b.cidr.text} (${b.path.join(".")}): choose one outside it`,
        );
      }
    }
  });
  if (network?.attach.type === "nat") {
    const carved = pools.filter((pool) => pool.source === "hosts" && pool.count > 0) as CarvedPoolSpec[];
    const hosts = [...new Set(carved.flatMap((pool) => pool.hosts))].sort();
    if (hosts.length > 1) {
      const why = `machines on ${hosts.join(", ")} would not reach each other, each host having a network of its own: use a bridge, or name one host in each pool's hosts`;
      fail(findings, ["network", "type"], "nat", why);
    }
  }
  if (network?.gateway !== undefined && !contains(parseCidr(network.cidr), network.gateway)) {
    fail(findings, ["network", "gateway"], network.gateway, `is outside the machines' network ${network.cidr}`);
  }
}
