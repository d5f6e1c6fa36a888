import { DOMImplementation, XMLSerializer } from "@xmldom/xmldom";
import type { Element } from "@xmldom/xmldom";
import { child, children, parseXml, textOf } from "../domain/xml-tree";
import type { Mark } from "../libvirt/mark";
import { parseCidr } from "./ipv4";
import type { NetworkInputs } from "./schema";

/** Namespace of our mark in a network's metadata. */
const MARK_NS = "urn:kvmesh:network:1";

/** A NAT network without DHCP: each machine's address is in its cloud-init. */
export function networkXml(network: NetworkInputs, uuid: string, mark: Mark): string {
  const document = new DOMImplementation().createDocument(null, "network");
  const root = document.documentElement as Element;
  const add = (parent: Element, name: string, attributes: Readonly<Record<string, string>> = {}, text?: string) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.appendChild(document.createTextNode(text));
    parent.appendChild(element);
    return element;
  };
  add(root, "name", {}, network.name);
  add(root, "uuid", {}, uuid);
  const marked = document.createElementNS(MARK_NS, "kvmesh:network");
  for (const [key, value] of Object.entries(mark)) marked.setAttribute(key, value as string);
  add(root, "metadata").appendChild(marked);
  add(root, "forward", { mode: "nat" });
  add(root, "bridge", { name: network.bridge, stp: "on", delay: "0" });
  add(root, "dns", { enable: network.dns ? "yes" : "no" });
  add(root, "ip", { address: network.address, prefix: String(parseCidr(network.cidr)?.prefix ?? 24) });
  return new XMLSerializer().serializeToString(document);
}

/** What a network's definition says of the things that we set. */
export interface SeenXml {
  readonly uuid: string;
  readonly name: string;
  readonly mark: Mark | undefined;
  readonly bridge: string;
  /** "10.20.0.1/24"; "" without an IPv4 address. */
  readonly address: string;
  readonly prefix: number;
  readonly dns: boolean;
  /** In words: what a NAT network of ours has not. */
  readonly foreign: readonly string[];
}

export function parseNetworkXml(xml: string): SeenXml {
  const root = parseXml(xml);
  const mark = root.getElementsByTagNameNS(MARK_NS, "network").item(0);
  const of = (name: keyof Mark): string => mark?.getAttribute(name) ?? "";
  const ips = children(root, "ip").filter((ip) => (ip.getAttribute("family") ?? "ipv4") === "ipv4");
  const [ip] = ips;
  const mode = child(root, "forward")?.getAttribute("mode") ?? "none";
  return {
    uuid: textOf(child(root, "uuid")),
    name: textOf(child(root, "name")),
    mark: mark
      ? {
          project: of("project"),
          stack: of("stack"),
          cluster: of("cluster"),
          environment: of("environment"),
          urn: of("urn"),
        }
      : undefined,
    bridge: child(root, "bridge")?.getAttribute("name") ?? "",
    address: ip?.getAttribute("address") ?? "",
    prefix: prefixOf(ip),
    dns: child(root, "dns")?.getAttribute("enable") !== "no",
    foreign: [
      ...(mode === "nat" ? [] : [`its forward mode is ${mode}`]),
      ...(ips.length > 1 ? ["it has further addresses"] : []),
      ...(child(ip, "dhcp") ? ["it gives addresses by DHCP"] : []),
    ],
  };
}

/** Libvirt keeps whichever of `prefix` and `netmask` it was given. */
function prefixOf(ip: Element | undefined): number {
  const prefix = ip?.getAttribute("prefix");
  if (prefix) return Number(prefix);
  const mask = parseCidr(ip?.getAttribute("netmask") ?? "");
  return mask ? 32 - Math.log2(2 ** 32 - mask.first) : 0;
}
