import { UserError } from "../core/kind";
import { quote } from "../core/quote";

/** What is asked of each volume; sizes are bytes. */
const COLUMNS = [
  ...["vg_name", "lv_name", "lv_uuid", "lv_size", "lv_tags", "pool_lv", "segtype", "lv_active", "lv_health_status"],
  ...["vg_extent_size", "data_percent", "metadata_percent", "lv_metadata_size", "zero"],
];

export interface LogicalVolume {
  readonly volumeGroup: string;
  readonly name: string;
  readonly uuid: string;
  readonly bytes: number;
  readonly tags: readonly string[];
  /** Of a thin volume: its pool; else empty. */
  readonly pool: string;
  /** "thin", "thin-pool", "linear", … */
  readonly type: string;
  readonly active: boolean;
  /** Empty: well. "partial", "failed", "out_of_data", "metadata_read_only", … */
  readonly health: string;
  /** Sizes of volumes are whole multiples of it. */
  readonly extentBytes: number;
  /** Of a thin pool that is active: how full it is; undefined: not known. */
  readonly dataPercent: number | undefined;
  readonly metadataPercent: number | undefined;
  readonly metadataBytes: number;
  /** Of a thin pool: a block is zeroed before its first write. */
  readonly zeroing: boolean;
}

/**
 * Shell text: all volumes of a group, or of all groups, as JSON on standard output; `reportFrom` reads it. LVM must be there. What it has to
 * say is on standard error, as without JSON: LVM would put it into the report.
 */
export function reportCommand(volumeGroup?: string): string {
  const group = volumeGroup === undefined ? "" : ` ${quote(volumeGroup)}`;
  return `LVM_SUPPRESS_FD_WARNINGS=1 lvs --config log/report_command_log=0 --reportformat json --units b --nosuffix -o ${COLUMNS.join(",")}${group}`;
}

/** @throws UserError when it is not what LVM prints. */
export function reportFrom(text: string): readonly LogicalVolume[] {
  const rows = rowsOf(text);
  return rows.map((row) => {
    const field = (name: string): string => row[name] ?? "";
    const percent = (name: string): number | undefined => (field(name) === "" ? undefined : Number(field(name)));
    return {
      volumeGroup: field("vg_name"),
      name: field("lv_name"),
      uuid: field("lv_uuid"),
      bytes: Number(field("lv_size")),
      tags: field("lv_tags")
        .split(",")
        .filter((tag) => tag !== ""),
      pool: field("pool_lv"),
      type: field("segtype"),
      active: field("lv_active") === "active",
      health: field("lv_health_status"),
      extentBytes: Number(field("vg_extent_size")),
      dataPercent: percent("data_percent"),
      metadataPercent: percent("metadata_percent"),
      metadataBytes: Number(field("lv_metadata_size")),
      zeroing: field("zero") === "zero",
    };
  });
}

type Row = Readonly<Record<string, string | undefined>>;

function rowsOf(text: string): readonly Row[] {
  try {
    const { report } = JSON.parse(text) as { readonly report: readonly { readonly lv: readonly Row[] }[] };
    return report.flatMap(({ lv }) => lv);
  } catch {
    throw new UserError(`lvs printed no report in JSON (is LVM older than 2.02.158?): ${text.slice(0, 200)}`);
  }
}

/** What LVM makes of a size. */
export function wholeExtents(bytes: number, extentBytes: number): number {
  return Math.ceil(bytes / extentBytes) * extentBytes;
}
