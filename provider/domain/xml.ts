import { DOMImplementation, XMLSerializer } from "@xmldom/xmldom";
import type { Document, Element } from "@xmldom/xmldom";
import { formatCpus } from "../libvirt/cpulist";
import type { Mark } from "../libvirt/mark";
import type { Disk, DomainInputs, Interface } from "./schema";

/** Namespace of our mark in a domain's metadata. */
export const MARK_NS = "urn:kvmesh:machine:1";

/** Libvirt's own name of the channel that the guest agent listens on. */
const AGENT = "org.qemu.guest_agent.0";

export interface DomainXmlOptions {
  readonly uuid: string;
  readonly mark: Mark;
  /** Digest of the cloud-init data that the seed was made of. */
  readonly seedDigest: string | undefined;
}

export function seedPath(domain: Pick<DomainInputs, "storage" | "name">): string {
  return `${domain.storage}/${domain.name}-seed.iso`;
}

export function serialLogPath(domain: Pick<DomainInputs, "storage" | "name">): string {
  return `${domain.storage}/${domain.name}-serial.log`;
}

/** The definition that libvirt gets. Built as a tree: no value can end an element or start another. */
export function domainXml(domain: DomainInputs, options: DomainXmlOptions): string {
  const document = new DOMImplementation().createDocument(null, "domain");
  const root = document.documentElement as Element;
  root.setAttribute("type", domain.type);
  const add = adder(document);
  add(root, "name", {}, domain.name);
  add(root, "uuid", {}, options.uuid);
  addMark(document, add(root, "metadata"), options);
  add(root, "memory", { unit: "KiB" }, String((domain.maxMemoryBytes ?? domain.memoryBytes) / 1024));
  if (domain.maxMemoryBytes !== undefined)
    add(root, "currentMemory", { unit: "KiB" }, String(domain.memoryBytes / 1024));
  if (domain.hugepageBytes !== undefined) {
    const hugepages = add(add(root, "memoryBacking"), "hugepages");
    add(hugepages, "page", { size: String(domain.hugepageBytes / 1024), unit: "KiB" });
  }
  add(root, "vcpu", { placement: "static" }, String(domain.vcpus));
  add(root, "iothreads", {}, String(domain.ioThreads));
  addPinning(add, root, domain);
  const os = add(root, "os", domain.firmware === "efi" ? { firmware: "efi" } : {});
  add(os, "type", { arch: "x86_64", machine: "q35" }, "hvm");
  // The plain firmware: with Secure Boot, images without Microsoft's signature would not start.
  if (domain.firmware === "efi") {
    const firmware = add(os, "firmware");
    add(firmware, "feature", { enabled: "no", name: "secure-boot" });
  }
  add(os, "boot", { dev: "hd" });
  const features = add(root, "features");
  add(features, "acpi");
  add(features, "apic");
  if (domain.type === "kvm") add(root, "cpu", { mode: "host-passthrough", check: "none" });
  else add(root, "cpu", { mode: "maximum" });
  add(root, "clock", { offset: "utc" });
  add(root, "on_poweroff", {}, "destroy");
  add(root, "on_reboot", {}, "restart");
  add(root, "on_crash", {}, "restart");
  addDevices(add, add(root, "devices"), domain);
  return new XMLSerializer().serializeToString(document);
}

/** One device alone, as `virsh attach-device` takes it. */
export function diskXml(disk: Disk, domain: DomainInputs): string {
  return deviceXml((add, parent) => addDisk(add, parent, disk, domain));
}

export function interfaceXml(nic: Interface, domain: DomainInputs): string {
  return deviceXml((add, parent) => addInterface(add, parent, nic, domain));
}

function deviceXml(make: (add: Add, parent: Element) => Element): string {
  const document = new DOMImplementation().createDocument(null, "devices");
  return new XMLSerializer().serializeToString(make(adder(document), document.documentElement as Element));
}

/** Our mark alone, for a machine that is adopted as it is. libvirt puts it into our namespace itself. */
export function markXml(options: DomainXmlOptions): string {
  const document = new DOMImplementation().createDocument(null, "machine");
  const element = document.documentElement as Element;
  for (const [key, value] of Object.entries(markAttributes(options))) element.setAttribute(key, value);
  return new XMLSerializer().serializeToString(document);
}

function markAttributes({ mark, seedDigest: seed }: DomainXmlOptions): Readonly<Record<string, string>> {
  return { ...mark, ...(seed === undefined ? {} : { seed }) };
}

type Add = (parent: Element, name: string, attributes?: Readonly<Record<string, string>>, text?: string) => Element;

function adder(document: Document): Add {
  return (parent, name, attributes = {}, text) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.appendChild(document.createTextNode(text));
    parent.appendChild(element);
    return element;
  };
}

