import { randomUUID } from "node:crypto";
import { changesOf, hostEffect } from "../core/diff";
import { UserError } from "../core/kind";
import type { Change, Context, Kind } from "../core/kind";
import { without } from "../core/values";
import { isOurs, markOf, refusal } from "../libvirt/mark";
import { onHost, sectionsOf } from "../libvirt/script";
import { where } from "../transport/errors";
import { overlaps, parseCidr } from "./ipv4";
import { checkNetwork, networkArgs } from "./schema";
import type { NetworkInputs, NetworkOutputs } from "./schema";
import { applyScript, inspectScript, removeScript } from "./scripts";
import { networkXml, parseNetworkXml } from "./xml";
import type { SeenXml } from "./xml";

interface SeenNetwork {
  readonly xml: SeenXml;
  readonly active: boolean;
  readonly autostart: boolean;
}

/** A NAT network on one host that this stack made; one without its mark is never changed or removed. */
export const networkKind: Kind<NetworkInputs, NetworkOutputs> = {
  token: "kvmesh:index:Network",
  args: networkArgs,
  outputs: { uuid: "stable", active: "volatile", changed: "volatile" },
  // It holds its name, its bridge and its addresses.
  deleteBeforeReplace: true,
  check: checkNetwork,
  diff: diffNetwork,

  async create(ctx, inputs) {
    const { seen, taken } = await look(ctx, inputs);
    if (seen) {
      const refused = refusal(`network ${inputs.name}`, seen.xml.mark, markOf(inputs.owner, ctx.urn));
      if (refused) throw new UserError(`${where(inputs.host)}: ${refused}`);
    } else if (taken.length > 0) {
      throw new UserError(
        `${where(inputs.host)}: network ${inputs.name}: ${taken.join("; ")}. Choose another range or bridge; nothing was made`,
      );
    }
    const uuid = seen?.xml.uuid ?? randomUUID();
    await apply(ctx, inputs, uuid, seen === undefined);
    return { id: uuid, outputs: { uuid, active: true, changed: [] } };
  },

  async read(ctx, id, known) {
    if (!known)
      throw new UserError(
        "a network can't be imported: name it in the stack file as `type: network`, and it is used as it is",
      );
    const { seen } = await look(ctx, known);
    if (!seen) return undefined;
    if (seen.xml.uuid !== id || !isOurs(seen.xml.mark, known.owner)) {
      ctx.warn(`${where(known.host)}: network ${known.name} is there, but not ours any more`);
      return undefined;
    }
    return {
      inputs: without(known, "uuid", "active", "changed"),
      outputs: { uuid: id, active: seen.active, changed: changedBy(known, seen) },
    };
  },

  async update(ctx, id, olds, news) {
    const { seen } = await look(ctx, news);
    if (!seen) throw new UserError(`${where(news.host)}: network ${news.name} is gone: run \`pulumi refresh\``);
    if (seen.xml.uuid !== id || !isOurs(seen.xml.mark, olds.owner))
      throw new UserError(`${where(news.host)}: network ${news.name} is not ours any more; it is left untouched`);
    await apply(ctx, news, id, false);
    if (seen.active && changedBy(news, { ...seen, autostart: true }).length > 0)
      ctx.warn(
        `network ${news.name} is defined anew; a running one changes when it is stopped and started, which cuts its machines off`,
      );
    return { uuid: id, active: true, changed: [] };
  },

  async delete(ctx, id, state) {
    const { seen } = await look(ctx, state);
    if (!seen) return;
    if (seen.xml.uuid !== id || !isOurs(seen.xml.mark, state.owner)) {
      ctx.warn(`${where(state.host)}: network ${state.name} is not ours any more; it is left untouched`);
      return;
    }
    await onHost(ctx, state.host, `removing network ${state.name}`, removeScript(state.name, id));
  },
};

