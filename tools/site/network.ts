import * as fs from "node:fs";
import * as os from "node:os";
import { siteDir } from "./paths";
import { run } from "./run";
import { type SiteNetwork, SiteError } from "./types";

/** A /24 for the site. */
export interface Subnet {
  /** "10.89.4". */
  readonly prefix: string;
  /**
   * Interface of this computer into it: "kvmesh4", of the same number. The kernel gives a name only once, so that two sites that
   * come up at the same time never get the same network.
   */
  readonly device: string;
}

const CANDIDATES: readonly Subnet[] = Array.from({ length: 100 }, (_, i) => ({
  prefix: `10.89.${i}`,
  device: `kvmesh${i}`,
}));

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

/** The first candidate that no used range overlaps and whose device name is free; undefined when all are taken. */
export function freeSubnet(used: readonly string[], devices: readonly string[]): Subnet | undefined {
  const ranges = used.map(parseRange);
  return CANDIDATES.find(({ prefix, device }) => {
    const wanted = parseRange(`${prefix}.0/24`);
    return !devices.includes(device) && ranges.every((range) => range.last < wanted.first || range.first > wanted.last);
  });
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

/** Puts the site's mark on an interface of this computer: only what carries it is ever removed. */
export async function markLink(device: string): Promise<void> {
  await ip(["link", "set", "dev", device, "alias", mark()]);
}

/** Whether an interface is there and is this site's. */
export function linkIsOurs(device: string): boolean {
  try {
    return fs.readFileSync(`/sys/class/net/${device}/ifalias`, "utf8").trim() === mark();
  } catch {
    return false;
  }
}

/** The kernel's limit for an alias is 255 bytes. */
const mark = (): string => `kvmesh ${siteDir()}`.slice(0, 250);

/** Removes an interface if it is this site's. */
export async function removeLink(device: string): Promise<void> {
  // It goes by itself when its other end's namespace does, which may be right now.
  if (linkIsOurs(device)) await run("ip", ["link", "delete", device], { allowFailure: true });
}
