import type { Owner } from "../core/check";
import { quote } from "../core/quote";
import { UserError } from "../core/kind";
import type { Context } from "../core/kind";
import { where } from "../transport/errors";
import type { Endpoint } from "../transport/transport";
import { isOurs, refusal } from "./mark";
import type { Mark } from "./mark";
import { sectionsOf } from "./script";

/** In a folder whose pool we defined: it goes when nothing else is left. */
const POOL_MARK = ".kvmesh-pool";

/** The image that a disk was made from. */
export interface Base {
  readonly path: string;
  readonly format: "qcow2" | "raw";
}

/** Beside each file that we make: whose it is and what it was when it was made. */
export interface Sidecar {
  readonly schema: 1;
  readonly mark: Mark;
  /** Of a disk that outlived its resource because it was told to (onDestroy: keep). */
  readonly kept?: boolean;
  /** Of a disk that was made raw, and from which image: qemu-img can't say, or would say what a guest wrote there for it to find. */
  readonly raw?: { readonly base?: Base };
  /** Of an image: digest, size and time of change, so that a refresh need not read all of it. */
  readonly digest?: string;
  readonly stat?: string;
}

/** A disk or image as it is on a host. */
export interface SeenFile {
  readonly exists: boolean;
  /** Something of kvmesh is in its folder: the folder is the one that it was made in, and not the empty place where its file system is not mounted. */
  readonly inOurFolder: boolean;
  /** The sidecar as it is written, to make sure that nothing changed between looking and acting. */
  readonly sidecarText: string;
  readonly sidecar: Sidecar | undefined;
  /** Size and time of change. */
  readonly stat: string;
  /** Of the file itself. */
  readonly bytes: number;
  readonly virtualSizeBytes: number;
  readonly format: string;
  readonly backing: string | undefined;
  readonly backingFormat: string | undefined;
  readonly freeBytes: number;
}

export function sidecarText(sidecar: Sidecar): string {
  return JSON.stringify(sidecar);
}

export async function inspectFile(ctx: Context, at: Endpoint, path: string): Promise<SeenFile> {
  const sections = await sectionsOf(ctx, at, `looking at ${path}`, (nonce) => inspectScript(path, nonce));
  const text = sections.get("mark") ?? "";
  const info = parseInfo(sections.get("info"));
  return {
    exists: sections.has("stat"),
    inOurFolder: sections.has("ours"),
    sidecarText: text,
    sidecar: parseSidecar(text),
    stat: sections.get("stat") ?? "",
    bytes: Number(sections.get("stat")?.split(" ")[0] ?? 0),
    virtualSizeBytes: info["virtual-size"] ?? 0,
    format: info.format ?? "",
    backing: info["full-backing-filename"] ?? info["backing-filename"],
    backingFormat: info["backing-filename-format"],
    // Below df's heading.
    freeBytes: Number(sections.get("free")?.split("\n").at(-1) ?? 0),
  };
}

/** True when an interrupted run of this very resource left the file; throws when it is somebody else's. */
export function adopts(at: Endpoint, path: string, seen: SeenFile, wanted: Mark): boolean {
  if (!seen.exists && seen.sidecarText === "") return false;
  const refused = refusal(path, seen.sidecar?.mark, wanted);
  if (refused) throw new UserError(`${where(at)}: ${refused}`);
  return seen.exists;
}

/**
 * For a refresh, of a file that is not there: gone, when its folder still is what it was.
 *
 * @throws UserError when nothing of kvmesh is in the folder: after a boot its file system may not be mounted. Taken for gone, a disk would be made anew, and a
 *   machine would come up without its data.
 */
export function refuseUnmounted(at: Endpoint, path: string, { inOurFolder }: SeenFile): void {
  if (inOurFolder) return;
  const folder = path.slice(0, path.lastIndexOf("/"));
  throw new UserError(
    `${where(at)}: ${path} is not there, and nothing else of kvmesh is in its folder: is the folder's file system mounted? It does not count as gone. ` +
      `If all that was in it is gone for good, on the host: mkdir -p ${folder} && touch ${folder}/${POOL_MARK}; then refresh again`,
  );
}

/**
 * For a refresh: whether the file, or the volume, can't stay in the state, said as a warning. One without a mark was imported and its machine is not adopted yet,
 * or its mark was lost: it is what it was, and nothing of ours changes or removes it. Another stack's is not ours to speak of.
 */
export function lost(ctx: Context, at: Endpoint, path: string, mark: Mark | undefined, owner: Owner): boolean {
  if (isOurs(mark, owner)) return false;
  const whose = mark
    ? `belongs to stack ${mark.project}/${mark.stack} now`
    : "has no mark of kvmesh: adopt its machine (npm run adopt), or take it out of the state";
  ctx.warn(`${where(at)}: ${path} ${whose}`);
  return mark !== undefined;
}

