import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Element } from "@xmldom/xmldom";
import { without } from "../../../provider/core/values";
import { VirshError } from "./errors";
import { rooted } from "./paths";
import { hideProcess, setAffinity, showProcess } from "./threads";
import { append, elements, parse, serialize, text } from "./xml";

interface StoredDomain {
  readonly name: string;
  readonly uuid: string;
  inactive: string;
  /** XML of the running machine. */
  live?: string;
  autostart: boolean;
  pid?: number;
  paused?: boolean;
}

/** Libvirt's machines, in files below a simulated host's root; every command of virsh is one short-lived process. */
export class SimulatedLibvirt {
  constructor(private readonly root: string) {}

  define(file: string): string {
    const root = parse(fs.readFileSync(file, "utf8"));
    const name = text(root, "name");
    const known = this.find(name);
    const uuid = text(root, "uuid") || known?.uuid || randomUUID();
    if (known && known.uuid !== uuid) {
      throw new VirshError(
        `Failed to define domain from ${file}\nerror: operation failed: domain '${name}' already exists with uuid ${known.uuid}`,
      );
    }
    const pins = elements(root, "vcpupin").map((pin) => pin.getAttribute("vcpu"));
    if (new Set(pins).size < pins.length)
      throw new VirshError(
        `Failed to define domain from ${file}\nerror: XML error: duplicate vcpupin for vcpu '${pins[0]}'`,
      );
    fillIn(root);
    this.save({ ...known, name, uuid, inactive: serialize(root), autostart: known?.autostart ?? false });
    return `Domain '${name}' defined from ${file}\n`;
  }

  undefine(name: string, flags: ReadonlySet<string>): string {
    const domain = this.domain(name);
    const variables = text(parse(domain.inactive), "nvram");
    if (variables !== "" && !flags.has("--nvram") && !flags.has("--keep-nvram"))
      throw new VirshError(
        `Failed to undefine domain '${name}'\nerror: Requested operation is not valid: cannot undefine domain with nvram`,
      );
    if (variables !== "" && flags.has("--nvram")) fs.rmSync(rooted(this.root, variables), { force: true });
    fs.rmSync(this.file(domain.name));
    return "";
  }

  startDomain(name: string): string {
    const domain = this.domain(name);
    if (domain.live) throw new VirshError("Domain is already active");
    const failure = path.join(this.root, "libvirt/fail-start");
    if (fs.existsSync(failure))
      throw new VirshError(
        `Failed to start domain '${domain.name}'\nerror: ${fs.readFileSync(failure, "utf8").trim()}`,
      );
    const root = parse(domain.inactive);
    for (const source of elements(root, "source")) {
      const file = source.getAttribute("file");
      if (file && !fs.existsSync(rooted(this.root, file))) {
        throw new VirshError(
          `Failed to start domain '${domain.name}'\nerror: Cannot access storage file '${file}': No such file or directory`,
        );
      }
    }
    for (const nic of elements(root, "interface")) {
      const network = elements(nic, "source")[0]?.getAttribute("network");
      const macs = `/var/lib/libvirt/dnsmasq/${network}.macs.new`;
      // Its folder is dnsmasq's; a network without DNS and DHCP starts none that would make it.
      if (network && !fs.existsSync(path.dirname(rooted(this.root, macs))))
        throw new VirshError(
          `Failed to start domain '${domain.name}'\nerror: Failed to create file '${macs}': No such file or directory`,
        );
    }
    elements(root, "disk").forEach((disk, i) => {
      append(disk, "alias").setAttribute("name", `virtio-disk${i}`);
    });
    const variables = text(root, "nvram");
    if (variables !== "") {
      const file = rooted(this.root, variables);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.appendFileSync(file, "");
    }
    domain.live = serialize(root);
    domain.pid = 1000 + Math.floor(Math.random() * 30_000);
    this.save(domain);
    showProcess(this.root, domain, root);
    return "";
  }

  shutdown(name: string): string {
    // A guest that obeys: tests of one that does not write the file "ignore-shutdown".
    const domain = this.running(name);
    if (!domain.paused && !fs.existsSync(path.join(this.root, "libvirt/ignore-shutdown"))) this.off(domain);
    return "";
  }

  destroy(name: string): string {
    this.off(this.running(name));
    return "";
  }

  rename(name: string, to: string): string {
    const domain = this.domain(name);
    if (domain.live) throw new VirshError("Requested operation is not valid: cannot rename active domain");
    fs.rmSync(this.file(domain.name));
    this.save({ ...domain, name: to, inactive: domain.inactive.replace(/<name>[^<]*/, `<name>${to}`) });
    return "Domain successfully renamed\n";
  }

