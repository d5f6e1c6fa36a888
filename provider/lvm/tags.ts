import { UserError } from "../core/kind";
import type { Mark } from "../libvirt/mark";
import type { Base } from "../libvirt/storage";

/** All of ours have it, so that `lvs @kvmesh` lists them. */
export const OUR_TAG = "kvmesh";

/**
 * What a logical volume of ours is: `writing` until its image was written to the end, then `ready`; `kept` when its resource went and the
 * volume was told to stay.
 */
export type Condition = "writing" | "ready" | "kept";

export interface Tagged {
  readonly mark: Mark;
  readonly condition: Condition;
  /** Nothing else knows it. */
  readonly base?: Base;
}

/** The mark as LVM tags, in the order that `LC_ALL=C sort` gives: they are LVM's metadata, so that no volume is ever there without them. */
export function tagsOf({ mark, condition, base }: Tagged): readonly string[] {
  const { project, stack, cluster, environment, urn } = mark;
  const image = base && { base: `${base.format}:${base.path}` };
  const fields = { condition, project, stack, cluster, environment, urn, ...image };
  return [OUR_TAG, ...Object.entries(fields).map(([key, value]) => tag(key, value))].sort();
}

/** Undefined: somebody else's, or what is left of a mark. Other tags are their writers' business. */
export function taggedFrom(tags: readonly string[]): Tagged | undefined {
  const fields = new Map(
    ourTags(tags).map((text) => {
      const [key = "", ...value] = text.slice(OUR_TAG.length + 1).split("=");
      return [key, decode(value.join("="))] as const;
    }),
  );
  const [project, stack, urn] = ["project", "stack", "urn"].map((key) => fields.get(key));
  if (project === undefined || stack === undefined || urn === undefined) return undefined;
  const mark = {
    project,
    stack,
    urn,
    cluster: fields.get("cluster") ?? "",
    environment: fields.get("environment") ?? "",
  };
  const condition = fields.get("condition");
  const [, format, path] = /^(qcow2|raw):(\/.*)$/.exec(fields.get("base") ?? "") ?? [];
  return {
    mark,
    condition: condition === "writing" || condition === "kept" ? condition : "ready",
    ...(path === undefined ? {} : { base: { path, format: format as "qcow2" | "raw" } }),
  };
}

export function ourTags(tags: readonly string[]): readonly string[] {
  return tags.filter((text) => text === OUR_TAG || text.startsWith(`${OUR_TAG}:`)).sort();
}

/** LVM's limit. */
const LONGEST = 1024;

function tag(key: string, value: string): string {
  const text = `${OUR_TAG}:${key}=${encode(value)}`;
  if (text.length <= LONGEST) return text;
  throw new UserError(
    `the LVM tag for ${key} would have ${text.length} characters, and LVM takes ${LONGEST}: give the resource a shorter name`,
  );
}

/** LVM takes letters, digits and `_+.-/=!:#&`: any other, and the + itself, is + and two hex digits for each byte. */
function encode(value: string): string {
  return value.replace(/[^A-Za-z0-9_./=!:#&-]/gu, (letter) =>
    [...Buffer.from(letter, "utf8")].map((byte) => `+${byte.toString(16).padStart(2, "0")}`).join(""),
  );
}

function decode(text: string): string {
  const bytes = text.replace(/%/g, "%25").replace(/\+(?=[0-9a-f]{2})/g, "%");
  try {
    return decodeURIComponent(bytes);
  } catch {
    // Nobody of ours wrote it.
    return text;
  }
}
