import type { Element } from "@xmldom/xmldom";
import { parseCpus } from "../libvirt/cpulist";
import type { Mark } from "../libvirt/mark";
import type { Disk, Interface } from "./schema";
import { MARK_NS } from "./xml";
import { bytesOf, child, children, parseXml, textOf } from "./xml-tree";

/** What a domain's XML says of the things that we set; everything else is `unmodelled`'s business. */
export interface SeenXml {
  readonly root: Element;
  readonly name: string;
  readonly uuid: string;
  readonly type: string;
  readonly vcpus: number;
  /** CPUs of each vCPU; none: not pinned. */
  readonly vcpuPins: ReadonlyMap<number, readonly number[]>;
  readonly emulatorPin: readonly number[];
  readonly ioThreads: number;
  readonly ioThreadPins: ReadonlyMap<number, readonly number[]>;
  /** What the machine may use now. */
  readonly memoryBytes: number;
  /** With a balloon: what it may grow to. */
  readonly maxMemoryBytes: number | undefined;
  /** Of a strict placement on one node. */
  readonly numaNode: number | undefined;
  readonly hugepageBytes: number | undefined;
  readonly firmware: "bios" | "efi";
  /** Virtio disks of files and devices, without the seed. */
  readonly disks: readonly Disk[];
  readonly interfaces: readonly Interface[];
  readonly mark: Mark | undefined;
  readonly seedDigest: string | undefined;
}

export function parseDomainXml(xml: string): SeenXml {
  const root = parseXml(xml);
  const tune = child(root, "cputune");
  const mark = root.getElementsByTagNameNS(MARK_NS, "machine").item(0) ?? undefined;
  const devices = child(root, "devices");
  return {
    root,
    name: textOf(child(root, "name")),
    uuid: textOf(child(root, "uuid")),
    type: root.getAttribute("type") ?? "",
    vcpus: Number(textOf(child(root, "vcpu")) || 1),
    vcpuPins: pins(tune, "vcpupin", "vcpu"),
    emulatorPin: parseCpus(child(tune, "emulatorpin")?.getAttribute("cpuset") ?? ""),
    ioThreads: Number(textOf(child(root, "iothreads"))),
    ioThreadPins: pins(tune, "iothreadpin", "iothread"),
    ...memory(root, devices),
    numaNode: numaNode(child(child(root, "numatune"), "memory")),
    hugepageBytes: hugepageBytes(root),
    firmware: firmware(child(root, "os")),
    disks: children(devices, "disk").flatMap(disk),
    interfaces: children(devices, "interface").flatMap(nic),
    mark: mark && markFrom(mark),
    seedDigest: mark?.getAttribute("seed") ?? undefined,
  };
}

function pins(tune: Element | undefined, name: string, key: string): ReadonlyMap<number, readonly number[]> {
  return new Map(
    children(tune, name).map((pin) => [Number(pin.getAttribute(key)), parseCpus(pin.getAttribute("cpuset") ?? "")]),
  );
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

function memory(root: Element, devices: Element | undefined): Pick<SeenXml, "memoryBytes" | "maxMemoryBytes"> {
  const [max, current] = ["memory", "currentMemory"].map((name) => {
    const element = child(root, name);
    return element && bytesOf(textOf(element), element.getAttribute("unit"));
  });
  const model = child(devices, "memballoon")?.getAttribute("model") ?? "none";
  if (model === "none") return { memoryBytes: max ?? 0, maxMemoryBytes: undefined };
  return { memoryBytes: current ?? max ?? 0, maxMemoryBytes: max };
}

function numaNode(memory: Element | undefined): number | undefined {
  const nodes = parseCpus(memory?.getAttribute("nodeset") ?? "");
  return memory?.getAttribute("mode") === "strict" && nodes.length === 1 ? nodes[0] : undefined;
}

/** 0: hugepages of the host's default size, which the XML does not name. */
function hugepageBytes(root: Element): number | undefined {
  const hugepages = child(child(root, "memoryBacking"), "hugepages");
  if (!hugepages) return undefined;
  const page = child(hugepages, "page");
  return page ? bytesOf(page.getAttribute("size") ?? "", page.getAttribute("unit")) : 0;
}

function firmware(os: Element | undefined): "bios" | "efi" {
  const flash = child(os, "loader")?.getAttribute("type") === "pflash";
  return os?.getAttribute("firmware") === "efi" || flash ? "efi" : "bios";
}

/** What is not said is what QEMU does then. */
function disk(element: Element): Disk[] {
  const target = child(element, "target");
  const type = element.getAttribute("type") ?? "";
  if (child(element, "readonly") || (element.getAttribute("device") ?? "disk") !== "disk") return [];
  if (target?.getAttribute("bus") !== "virtio" || (type !== "file" && type !== "block")) return [];
  const driver = child(element, "driver");
  const serial = textOf(child(element, "serial"));
  return [
    {
      type,
      path: child(element, "source")?.getAttribute(type === "file" ? "file" : "dev") ?? "",
      format: driver?.getAttribute("type") ?? "raw",
      target: target.getAttribute("dev") ?? "",
      ...(serial === "" ? {} : { serial }),
      cache: driver?.getAttribute("cache") ?? "writeback",
      io: driver?.getAttribute("io") ?? "threads",
      discard: driver?.getAttribute("discard") ?? "ignore",
    } as Disk,
  ];
}

function nic(element: Element): Interface[] {
  const mac = (child(element, "mac")?.getAttribute("address") ?? "").toLowerCase();
  const of = (name: string): string => child(element, "source")?.getAttribute(name) ?? "";
  if (child(element, "model")?.getAttribute("type") !== "virtio") return [];
  switch (element.getAttribute("type")) {
    case "bridge":
      return [{ type: "bridge", bridge: of("bridge"), mac }];
    case "network":
      return [{ type: "network", network: of("network"), mac }];
    case "direct":
      // Libvirt's own default is vepa.
      return [{ type: "direct", device: of("dev"), mode: of("mode") || "vepa", mac } as Interface];
    default:
      return [];
  }
}
