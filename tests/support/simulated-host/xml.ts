import { DOMParser, XMLSerializer } from "@xmldom/xmldom";
import type { Element } from "@xmldom/xmldom";
import { VirshError } from "./errors";

export function parse(xml: string): Element {
  return new DOMParser().parseFromString(xml, "text/xml").documentElement as Element;
}

export function serialize(root: Element): string {
  return new XMLSerializer().serializeToString(root);
}

export function elements(root: Element, name: string): Element[] {
  return Array.from(root.getElementsByTagName(name));
}

export function text(root: Element, name: string): string {
  return (elements(root, name)[0]?.textContent ?? "").trim();
}

export function append(parent: Element, name: string, content = ""): Element {
  const document = parent.ownerDocument;
  if (!document) throw new VirshError("XML error: no document");
  const element = document.createElement(name);
  if (content !== "") element.appendChild(document.createTextNode(content));
  parent.appendChild(element);
  return element;
}
