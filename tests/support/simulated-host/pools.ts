import * as fs from "node:fs";
import * as path from "node:path";
import { without } from "../../../provider/core/values";
import { VirshError } from "./errors";
import { rooted } from "./paths";

interface StoredPool {
  readonly target: string;
  active: boolean;
  autostart: boolean;
}

/** Libvirt's storage pools, in a file below a simulated host's root. */
export class SimulatedPools {
  constructor(private readonly root: string) {}

  define(name: string, target: string): string {
    if (this.pools()[name]) throw new VirshError(`operation failed: pool '${name}' already exists`);
    this.savePools({ ...this.pools(), [name]: { target, active: false, autostart: false } });
    return "";
  }

  list(): string {
    return Object.keys(this.pools()).join("\n");
  }

  xml(name: string): string {
    return `<pool type='dir'>\n  <name>${name}</name>\n  <target>\n    <path>${this.pool(name).target}</path>\n  </target>\n</pool>`;
  }

  info(name: string): string {
    const pool = this.pool(name);
    return `Name:           ${name}\nState:          ${pool.active ? "running" : "inactive"}\nAutostart:      ${pool.autostart ? "yes" : "no"}`;
  }

  set(name: string, what: "active" | "autostart", value: boolean): string {
    const pool = this.pool(name);
    if (what === "active" && pool.active === value) {
      throw new VirshError(
        `Requested operation is not valid: storage pool '${name}' is ${value ? "already" : "not"} active`,
      );
    }
    if (what === "active" && value && !fs.existsSync(rooted(this.root, pool.target))) {
      throw new VirshError(
        `Failed to start pool ${name}\nerror: cannot open directory '${pool.target}': No such file or directory`,
      );
    }
    this.savePools({ ...this.pools(), [name]: { ...pool, [what]: value } });
    return "";
  }

  undefine(name: string): string {
    this.savePools(without(this.pools(), name));
    return "";
  }

  private pool(name: string): StoredPool {
    const pool = this.pools()[name];
    if (!pool) throw new VirshError(`failed to get pool '${name}'`);
    return pool;
  }

  private pools(): Record<string, StoredPool> {
    const file = path.join(this.root, "libvirt/pools.json");
    return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, StoredPool>) : {};
  }

  private savePools(pools: Record<string, StoredPool>): void {
    fs.writeFileSync(path.join(this.root, "libvirt/pools.json"), JSON.stringify(pools, null, 2));
  }
}
