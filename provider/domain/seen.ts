import { DOMParser } from "@xmldom/xmldom";
import type { Element } from "@xmldom/xmldom";
import { UserError } from "../core/kind";
import { parseCpus } from "../libvirt/cpulist";
import type { Mark } from "../libvirt/mark";
import { MARK_NS } from "./xml";

/** What a domain's XML says of the things that we set; everything else that libvirt adds is left out, so that trees compare. */
export interface SeenXml {
  readonly name: string;
  readonly uuid: string;
  readonly type: string;
  readonly vcpus: number;
  /** CPUs of each vCPU; none: not pinned. */
  readonly vcpuPins: ReadonlyMap<number, readonly number[]>;
  readonly emulatorPin: readonly number[];
  readonly ioThreadPin: readonly number[];
  /** What the machine may use now. */
  readonly memoryBytes: number;
  /** With a balloon: what it may grow to. */
  readonly maxMemoryBytes: number | undefined;
  readonly ioThreads: number;
  readonly firmware: "bios" | "efi";
  readonly numaNode: number | undefined;
  readonly hugepageBytes: number | undefined;
  /** Without the seed. */
  readonly disks: readonly SeenDisk[];
  readonly interfaces: readonly SeenInterface[];
  readonly mark: Mark | undefined;
  readonly seedDigest: string | undefined;
}

/** A disk in our arguments' words; what libvirt does when nothing is said is said. */
export interface SeenDisk {
  readonly type: string;
  readonly path: string;
  readonly format: string;
  readonly target: string;
  readonly serial?: string;
  readonly cache: string;
  readonly io: string;
  readonly discard: string;
}

export type SeenInterface = { readonly type: string; readonly mac: string } & {
  readonly bridge?: string;
  readonly network?: string;
  readonly device?: string;
  readonly mode?: string;
};

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
};

export function parseDomainXml(xml: string): SeenXml {
  const root = new DOMParser({
    onError: (level, message) => {
      if (level !== "warning") throw new UserError(`libvirt's XML can't be read: ${message}`);
    },
  }).parseFromString(xml, "text/xml").documentElement as Element;
  const tune = child(root, "cputune");
  const mark = root.getElementsByTagNameNS(MARK_NS, "machine").item(0) ?? undefined;
  const devices = child(root, "devices");
  const numa = child(child(root, "numatune"), "memory")?.getAttribute("nodeset");
  return {
    name: textOf(child(root, "name")),
    uuid: textOf(child(root, "uuid")),
    type: root.getAttribute("type") ?? "",
    vcpus: Number(textOf(child(root, "vcpu"))),
    vcpuPins: new Map(
      children(tune, "vcpupin").map((pin) => [
        Number(pin.getAttribute("vcpu")),
        parseCpus(pin.getAttribute("cpuset") ?? ""),
      ]),
    ),
    emulatorPin: parseCpus(child(tune, "emulatorpin")?.getAttribute("cpuset") ?? ""),
    ioThreadPin: parseCpus(child(tune, "iothreadpin")?.getAttribute("cpuset") ?? ""),
    ...memory(root, devices),
    ioThreads: Number(textOf(child(root, "iothreads"))),
    firmware: firmware(child(root, "os")),
    numaNode: numa === undefined || numa === null ? undefined : Number(numa),
    hugepageBytes: hugepageBytes(root),
    disks: children(devices, "disk").flatMap(disk),
    interfaces: children(devices, "interface").map(nic),
    mark: mark && markFrom(mark),
    seedDigest: mark?.getAttribute("seed") ?? undefined,
  };
}

function markFrom(element: Element): Mark {
  const of = (name: keyof Mark): string => element.getAttribute(name) ?? "";
  return {
    project: of("project"),
    stack: of("stack"),
    cluster: of("cluster"),
    environment: of("environment"),
    urn: of("urn"),
  };
}

function memory(
  root: Element,
  devices: Element | undefined,
): { readonly memoryBytes: number; readonly maxMemoryBytes: number | undefined } {
  const max = bytes(child(root, "memory"));
  const model = child(devices, "memballoon")?.getAttribute("model") ?? "none";
  if (model === "none") return { memoryBytes: max, maxMemoryBytes: undefined };
  return { memoryBytes: bytes(child(root, "currentMemory")) || max, maxMemoryBytes: max };
}

function firmware(os: Element | undefined): "bios" | "efi" {
  const flash = child(os, "loader")?.getAttribute("type") === "pflash";
  return os?.getAttribute("firmware") === "efi" || flash ? "efi" : "bios";
}

function disk(element: Element): SeenDisk[] {
  if (child(element, "readonly") || element.getAttribute("device") !== "disk") return [];
  const source = child(element, "source");
  const driver = child(element, "driver");
  const serial = textOf(child(element, "serial"));
  return [
    {
      type: element.getAttribute("type") ?? "",
      path: source?.getAttribute("file") ?? source?.getAttribute("dev") ?? "",
      format: driver?.getAttribute("type") ?? "",
      target: child(element, "target")?.getAttribute("dev") ?? "",
      ...(serial === "" ? {} : { serial }),
      cache: driver?.getAttribute("cache") ?? "default",
      io: driver?.getAttribute("io") ?? "default",
      discard: driver?.getAttribute("discard") ?? "default",
    },
  ];
}

function nic(element: Element): SeenInterface {
  const type = element.getAttribute("type") ?? "";
  const mac = (child(element, "mac")?.getAttribute("address") ?? "").toLowerCase();
  const of = (name: string): string => child(element, "source")?.getAttribute(name) ?? "";
  if (type === "bridge") return { type, bridge: of("bridge"), mac };
  if (type === "network") return { type, network: of("network"), mac };
  // libvirt's own default is vepa.
  if (type === "direct") return { type, device: of("dev"), mode: of("mode") || "vepa", mac };
  return { type, mac };
}

/** 0: hugepages of the host's default size, which the XML does not name. */
function hugepageBytes(root: Element): number | undefined {
  const hugepages = child(child(root, "memoryBacking"), "hugepages");
  if (!hugepages) return undefined;
  const page = child(hugepages, "page");
  return page ? Number(page.getAttribute("size")) * (UNITS[page.getAttribute("unit") ?? "KiB"] ?? 1024) : 0;
}

function bytes(element: Element | undefined): number {
  return Number(textOf(element)) * (UNITS[element?.getAttribute("unit") ?? "KiB"] ?? 1024);
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