function addMark(document: Document, metadata: Element, options: DomainXmlOptions): void {
  const mark = document.createElementNS(MARK_NS, "kvmesh:machine");
  for (const [key, value] of Object.entries(markAttributes(options))) mark.setAttribute(key, value);
  metadata.appendChild(mark);
}

function addPinning(add: Add, root: Element, domain: DomainInputs): void {
  const { vcpuPins, emulatorPin, ioThreadPin } = domain;
  if (vcpuPins.length + emulatorPin.length + ioThreadPin.length > 0) {
    const tune = add(root, "cputune");
    vcpuPins.forEach((cpu, i) => add(tune, "vcpupin", { vcpu: String(i), cpuset: String(cpu) }));
    if (emulatorPin.length > 0) add(tune, "emulatorpin", { cpuset: formatCpus(emulatorPin) });
    if (ioThreadPin.length > 0) {
      for (let thread = 1; thread <= domain.ioThreads; thread++)
        add(tune, "iothreadpin", { iothread: String(thread), cpuset: formatCpus(ioThreadPin) });
    }
  }
  if (domain.numaNode !== undefined) {
    add(add(root, "numatune"), "memory", { mode: "strict", nodeset: String(domain.numaNode) });
  }
}

function addDevices(add: Add, devices: Element, domain: DomainInputs): void {
  addPorts(add, devices, domain);
  for (const disk of domain.disks) addDisk(add, devices, disk, domain);
  if (domain.cloudInit !== undefined) {
    const seed = add(devices, "disk", { type: "file", device: "disk" });
    add(seed, "driver", { name: "qemu", type: "raw" });
    add(seed, "source", { file: seedPath(domain) });
    // Virtio, not a SATA drive: kernels made for clouds have no AHCI driver.
    add(seed, "target", { dev: "vdz", bus: "virtio" });
    add(seed, "readonly");
  }
  for (const nic of domain.interfaces) addInterface(add, devices, nic, domain);
  const serial = add(devices, "serial", { type: "pty" });
  add(serial, "log", { file: serialLogPath(domain), append: "on" });
  add(serial, "target", { port: "0" });
  const channel = add(devices, "channel", { type: "unix" });
  add(channel, "target", { type: "virtio", name: AGENT });
  add(add(devices, "rng", { model: "virtio" }), "backend", { model: "random" }, "/dev/urandom");
  // A balloon takes back memory that the machine was promised: only where a range was declared.
  add(devices, "memballoon", { model: domain.maxMemoryBytes === undefined ? "none" : "virtio" });
}

/** A port for each device that takes one (beside disks and interfaces: seed, USB, serial bus, rng, balloon), and four to plug into. */
function addPorts(add: Add, devices: Element, { disks, interfaces }: DomainInputs): void {
  add(devices, "controller", { type: "pci", model: "pcie-root" });
  for (let i = 0; i < disks.length + interfaces.length + 5 + 4; i++)
    add(devices, "controller", { type: "pci", model: "pcie-root-port" });
}

function addDisk(add: Add, devices: Element, disk: Disk, { vcpus, ioThreads }: DomainInputs): Element {
  const { type, path, format, target, serial, cache, io, discard } = disk;
  const element = add(devices, "disk", { type, device: "disk" });
  // By default cache=none, which bypasses the host's page cache, so that fsync means the device. Native AIO rather than
  // io_uring: it is in every QEMU, and io_uring is off in many hardened kernels (kernel.io_uring_disabled).
  add(element, "driver", {
    name: "qemu",
    type: format,
    cache,
    io,
    discard,
    // By its letter, so that a disk keeps its thread when others come and go.
    iothread: String(((target.charCodeAt(2) - "a".charCodeAt(0)) % ioThreads) + 1),
    // One queue a vCPU: no vCPU waits for another's requests. With one vCPU there is nothing to spread.
    ...(vcpus > 1 ? { queues: String(vcpus) } : {}),
  });
  add(element, "source", type === "block" ? { dev: path } : { file: path });
  add(element, "target", { dev: target, bus: "virtio" });
  if (serial !== undefined) add(element, "serial", {}, serial);
  return element;
}

function addInterface(add: Add, devices: Element, nic: Interface, { vcpus }: DomainInputs): Element {
  const element = add(devices, "interface", { type: nic.type });
  add(element, "mac", { address: nic.mac });
  if (nic.type === "bridge") add(element, "source", { bridge: nic.bridge });
  else if (nic.type === "network") add(element, "source", { network: nic.network });
  else add(element, "source", { dev: nic.device, mode: nic.mode });
  add(element, "model", { type: "virtio" });
  if (vcpus > 1) add(element, "driver", { queues: String(Math.min(vcpus, 8)) });
  return element;
}