  setAutostart(name: string, autostart: boolean): string {
    this.save({ ...this.domain(name), autostart });
    return "";
  }

  state(name: string): string {
    const { live, paused } = this.domain(name);
    return live === undefined ? "shut off" : paused ? "paused" : "running";
  }

  pause(name: string, paused: boolean): string {
    this.save({ ...this.running(name), paused });
    return "";
  }

  info(name: string): string {
    const domain = this.domain(name);
    return `Id:             ${domain.pid ?? "-"}\nName:           ${domain.name}\nUUID:           ${domain.uuid}\nState:          ${this.state(name)}\nPersistent:     yes\nAutostart:      ${domain.autostart ? "enable" : "disable"}`;
  }

  dumpXml(name: string, inactive: boolean): string {
    const domain = this.domain(name);
    return inactive ? domain.inactive : (domain.live ?? domain.inactive);
  }

  vcpuCount(name: string, live: boolean): string {
    const domain = this.domain(name);
    return text(parse(live ? (domain.live ?? "") : domain.inactive), "vcpu");
  }

  pin(
    name: string,
    element: "vcpupin" | "emulatorpin" | "iothreadpin",
    cpus: string,
    flags: ReadonlySet<string>,
    which?: string,
  ): string {
    const domain = this.domain(name);
    if (flags.has("--live") && !domain.live)
      throw new VirshError("Requested operation is not valid: domain is not running");
    const key = element === "vcpupin" ? "vcpu" : "iothread";
    const change = (xml: string): string => {
      const root = parse(xml);
      const tune = elements(root, "cputune")[0] ?? append(root, "cputune");
      const found = elements(root, element).find((pin) => which === undefined || pin.getAttribute(key) === which);
      const pin = found ?? append(tune, element);
      if (which !== undefined) pin.setAttribute(key, which);
      pin.setAttribute("cpuset", cpus);
      return serialize(root);
    };
    const live = flags.has("--live") || (!flags.has("--config") && domain.live !== undefined);
    if (live && domain.live) {
      domain.live = change(domain.live);
      // Set whatever libvirt believed before: this is how the real one repairs an affinity.
      setAffinity(this.root, domain, element, which ?? "", cpus);
    }
    if (flags.has("--config") || !live) domain.inactive = change(domain.inactive);
    this.save(domain);
    return "";
  }

  list(all: boolean, by: "name" | "uuid" = "name"): string {
    return this.domains()
      .filter((domain) => all || domain.live)
      .map((domain) => domain[by])
      .join("\n");
  }

  blockDevices(name: string): string {
    return elements(parse(this.dumpXml(name, false)), "disk")
      .map(
        (disk) =>
          `${elements(disk, "target")[0]?.getAttribute("dev")} ${elements(disk, "source")[0]?.getAttribute("file") ?? elements(disk, "source")[0]?.getAttribute("dev")}`,
      )
      .join("\n");
  }

