import * as fs from "node:fs";
import * as path from "node:path";
import { randomUUID } from "node:crypto";
import { DOMParser, XMLSerializer } from "@xmldom/xmldom";
import type { Element } from "@xmldom/xmldom";
import { without } from "../../../provider/core/values";
import { VirshError } from "./errors";

interface StoredNetwork {
  readonly uuid: string;
  readonly xml: string;
  readonly active: boolean;
  readonly autostart: boolean;
}

/** Libvirt's networks, in one file below a simulated host's root. */
export class SimulatedNetworks {
  private readonly file: string;

  constructor(root: string) {
    this.file = path.join(root, "libvirt/networks.json");
  }

  define(file: string): string {
    const root = new DOMParser().parseFromString(fs.readFileSync(file, "utf8"), "text/xml").documentElement as Element;
    const text = (name: string): string => root.getElementsByTagName(name)[0]?.textContent ?? "";
    const name = text("name");
    const known = this.all()[name];
    const uuid = text("uuid") || known?.uuid || randomUUID();
    if (known && known.uuid !== uuid) {
      throw new VirshError(
        `Failed to define network from ${file}\nerror: operation failed: network '${name}' already exists with uuid ${known.uuid}`,
      );
    }
    const xml = new XMLSerializer().serializeToString(root);
    this.save(name, { active: false, autostart: false, ...known, uuid, xml });
    return "";
  }

  undefine(name: string): string {
    const { active } = this.one(name);
    // A running one lives on without its definition; nothing of ours undefines it then.
    if (active) throw new VirshError("the simulated libvirt has no transient networks");
    this.write(without(this.all(), name));
    return "";
  }

  set(name: string, what: "active" | "autostart", value: boolean): string {
    const network = this.one(name);
    if (what === "active" && network.active === value) {
      throw new VirshError(
        value
          ? `Failed to start network ${name}\nerror: Requested operation is not valid: network is already active`
          : `Failed to destroy network ${name}\nerror: Requested operation is not valid: network '${name}' is not active`,
      );
    }
    this.save(name, { ...network, [what]: value });
    return "";
  }

  list(what: "name" | "uuid"): string {
    const all = this.all();
    return (what === "name" ? Object.keys(all) : Object.values(all).map(({ uuid }) => uuid)).join("\n");
  }

  xml(name: string): string {
    return this.one(name).xml;
  }

  uuid(name: string): string {
    return this.one(name).uuid;
  }

  info(name: string): string {
    const { uuid, active, autostart } = this.one(name);
    const word = (is: boolean): string => (is ? "yes" : "no");
    return `Name:           ${name}\nUUID:           ${uuid}\nActive:         ${word(active)}\nPersistent:     yes\nAutostart:      ${word(autostart)}`;
  }

  private one(name: string): StoredNetwork {
    const all = this.all();
    const network = all[name] ?? Object.values(all).find(({ uuid }) => uuid === name);
    if (!network) throw new VirshError(`failed to get network '${name}'`);
    return network;
  }

  private all(): Record<string, StoredNetwork> {
    return fs.existsSync(this.file)
      ? (JSON.parse(fs.readFileSync(this.file, "utf8")) as Record<string, StoredNetwork>)
      : {};
  }

  private save(name: string, network: StoredNetwork): void {
    this.write({ ...this.all(), [name]: network });
  }

  private write(networks: Record<string, StoredNetwork>): void {
    fs.writeFileSync(this.file, JSON.stringify(networks, null, 2));
  }
}
