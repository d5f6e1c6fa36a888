/**
 * LVM's commands that our scripts use, on a volume group in a file: the same words, exit codes and reports as LVM 2.03.31 (its report is
 * kept in tests/fixtures/lvs.json, and the contract runs on it too: thin-contract.ts). A volume's device is a sparse file.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { SimulatedLibvirt } from "./libvirt";
import type { Answer } from "./tool-server";

const EXTENT = 4 * 1024 * 1024;
/** Without it, LVM says what went wrong in its report where that is JSON, and nothing on standard error. */
const ERRORS_APART = "log/report_command_log=0";

interface Volume {
  readonly name: string;
  readonly uuid: string;
  readonly bytes: number;
  readonly tags: readonly string[];
  /** Of a thin volume. */
  readonly pool: string;
  readonly type: "linear" | "thin" | "thin-pool";
  readonly zero: boolean;
}

interface Group {
  readonly volumes: readonly Volume[];
}

class LvmError extends Error {}

export function lvm(root: string, command: string, args: readonly string[]): Answer {
  const group = new SimulatedGroups(root);
  const words = parse(args);
  const full = (name = ""): [string, string] => name.split("/", 2) as [string, string];
  try {
    switch (command) {
      case "lvs":
        return done(group.report(words));
      case "lvcreate": {
        const [vg, pool] = full(words.options.get("--thinpool")?.[0]);
        const thin = vg !== "";
        const name = words.options.get("-n")?.[0] ?? "";
        const type = thin ? "thin" : words.options.get("--type")?.[0] === "thin-pool" ? "thin-pool" : "linear";
        const size = words.options.get(thin ? "-V" : "-L")?.[0] ?? "";
        group.create(thin ? vg : (words.plain[0] ?? ""), {
          ...{ name, type, pool: thin ? pool : "", bytes: bytesOf(size) },
          ...{ tags: words.options.get("--addtag") ?? [], zero: true },
        });
        return done();
      }
      case "lvchange":
        group.change(...full(words.plain[0]), (volume) => ({
          ...volume,
          zero: words.options.has("--zero") ? words.options.get("--zero")?.[0] === "y" : volume.zero,
          tags: [
            ...volume.tags.filter((tag) => !words.options.get("--deltag")?.includes(tag)),
            ...(words.options.get("--addtag") ?? []),
          ],
        }));
        return done();
      case "lvextend": {
        const bytes = bytesOf(words.options.get("-L")?.[0] ?? "");
        group.change(...full(words.plain[0]), (volume) => {
          if (wholeExtents(bytes) <= volume.bytes) throw new LvmError("New size given not larger than existing size");
          return { ...volume, bytes: wholeExtents(bytes) };
        });
        return done();
      }
      case "lvremove":
        group.remove(...full(words.plain[0]));
        return done();
      default:
        return { code: 3, stdout: "", stderr: `  No such command '${command}'.\n` };
    }
  } catch (error) {
    if (!(error instanceof LvmError)) throw error;
    const inReport = words.options.has("--reportformat") && !words.options.get("--config")?.includes(ERRORS_APART);
    if (!inReport) return { code: 5, stdout: "", stderr: `  ${error.message}\n` };
    const log = error.message.split("\n").map((line) => ({ log_type: "error", log_message: line.trim() }));
    return { code: 5, stdout: JSON.stringify({ report: [{ lv: [] }], log }), stderr: "" };
  }
}

class SimulatedGroups {
  constructor(private readonly root: string) {}

  report({ options, plain }: Words): string {
    const [what] = plain;
    const [vg, only] = what?.split("/", 2) ?? [];
    const groups = vg === undefined ? Object.entries(this.load()) : [[vg, this.group(vg)] as const];
    const columns = options.get("-o")?.[0]?.split(",") ?? [];
    const rows = groups.flatMap(([name, { volumes }]) =>
      volumes
        .filter((volume) => only === undefined || volume.name === only)
        .map((volume) => columns.map((column) => [column, this.field(name, volume, column)] as const)),
    );
    if (only !== undefined && rows.length === 0) throw new LvmError(`Failed to find logical volume "${what}"`);
    if (options.has("--reportformat")) {
      return `${JSON.stringify({ report: [{ lv: rows.map((row) => Object.fromEntries(row)) }] }, null, 4)}\n`;
    }
    const separator = options.get("--separator")?.[0] ?? " ";
    return rows.map((row) => `  ${row.map(([, value]) => value).join(separator)}\n`).join("");
  }

  create(vg: string, volume: Omit<Volume, "uuid">): void {
    const { volumes } = this.group(vg);
    if (volumes.some(({ name }) => name === volume.name))
      throw new LvmError(`Logical Volume "${volume.name}" already exists in volume group "${vg}"`);
    const uuid = `uuid-${Date.now()}-${Math.random().toString(36).slice(2, 8)}`;
    const made = { ...volume, uuid, bytes: wholeExtents(volume.bytes) };
    this.save(vg, [...volumes, made]);
    if (made.type !== "thin-pool") this.device(vg, made);
  }