/** -U: read also while a machine uses it. A file that is no image of a known format is raw to qemu-img. */
function inspectScript(path: string, nonce: string): string {
  return `f=${quote(path)}
section() { printf '%s %s\\n' ${quote(nonce)} "$1"; }
d=\${f%/*}
while [ ! -d "$d/" ]; do d=\${d%/*}; done
section free; df -B1 --output=avail "$d/"
for m in "\${f%/*}/${POOL_MARK}" "\${f%/*}"/*.kvmesh.json; do
  if [ -e "$m" ]; then section ours; break; fi
done
if [ -e "$f.kvmesh.json" ]; then section mark; cat "$f.kvmesh.json"; fi
if [ -e "$f" ]; then
  section stat; stat -c '%s %Y' "$f"
  section info; qemu-img info -U --output=json "$f"
fi
`;
}

/** Ends a script when the file's sidecar is no longer what was seen, or a file without one has appeared. Under the lock. */
export function assertUnchanged(path: string, seen: SeenFile): string {
  return `f=${quote(path)}
now=
[ ! -e "$f.kvmesh.json" ] || now=$(cat "$f.kvmesh.json")
[ "$now" = ${quote(seen.sidecarText)} ] || fail "$f was changed by another run meanwhile; run again"
[ -n "$now" ] || [ ! -e "$f" ] || fail "$f has appeared meanwhile and was not made by kvmesh; it is left untouched"
`;
}

/** Puts a finished file in place: its mark first, so that it is never there without one. \`$t\` is the finished file. */
export function publish(sidecar: Sidecar, mode: string): string {
  const text = sidecarText(sidecar);
  return `stat=$(stat -c '%s %Y' "$t")
printf %s ${quote(text)} | sed "s/@STAT@/$stat/" >"$f.kvmesh.json.new"
sync "$t"
mv -f "$f.kvmesh.json.new" "$f.kvmesh.json"
chmod ${mode} "$t"
mv -f "$t" "$f"
`;
}

/** Makes the folder, and a running libvirt pool of it that starts with the host, named after the folder. */
export function ensurePool(storage: string): string {
  return `S=${quote(storage)}
p=${quote(poolName(storage))}
folder "$S"
at=$(v pool-dumpxml "$p" 2>/dev/null | sed -n 's:.*<path>\\(.*\\)</path>.*:\\1:p')
if [ -z "$at" ]; then
  v pool-define-as "$p" dir --target "$S" >/dev/null
  v pool-autostart "$p" >/dev/null
  : >"$S/${POOL_MARK}"
elif [ "$at" != "$S" ]; then fail "the libvirt pool $p is another folder, $at: choose a storage folder with another name"
fi
v pool-info "$p" | grep -q '^State: *running' || v pool-start "$p" >/dev/null
`;
}

export function refreshPool(storage: string): string {
  return `v pool-refresh ${quote(poolName(storage))} >/dev/null\n`;
}

/** Removes the pool and the folder when we made the pool and nothing else is in the folder. */
export function dropEmptyPool(storage: string): string {
  return `S=${quote(storage)}
p=${quote(poolName(storage))}
if [ -e "$S/${POOL_MARK}" ] && [ -z "$(ls -A "$S" | grep -vx -e ${quote(POOL_MARK.replace(".", "\\."))} -e leases)" ]; then
  v pool-destroy "$p" >/dev/null 2>&1 || true
  v pool-undefine "$p" >/dev/null 2>&1 || true
  rm -f "$S/${POOL_MARK}"
  rmdir "$S" 2>/dev/null || true
else
  v pool-refresh "$p" >/dev/null 2>&1 || true
fi
`;
}

function poolName(storage: string): string {
  return storage.split("/").pop() ?? storage;
}

/** Anything else beside a file is not our mark. */
export function parseSidecar(text: string): Sidecar | undefined {
  try {
    const value = JSON.parse(text) as Partial<Sidecar> | null;
    return value?.schema === 1 && typeof value.mark === "object" ? (value as Sidecar) : undefined;
  } catch {
    return undefined;
  }
}

interface ImageInfo {
  readonly "virtual-size"?: number;
  readonly format?: string;
  readonly "backing-filename"?: string;
  readonly "full-backing-filename"?: string;
  readonly "backing-filename-format"?: string;
}

function parseInfo(text: string | undefined): ImageInfo {
  try {
    return JSON.parse(text ?? "{}") as ImageInfo;
  } catch {
    return {};
  }
}