/** What is other than declared, in words: an input that drifted would look like one that needs a replacement. */
function changedBy({ bridge, address, cidr, dns }: NetworkInputs, { xml, autostart }: SeenNetwork): string[] {
  const prefix = parseCidr(cidr)?.prefix;
  return [
    ...(xml.bridge === bridge ? [] : [`its bridge is ${xml.bridge}`]),
    ...(xml.address === address && xml.prefix === prefix ? [] : [`its address is ${xml.address}/${xml.prefix}`]),
    ...(xml.dns === dns ? [] : [`its DNS is ${xml.dns ? "on" : "off"}`]),
    ...xml.foreign,
    ...(autostart ? [] : ["it does not start with the host"]),
  ];
}

function diffNetwork(olds: NetworkInputs & NetworkOutputs, news: NetworkInputs): Change[] {
  const range = {
    effect: "replace",
    reason: "its machines have their addresses in it, and keep it from being removed",
  } as const;
  const changes = changesOf<NetworkInputs>(olds, news, {
    host: hostEffect(olds, news),
    owner: { effect: "live", reason: "the mark in the network's metadata is written anew" },
    name: range,
    bridge: range,
    cidr: range,
    address: range,
    dns: { effect: "live", reason: "defined anew; it takes effect when the network is stopped and started" },
  });
  // Seen by refresh.
  if (!olds.active) changes.push({ property: "active", effect: "live", reason: "it is off and is started" });
  if (olds.changed.length > 0)
    changes.push({ property: "changed", effect: "live", reason: `defined anew, because ${olds.changed.join(", ")}` });
  return changes;
}

async function apply(ctx: Context, inputs: NetworkInputs, uuid: string, fresh: boolean): Promise<void> {
  const xml = networkXml(inputs, uuid, markOf(inputs.owner, ctx.urn));
  await onHost(ctx, inputs.host, `network ${inputs.name}`, applyScript(inputs, xml, fresh));
}

/** The network, if it is there, and what on the host is in its way if it is not. */
async function look(
  ctx: Context,
  inputs: NetworkInputs,
): Promise<{ readonly seen: SeenNetwork | undefined; readonly taken: readonly string[] }> {
  const script = (nonce: string): string => inspectScript(inputs.name, nonce);
  const sections = await sectionsOf(ctx, inputs.host, `looking at network ${inputs.name}`, script);
  const xml = sections.get("xml");
  const info = sections.get("info") ?? "";
  const says = (what: string): boolean => new RegExp(`^${what}: *yes`, "m").test(info);
  return {
    seen:
      xml === undefined
        ? undefined
        : { xml: parseNetworkXml(xml), active: says("Active"), autostart: says("Autostart") },
    taken: taken(inputs, sections),
  };
}

/** Bridges, addresses, routes and networks of the host that the new network would collide with, in words. */
function taken({ bridge, cidr }: NetworkInputs, sections: ReadonlyMap<string, string>): string[] {
  const wanted = parseCidr(cidr);
  if (!wanted) return [];
  const lines = (name: string): string[] => (sections.get(name) ?? "").split("\n").filter(Boolean);
  const collides = (text: string): boolean => {
    const range = parseCidr(text);
    return range !== undefined && overlaps(range, wanted);
  };
  const found = new Set<string>();
  for (const line of lines("addresses")) {
    const [device = "", address = ""] = line.split(" ");
    if (device === bridge) found.add(`the host has an interface ${bridge} already`);
    else if (collides(address)) found.add(`${cidr} overlaps ${address} of its interface ${device}`);
  }
  for (const line of lines("routes")) {
    const [device = "", range = ""] = line.split(" ");
    if (range !== "default" && device !== bridge && collides(range))
      found.add(`${cidr} overlaps its route to ${range}${device === "" ? "" : ` by ${device}`}`);
  }
  for (const [name, xml] of sections) {
    if (!name.startsWith("other ")) continue;
    const other = parseNetworkXml(xml);
    const what = `its network ${name.slice("other ".length)}`;
    if (other.bridge === bridge) found.add(`${what} has the bridge ${bridge}`);
    const range = `${other.address}/${other.prefix}`;
    if (other.address !== "" && collides(range)) found.add(`${cidr} overlaps ${range} of ${what}`);
  }
  return [...found];
}
