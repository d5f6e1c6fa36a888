import type { Element } from "@xmldom/xmldom";
import { parseCpus } from "../libvirt/cpulist";
import type { Mark } from "../libvirt/mark";
import { checkDomain } from "./schema";
import type { DomainInputs } from "./schema";
import type { SeenXml } from "./seen";
import { MARK_NS, domainXml } from "./xml";
import { bytesOf, children, parseXml, textOf } from "./xml-tree";

/** What reading a definition into our arguments, and writing it again from them, does to it. Empty lists: nothing. */
export interface RoundTrip {
  /** In the definition, and in no argument: "cputune/quota 50000", "devices/hostdev mode=subsystem". An element stands for all that is in it. */
  readonly lost: readonly string[];
  /** Not in the definition, and in what we would write: "devices/rng". */
  readonly invented: readonly string[];
}

/** Arguments that a domain's XML does not hold. */
export type Surroundings = Pick<DomainInputs, "host" | "owner" | "cloudInit" | "storage" | "autostart">;

/** The arguments that say what the definition says, as far as arguments can; `roundTrip` names what they can't hold. */
export function inputsOf(seen: SeenXml, surroundings: Surroundings): DomainInputs {
  const single = Array.from({ length: seen.vcpus }, (_, i) => seen.vcpuPins.get(i) ?? []).filter(
    (cpus) => cpus.length === 1,
  );
  const threads = [...seen.ioThreadPins.values()];
  const alike = threads.length === seen.ioThreads && new Set(threads.map(String)).size === 1;
  return {
    ...surroundings,
    name: seen.name,
    type: seen.type as DomainInputs["type"],
    vcpus: seen.vcpus,
    vcpuPins: single.length === seen.vcpus ? single.flat() : [],
    emulatorPin: [...seen.emulatorPin],
    ioThreadPin: alike ? [...(threads[0] ?? [])] : [],
    memoryBytes: seen.memoryBytes,
    ...(seen.maxMemoryBytes === undefined ? {} : { maxMemoryBytes: seen.maxMemoryBytes }),
    ...(seen.numaNode === undefined ? {} : { numaNode: seen.numaNode }),
    // Pages of the host's default size have no size that could be given.
    ...(seen.hugepageBytes ? { hugepageBytes: seen.hugepageBytes } : {}),
    ioThreads: Math.max(1, seen.ioThreads),
    firmware: seen.firmware,
    disks: [...seen.disks],
    interfaces: [...seen.interfaces],
  };
}

/** How a definition differs from the one that we would write from what was read of it. What libvirt adds by itself does not count. */
export function roundTrip(seen: SeenXml, surroundings: Surroundings): RoundTrip {
  const inputs = inputsOf(seen, surroundings);
  const options = { uuid: seen.uuid, mark: seen.mark ?? ({} as Mark), seedDigest: seen.seedDigest ?? "" };
  const before = leavesOf(seen.root);
  const after = leavesOf(parseXml(domainXml(inputs, options)));
  const refused = checkDomain({ ...inputs }).failures.map(({ property, reason }) => `${property}: ${reason}`);
  return { lost: [...missing(before, after), ...refused], invented: missing(after, before) };
}

/** Of a running machine's XML, to which libvirt adds much: what takes CPU time, memory or I/O from it, and whole devices. */
export function concernsRunning(lost: string): boolean {
  return /^(cputune|numatune|memtune|blkiotune)\b|^devices\/(disk|interface|hostdev|filesystem)(\[[^\]]*\])?$/.test(
    lost,
  );
}

/** Path → text of each element ("a/b[key]"), path → value of each attribute ("a/b@c"), in the order of the document. */
type Leaves = ReadonlyMap<string, string>;

function missing(these: Leaves, those: Leaves): string[] {
  const found: string[] = [];
  const paths = [...these.keys()];
  let whole = "";
  for (const [path, value] of these) {
    if (whole !== "" && (path.startsWith(`${whole}/`) || path.startsWith(`${whole}@`))) continue;
    const other = those.get(path) ?? DEFAULTS[path.replace(/\[[^\]]*\]/g, "")];
    if (other === value) continue;
    const attributes = paths.filter((each) => each.startsWith(`${path}@`));
    const words = attributes.map((each) => `${each.slice(path.length + 1)}=${these.get(each)}`);
    if (!those.has(path) && !path.includes("@")) {
      // Of an element that only holds others, these say what is missing.
      if (words.length === 0 && value === "" && paths.some((each) => each.startsWith(`${path}/`))) continue;
      whole = path;
    }
    found.push([path, value, ...words].filter((word) => word !== "").join(" "));
  }
  return found;
}

/** What libvirt or QEMU does where nothing is said: saying it changes nothing. */
const DEFAULTS: Readonly<Record<string, string>> = {
  "vcpu@placement": "static",
  "cpu@check": "none",
  "cpu@migratable": "on",
  "clock@offset": "utc",
  on_poweroff: "destroy",
  on_reboot: "restart",
  "devices/disk@device": "disk",
  "devices/disk/driver@name": "qemu",
  "devices/disk/driver@type": "raw",
  "devices/disk/driver@cache": "writeback",
  "devices/disk/driver@io": "threads",
  "devices/disk/driver@discard": "ignore",
  "devices/interface/source@mode": "vepa",
  "numatune/memory@placement": "static",
  "devices/serial/log@append": "off",
};

