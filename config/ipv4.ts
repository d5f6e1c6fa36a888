/** IPv4 addresses as numbers, for the checks of networks and addresses in the stack file. */

export interface Cidr {
  readonly text: string;
  readonly first: number;
  readonly last: number;
  readonly prefix: number;
}

/** Address → number from 0 to 2^32-1; undefined when it is none. Octets are decimal, without leading zeros. */
export function ipv4(text: string): number | undefined {
  const octets = text.split(".");
  if (octets.length !== 4 || !octets.every((octet) => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255)) {
    return undefined;
  }
  return octets.reduce((number, octet) => number * 256 + Number(octet), 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** "10.0.10.0/24"; throws with what to write when it is no network. */
export function parseCidr(text: string): Cidr {
  const match = /^([\d.]+)\/(\d{1,2})$/.exec(text.trim());
  const address = match ? ipv4(match[1]!) : undefined;
  const prefix = Number(match?.[2]);
  if (address === undefined || prefix > 32) throw new Error("write an IPv4 network, such as 10.0.10.0/24");
  const size = 2 ** (32 - prefix);
  const first = Math.floor(address / size) * size;
  if (first !== address) throw new Error(`the network of this address is ${formatIpv4(first)}/${prefix}: write that`);
  return { text: text.trim(), first, last: first + size - 1, prefix };
}

export function contains(cidr: Cidr, address: string): boolean {
  const number = ipv4(address);
  return number !== undefined && number >= cidr.first && number <= cidr.last;
}

export function overlap(a: Cidr, b: Cidr): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** "10.0.10.11-10.0.10.16" or one address → every address in order. */
export function expandAddresses(text: string): readonly string[] {
  const [from, to, ...rest] = text.split("-").map((part) => part.trim());
  const first = ipv4(from ?? "");
  const last = to === undefined ? first : ipv4(to);
  if (first === undefined || last === undefined || rest.length > 0) {
    throw new Error("write an IPv4 address or a range, such as 10.0.10.11-10.0.10.16");
  }
  if (last < first) throw new Error("the range runs backwards: write the lower address first");
  if (last - first >= 65_536) throw new Error("the range holds more than 65536 addresses: write the real one");
  return Array.from({ length: last - first + 1 }, (_, i) => formatIpv4(first + i));
}
