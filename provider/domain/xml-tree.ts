import { DOMParser } from "@xmldom/xmldom";
import type { Element } from "@xmldom/xmldom";
import { UserError } from "../core/kind";

/** Bytes of one unit of libvirt's memory elements. */
const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KB: 1000,
  k: 1024,
  KiB: 1024,
  MB: 1e6,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  GB: 1e9,
  G: 1024 ** 3,
  GiB: 1024 ** 3,
  TB: 1e12,
  T: 1024 ** 4,
  TiB: 1024 ** 4,
};

export function parseXml(xml: string): Element {
  return new DOMParser({
    onError: (level, message) => {
      if (level !== "warning") throw new UserError(`libvirt's XML can't be read: ${message}`);
    },
  }).parseFromString(xml, "text/xml").documentElement as Element;
}

/** `size` in a `unit`, KiB where none is given. */
export function bytesOf(size: string, unit: string | null | undefined): number {
  return Number(size) * (UNITS[unit ?? "KiB"] ?? 1024);
}

/** Trimmed; "" of an element that is not there. */
export function textOf(element: Element | undefined): string {
  return (element?.textContent ?? "").trim();
}

export function children(parent: Element | undefined, name?: string): Element[] {
  const elements = Array.from(parent?.childNodes ?? []).filter((node) => node.nodeType === node.ELEMENT_NODE);
  return elements.filter((node) => name === undefined || node.nodeName === name) as Element[];
}

export function child(parent: Element | undefined, name: string): Element | undefined {
  return children(parent, name)[0];
}
