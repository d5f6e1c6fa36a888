export interface Range {
  readonly first: number;
  readonly last: number;
  readonly prefix: number;
}

/** "10.20.0.0/24", or an address alone; undefined: neither. Host bits are left out. */
export function parseCidr(text: string): Range | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text);
  if (!match) return undefined;
  const octets = match.slice(1, 5).map(Number);
  const prefix = Number(match[5] ?? 32);
  if (octets.some((octet) => octet > 255) || prefix > 32) return undefined;
  const size = 2 ** (32 - prefix);
  const first = Math.floor(octets.reduce((sum, octet) => sum * 256 + octet, 0) / size) * size;
  return { first, last: first + size - 1, prefix };
}

export function overlaps(a: Range, b: Range): boolean {
  return a.first <= b.last && b.first <= a.last;
}

export function contains(range: Range, address: string): boolean {
  const one = parseCidr(address);
  return one !== undefined && overlaps(range, one);
}
