import { DOMParser } from "@xmldom/xmldom";
import type { Element } from "@xmldom/xmldom";
import type { ForeignMachine } from "../../config/facts";
import { MARK_NS } from "../../provider/domain/xml";
import { parseCpus } from "../../provider/libvirt/cpulist";

export interface HostCpus {
  /** Every online CPU of the host. */
  readonly cpus: readonly number[];
  /** Size of a hugepage where a definition asks for hugepages and names none. */
  readonly defaultHugepageBytes: number;
}

const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  k: 1024,
  KiB: 1024,
  KB: 1000,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  MB: 1000 ** 2,
  G: 1024 ** 3,
  GiB: 1024 ** 3,
  GB: 1000 ** 3,
  T: 1024 ** 4,
  TiB: 1024 ** 4,
  TB: 1000 ** 4,
};

/**
 * A domain as the ledger must know it, from its XML; undefined: it has kvmesh's mark, whichever stack's, and its cores are
 * leased on the host. A vCPU without a pin, or with one on every CPU of the host, floats.
 */
export function foreignFrom(xml: string, host: HostCpus): ForeignMachine | undefined {
  const root = new DOMParser({
    // Warnings of a machine that is none of ours are of no use to anyone; what can't be read at all throws.
    onError: (level, message) => {
      if (level !== "warning") throw new Error(message);
    },
  }).parseFromString(xml, "text/xml").documentElement as Element;
  if (root.getElementsByTagNameNS(MARK_NS, "machine").length > 0) return undefined;
  const vcpu = child(root, "vcpu");
  const vcpus = Number(textOf(vcpu)) || 1;
  const everywhere = vcpu?.getAttribute("cpuset") ?? undefined;
  const tune = child(root, "cputune");
  const pins = new Map(
    children(tune, "vcpupin").map((pin) => [Number(pin.getAttribute("vcpu")), pin.getAttribute("cpuset") ?? ""]),
  );
  const cpus = new Set<number>();
  let floating = 0;
  for (let i = 0; i < vcpus; i++) {
    const list = pins.get(i) ?? everywhere;
    const pinned = list === undefined ? [] : parseCpus(list).filter((cpu) => host.cpus.includes(cpu));
    if (pinned.length === 0 || pinned.length === host.cpus.length) floating += 1;
    else for (const cpu of pinned) cpus.add(cpu);
  }
  const hugepages = child(child(root, "memoryBacking"), "hugepages");
  const page = child(hugepages, "page");
  const nodeset = child(child(root, "numatune"), "memory")?.getAttribute("nodeset") ?? "";
  return {
    name: textOf(child(root, "name")),
    uuid: textOf(child(root, "uuid")),
    vcpus,
    cpus: [...cpus].sort((a, b) => a - b),
    floating,
    memoryBytes: Number(textOf(child(root, "memory"))) * unitOf(child(root, "memory"), "unit"),
    nodes: parseCpus(nodeset),
    ...(hugepages
      ? { hugepageBytes: page ? Number(page.getAttribute("size")) * unitOf(page, "unit") : host.defaultHugepageBytes }
      : {}),
  };
}

function unitOf(element: Element | undefined, attribute: string): number {
  return UNITS[element?.getAttribute(attribute) ?? "KiB"] ?? 1024;
}

function textOf(element: Element | undefined): string {
  return (element?.textContent ?? "").trim();
}

function children(parent: Element | undefined, name: string): Element[] {
  return Array.from(parent?.childNodes ?? []).filter((node) => node.nodeName === name) as Element[];
}

function child(parent: Element | undefined, name: string): Element | undefined {
  return children(parent, name)[0];
}