  blockResize(name: string, device: string, size: string): string {
    this.running(name);
    const file = rooted(this.root, device);
    // A device has the size that it has: the machine is only told.
    if (/^\/dev\//.test(file.replace(this.root, ""))) return "";
    const image = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, unknown>;
    fs.writeFileSync(file, JSON.stringify({ ...image, "virtual-size": Number(size.replace(/b$/i, "")) }));
    return "";
  }

  /** Into the running machine only. */
  attachDevice(name: string, file: string): string {
    const domain = this.running(name);
    const root = parse(domain.live ?? "");
    const device = parse(fs.readFileSync(file, "utf8"));
    const key = deviceKey(device);
    if (elements(root, device.nodeName).some((other) => deviceKey(other) === key))
      throw new VirshError(
        `Failed to attach device from ${file}\nerror: operation failed: target ${key} already exists`,
      );
    elements(root, "devices")[0]?.appendChild(root.ownerDocument!.importNode(device, true));
    this.save({ ...domain, live: serialize(root) });
    return "Device attached successfully\n";
  }

  detachDevice(name: string, element: "disk" | "interface", key: string): string {
    const domain = this.running(name);
    const root = parse(domain.live ?? "");
    const device = elements(root, element).find((other) => deviceKey(other) === key);
    if (!device)
      throw new VirshError(
        `No ${element} found whose ${element === "disk" ? "source path or target" : "MAC"} is ${key}`,
      );
    device.parentNode?.removeChild(device);
    this.save({ ...domain, live: serialize(root) });
    return "";
  }

  /** The file "guest-mounts" is what the guest's agent says; without it there is no agent. */
  fileSystems(name: string): string {
    this.running(name);
    const said = path.join(this.root, "libvirt/guest-mounts");
    if (fs.existsSync(said)) return fs.readFileSync(said, "utf8");
    throw new VirshError(
      "Unable to get filesystem information\nerror: Guest agent is not responding: QEMU guest agent is not connected",
    );
  }

  /** A guest that obeys its balloon at once. */
  setMemory(name: string, kib: string): string {
    const domain = this.running(name);
    const root = parse(domain.live ?? "");
    const current = elements(root, "currentMemory")[0];
    if (current) current.textContent = kib;
    this.save({ ...domain, live: serialize(root) });
    return "";
  }

  /** libvirt puts the element into the given namespace, under the given prefix. */
  setMetadata(name: string, uri: string, key: string, xml: string, flags: ReadonlySet<string>): string {
    const domain = this.domain(name);
    if (flags.has("--live") && !domain.live)
      throw new VirshError("Requested operation is not valid: domain is not running");
    const change = (definition: string): string => {
      const root = parse(definition);
      const metadata = elements(root, "metadata")[0] ?? append(root, "metadata");
      for (const old of Array.from(metadata.childNodes))
        if ((old as Element).namespaceURI === uri) metadata.removeChild(old);
      const given = parse(xml);
      const element = root.ownerDocument!.createElementNS(uri, `${key}:${given.nodeName}`);
      for (const { name: attribute, value } of Array.from(given.attributes)) element.setAttribute(attribute, value);
      metadata.appendChild(element);
      return serialize(root);
    };
    if (flags.has("--live") && domain.live) domain.live = change(domain.live);
    if (flags.has("--config")) domain.inactive = change(domain.inactive);
    this.save(domain);
    return "";
  }

  byName(name: string): StoredDomain {
    const domain = this.domain(name);
    if (domain.name === name) return domain;
    throw new VirshError(`failed to get domain '${name}'`);
  }

  byUuid(uuid: string): StoredDomain {
    const domain = this.domains().find((candidate) => candidate.uuid === uuid);
    if (domain) return domain;
    throw new VirshError(`failed to get domain '${uuid}'`);
  }

  /** By name or UUID, as virsh takes it. */
  domain(key: string): StoredDomain {
    const domain = this.find(key);
    if (domain) return domain;
    throw new VirshError(`failed to get domain '${key}'`);
  }

  private find(key: string): StoredDomain | undefined {
    return this.domains().find((domain) => domain.name === key || domain.uuid === key);
  }

  private running(key: string): StoredDomain {
    const domain = this.domain(key);
    if (!domain.live)
      throw new VirshError(
        `Failed to shutdown domain '${key}'\nerror: Requested operation is not valid: domain is not running`,
      );
    return domain;
  }

  private off(domain: StoredDomain): void {
    hideProcess(this.root, domain);
    this.save(without(domain, "live", "pid", "paused"));
  }

  private domains(): StoredDomain[] {
    const folder = path.join(this.root, "libvirt/domains");
    if (!fs.existsSync(folder)) return [];
    return fs
      .readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => JSON.parse(fs.readFileSync(path.join(folder, name), "utf8")) as StoredDomain);
  }

  private file(name: string): string {
    return path.join(this.root, "libvirt/domains", `${name}.json`);
  }

  private save(domain: StoredDomain): void {
    const file = this.file(domain.name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(`${file}.${process.pid}`, JSON.stringify(domain, null, 2));
    fs.renameSync(`${file}.${process.pid}`, file);
  }
}

/** What tells devices of one kind apart. */
function deviceKey(device: Element): string {
  const [inner, attribute] = device.nodeName === "disk" ? ["target", "dev"] : ["mac", "address"];
  return elements(device, inner)[0]?.getAttribute(attribute) ?? "";
}

/** What libvirt adds to every definition: it must not show up as drift. */
function fillIn(root: Element): void {
  const os = elements(root, "os")[0];
  if (os?.getAttribute("firmware") === "efi" && elements(os, "nvram").length === 0) {
    append(os, "loader", "/usr/share/OVMF/OVMF_CODE_4M.fd").setAttribute("type", "pflash");
    append(os, "nvram", `/var/lib/libvirt/qemu/nvram/${text(root, "name")}_VARS.fd`);
  }
  const type = elements(root, "type")[0];
  if (type?.getAttribute("machine") === "q35") type.setAttribute("machine", "pc-q35-7.2");
  if (elements(root, "currentMemory").length === 0) {
    const current = append(root, "currentMemory", text(root, "memory"));
    current.setAttribute("unit", "KiB");
  }
  const devices = elements(root, "devices")[0];
  if (!devices) throw new VirshError("XML error: no devices");
  if (elements(devices, "emulator").length === 0) append(devices, "emulator", "/usr/bin/qemu-system-x86_64");
  for (const disk of elements(devices, "disk"))
    if (elements(disk, "address").length === 0) append(disk, "address").setAttribute("type", "pci");
}