/** Elements that libvirt adds to a definition by itself, wherever it runs; they say nothing that was asked for. */
const ADDED: readonly ((path: string, element: Element) => boolean)[] = [
  // Where a device is and what it is called: chosen anew at every start.
  (path) => /^devices\/.*\/(address|alias)(\[\d+\])?$/.test(path),
  (path) => path === "devices/emulator" || path === "name" || path === "uuid",
  (path, element) => path === "resource" && textOf(element) === "/machine",
  // Buses that devices need; not those that say something themselves (a NUMA node, I/O threads, a kind of SCSI).
  (path, element) =>
    path.startsWith("devices/controller[") &&
    /^(pci|usb|sata|ide|fdc|virtio-serial)$/.test(attribute(element, "type")) &&
    !attribute(element, "model").includes("expander") &&
    children(element, "driver").length === 0,
  (path, element) => /^devices\/input(\[|$)/.test(path) && attribute(element, "bus") === "ps2",
  (path, element) => path === "devices/audio" && attribute(element, "type") === "none",
  (path, element) =>
    path === "devices/watchdog" && attribute(element, "model") === "itco" && attribute(element, "action") === "reset",
  (path, element) => path === "devices/console" && attribute(children(element, "target")[0], "type") === "serial",
  (path) => path === "devices/serial/source" || path === "devices/serial/target/model",
  (path, element) =>
    path === "seclabel" && attribute(element, "type") === "dynamic" && children(element, "baselabel").length === 0,
  // Libvirt's own choice of a firmware, once it is made.
  (path, element) =>
    (path === "os/loader" && attribute(element, "secure") !== "yes") ||
    (path === "os/nvram" && /^(\/var\/lib\/libvirt\/qemu\/nvram\/.*)?$/.test(textOf(element))),
  (path, element) => path.startsWith("os/firmware/feature[") && attribute(element, "enabled") === "no",
  (path, element) => /\/backingStore$/.test(path) && (children(element).length === 0 || element.hasAttribute("index")),
  (path, element) =>
    /^devices\/interface\[[^\]]*\]\/target$/.test(path) && /^(vnet|macvtap)\d+$/.test(attribute(element, "dev")),
];

const ADDED_ATTRIBUTES =
  /^(@id|os\/type@machine|devices\/(disk|interface)\[[^\]]*\]\/source@(index|portid)|devices\/serial\/target@type|devices\/channel\[[^\]]*\]\/target@state)$/;

/** Attributes that tell elements of one name apart. */
const KEYS: Readonly<Record<string, string>> = {
  vcpupin: "vcpu",
  iothreadpin: "iothread",
  iothread: "id",
  feature: "name",
  controller: "type",
};

function leavesOf(root: Element): Leaves {
  const leaves = new Map<string, string>([["@type", attribute(root, "type")]]);
  collect(root, "", leaves);
  // Libvirt always writes it; we only where a balloon makes it another amount.
  leaves.set("currentMemory", leaves.get("currentMemory") ?? leaves.get("memory") ?? "");
  const ids = [...leaves].filter(([path]) => path.startsWith("iothreadids"));
  const count = Number(leaves.get("iothreads") ?? 0);
  // 1, 2, 3, … are what libvirt numbers them when nobody does.
  if (
    ids.every(([path]) => ["", ...[...Array(count).keys()].map((i) => `/iothread[${i + 1}]`)].includes(path.slice(11)))
  )
    for (const [path] of ids) leaves.delete(path);
  return leaves;
}

function collect(parent: Element, above: string, leaves: Map<string, string>): void {
  const counts = new Map<string, number>();
  for (const element of children(parent)) {
    const { nodeName } = element;
    if (nodeName === "metadata" && above === "") {
      for (const other of children(element))
        if (other.namespaceURI !== MARK_NS) leaves.set(`metadata/${other.nodeName}`, "");
      continue;
    }
    const key = keyOf(element);
    const count = (counts.get(nodeName) ?? 0) + 1;
    counts.set(nodeName, count);
    const suffix = key === undefined ? (count === 1 ? "" : `[${count}]`) : `[${key}]`;
    let path = `${above}${nodeName}${suffix}`;
    if (ADDED.some((added) => added(path, element))) continue;
    // Two of one key, such as two drives in one slot.
    if (leaves.has(path)) path = `${path}[${count}]`;
    describe(element, path, leaves);
    collect(element, `${path}/`, leaves);
  }
}

function describe(element: Element, path: string, leaves: Map<string, string>): void {
  const unit = element.getAttribute("unit");
  const sized = unit !== null || /^(memory|currentMemory)$/.test(path);
  const text = children(element).length === 0 ? textOf(element) : "";
  leaves.set(path, sized && text !== "" ? String(bytesOf(text, unit)) : text);
  for (const { name, value } of Array.from(element.attributes)) {
    const at = `${path}@${name}`;
    if (name === "unit" || name.startsWith("xmlns") || name === KEYS[element.nodeName]) continue;
    if (ADDED_ATTRIBUTES.test(at) && !(name === "machine" && !/^(pc-)?q35(-[\d.]+)?$/.test(value))) continue;
    if (name === "size" && sized) leaves.set(at, String(bytesOf(value, unit)));
    else if (name === "cpuset" || name === "nodeset") leaves.set(at, parseCpus(value).join(","));
    else leaves.set(at, path.endsWith("/mac") ? value.toLowerCase() : value);
  }
}

function keyOf(element: Element): string | undefined {
  const inner = (name: string, of: string): string | undefined =>
    children(element, name)[0]?.getAttribute(of)?.toLowerCase();
  if (element.nodeName === "disk") return inner("target", "dev");
  if (element.nodeName === "interface") return inner("mac", "address");
  if (element.nodeName === "channel") return inner("target", "name");
  const key = KEYS[element.nodeName];
  return key === undefined ? undefined : attribute(element, key);
}

function attribute(element: Element | undefined, name: string): string {
  return element?.getAttribute(name) ?? "";
}