  change(vg: string, name: string, how: (volume: Volume) => Volume): void {
    const changed = how(this.volume(vg, name));
    this.save(
      vg,
      this.group(vg).volumes.map((volume) => (volume.name === name ? changed : volume)),
    );
    if (changed.type !== "thin-pool") this.device(vg, changed);
  }

  remove(vg: string, name: string): void {
    const { type } = this.volume(vg, name);
    // Held open: by a machine that runs, as the simulated libvirt has it.
    if (this.used(`/dev/${vg}/${name}`)) throw new LvmError(`Logical volume ${vg}/${name} in use.`);
    this.save(
      vg,
      this.group(vg).volumes.filter((volume) => volume.name !== name && (type !== "thin-pool" || volume.pool !== name)),
    );
    fs.rmSync(path.join(this.root, "dev", vg, name), { force: true });
  }

  private used(device: string): boolean {
    const libvirt = new SimulatedLibvirt(this.root);
    return libvirt
      .list(false, "name")
      .split("\n")
      .some(
        (name) =>
          name !== "" &&
          libvirt
            .blockDevices(name)
            .split("\n")
            .some((line) => line.endsWith(device)),
      );
  }

  private field(vg: string, volume: Volume, column: string): string {
    const pool = volume.type === "thin-pool";
    const inPool = this.group(vg).volumes.filter((other) => other.pool === volume.name);
    const written = (one: Volume): number => fs.statSync(path.join(this.root, "dev", vg, one.name)).blocks * 512;
    const percent = (): number =>
      (100 * (pool ? inPool.reduce((sum, one) => sum + written(one), 0) : written(volume))) / volume.bytes;
    const values: Readonly<Record<string, () => string>> = {
      vg_name: () => vg,
      lv_name: () => volume.name,
      lv_uuid: () => volume.uuid,
      lv_size: () => String(volume.bytes),
      lv_tags: () => [...volume.tags].sort().join(","),
      pool_lv: () => volume.pool,
      segtype: () => volume.type,
      lv_active: () => "active",
      lv_health_status: () => "",
      vg_extent_size: () => String(EXTENT),
      data_percent: () => (volume.type === "linear" ? "" : percent().toFixed(2)),
      metadata_percent: () => (pool ? "10.84" : ""),
      lv_metadata_size: () => (pool ? String(EXTENT) : ""),
      // A volume says what its pool does.
      zero: () =>
        (pool ? volume : this.group(vg).volumes.find(({ name }) => name === volume.pool))?.zero ? "zero" : "",
    };
    const value = values[column];
    if (!value) throw new LvmError(`Unrecognised field: ${column}`);
    return value();
  }

  private device(vg: string, { name, bytes }: Volume): void {
    const file = path.join(this.root, "dev", vg, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (!fs.existsSync(file)) fs.writeFileSync(file, "");
    fs.truncateSync(file, bytes);
  }

  private volume(vg: string, name: string): Volume {
    const volume = this.group(vg).volumes.find((one) => one.name === name);
    if (!volume) throw new LvmError(`Failed to find logical volume "${vg}/${name}"`);
    return volume;
  }

  private group(vg: string): Group {
    const group = this.load()[vg];
    if (!group) throw new LvmError(`Volume group "${vg}" not found\n  Cannot process volume group ${vg}`);
    return group;
  }

  private load(): Record<string, Group> {
    const file = path.join(this.root, "libvirt/lvm.json");
    return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, Group>) : {};
  }

  private save(vg: string, volumes: readonly Volume[]): void {
    fs.writeFileSync(path.join(this.root, "libvirt/lvm.json"), JSON.stringify({ ...this.load(), [vg]: { volumes } }));
  }
}

/** `vgcreate NAME` of an administrator. */
export function addVolumeGroup(root: string, name: string): void {
  fs.writeFileSync(path.join(root, "libvirt/lvm.json"), JSON.stringify({ [name]: { volumes: [] } }));
}

interface Words {
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly plain: readonly string[];
}

const WITHOUT_VALUE = ["-q", "-y", "--noheadings", "--nosuffix"];

function parse(args: readonly string[]): Words {
  const options = new Map<string, string[]>();
  const plain: string[] = [];
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith("-")) plain.push(word);
    else options.set(word, [...(options.get(word) ?? []), WITHOUT_VALUE.includes(word) ? "" : (rest.shift() ?? "")]);
  }
  return { options, plain };
}

function bytesOf(text: string): number {
  const units: Readonly<Record<string, number>> = { b: 1, m: 2 ** 20, g: 2 ** 30 };
  return Number.parseInt(text, 10) * (units[text.slice(-1)] ?? 1);
}

function wholeExtents(bytes: number): number {
  return Math.ceil(bytes / EXTENT) * EXTENT;
}

function done(stdout = ""): Answer {
  return { code: 0, stdout, stderr: "" };
}
