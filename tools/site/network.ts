import * as os from "node:os";
import { run } from "./run";
import { type SiteNetwork, SiteError } from "./types";

/** A /24 for the site, and names that nothing on this computer has. */
export interface Subnet {
  /** "10.89.0". */
  readonly prefix: string;
  /** Interface of this computer into it. */
  readonly device: string;
}

const CANDIDATES = Array.from({ length: 100 }, (_, i) => `10.89.${i}`);

/** One IPv4 route or address as numbers. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/** "10.89.0.0/24", "10.89.0.5" → first and last address. */
export function parseRange(cidr: string): Range {
  const [address, bits = "32"] = cidr.split("/");
  const value = address!.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1 };
}

/** The first candidate that no used range overlaps, and the first free device name; undefined when all are taken. */
export function freeSubnet(used: readonly string[], devices: readonly string[]): Subnet | undefined {
  const ranges = used.map(parseRange);
  const prefix = CANDIDATES.find((candidate) => {
    const wanted = parseRange(`${candidate}.0/24`);
    return ranges.every((range) => range.last < wanted.first || range.first > wanted.last);
  });
  const device = CANDIDATES.map((_, i) => `kvmesh${i}`).find((name) => !devices.includes(name));
  return prefix !== undefined && device !== undefined ? { prefix, device } : undefined;
}

/** Finds a subnet that this computer neither has an address in nor a route to (the default route aside). */
export async function chooseSubnet(): Promise<Subnet> {
  const { stdout } = await run("ip", ["-json", "-4", "route", "show", "table", "all"]);
  const routes = JSON.parse(stdout || "[]") as { readonly dst: string; readonly type?: string }[];
  const used = routes
    .map((route) => route.dst)
    .filter((dst) => /^\d+\.\d+\.\d+\.\d+(\/\d+)?$/.test(dst) && dst !== "0.0.0.0/0");
  const links = JSON.parse((await run("ip", ["-json", "link", "show"])).stdout || "[]") as {
    readonly ifname: string;
  }[];
  const subnet = freeSubnet(used, [...links.map((link) => link.ifname), ...Object.keys(os.networkInterfaces())]);
  if (!subnet)
    throw new SiteError(
      "every network from 10.89.0.0/24 to 10.89.99.0/24 is in use on this computer; the site needs one of them",
    );
  return subnet;
}

/** The addresses of a site in its subnet: .1 the host, .2 the existing machine, .21 and up carved ones, .254 this computer. */
export const hostAddress = (subnet: Subnet): string => `${subnet.prefix}.1`;
export const machineAddress = (subnet: Subnet): string => `${subnet.prefix}.2`;
export const ownAddress = (subnet: Subnet): string => `${subnet.prefix}.254`;

export function siteNetwork(subnet: Subnet, bridge: string): SiteNetwork {
  return {
    bridge,
    cidr: `${subnet.prefix}.0/24`,
    gateway: hostAddress(subnet),
    nameservers: [hostAddress(subnet)],
    firstWorkerAddress: `${subnet.prefix}.21`,
  };
}

/** `ip` with one command, in the network namespace of a process or in our own. */
export async function ip(args: readonly string[], netnsOf?: number): Promise<void> {
  if (netnsOf === undefined) await run("ip", args);
  else await run("nsenter", ["--target", String(netnsOf), "--net", "ip", ...args]);
}
