import * as fs from "node:fs";
import * as path from "node:path";

/** A folder that kvmesh will write to, as it is now. */
export interface Place {
  /** "cache": what is fetched and built. "data": what runs. "go": Go's own build and module caches. "checkout": the stack file. */
  readonly name: "cache" | "data" | "go" | "checkout";
  readonly path: string;
  /** Undefined: files can be made in it. Else the system's word: "EROFS", "EACCES", "ENOSPC". */
  readonly problem: string | undefined;
  /** Of its file system, for this user. */
  readonly freeBytes: number;
  readonly freeInodes: number;
  /** Two places of one file system share its space. */
  readonly device: number;
  /** "ext4", "overlay", …; undefined where there is no /proc. */
  readonly fileSystem: string | undefined;
  readonly options: readonly string[];
}

/** Looks at a folder, which need not be there yet: then the nearest one above it that is. */
export function lookAt(name: Place["name"], wanted: string): Place {
  const there = nearest(path.resolve(wanted));
  const { bavail, bsize, ffree, files } = fs.statfsSync(there);
  const mount = mountOf(there);
  return {
    name,
    path: wanted,
    problem: writeProblem(there),
    freeBytes: bavail * bsize,
    // Some file systems count none.
    freeInodes: files === 0 ? Infinity : ffree,
    device: fs.statSync(there).dev,
    fileSystem: mount?.fileSystem,
    options: mount?.options ?? [],
  };
}

function nearest(place: string): string {
  if (fs.existsSync(place) || place === path.dirname(place)) return place;
  return nearest(path.dirname(place));
}

/** Tried, not computed from modes: root may write where a mount forbids it, and the other way round. */
function writeProblem(folder: string): string | undefined {
  try {
    const probe = fs.mkdtempSync(path.join(folder, ".kvmesh-doctor-"));
    try {
      // A full disk still makes a folder; it takes no block.
      fs.writeFileSync(path.join(probe, "block"), Buffer.alloc(4096, 1));
    } finally {
      fs.rmSync(probe, { recursive: true, force: true });
    }
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

interface Mount {
  readonly at: string;
  readonly fileSystem: string;
  readonly options: readonly string[];
}

/** The mount that a path is on. */
export function mountOf(place: string): Mount | undefined {
  let text: string;
  try {
    text = fs.readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return undefined;
  }
  const real = fs.realpathSync(place);
  const mounts = parseMounts(text).filter(({ at }) => real === at || real.startsWith(at === "/" ? "/" : `${at}/`));
  // The longest; of two on one place the later, which hides the other.
  return mounts.reduce<Mount | undefined>(
    (best, one) => (best && best.at.length > one.at.length ? best : one),
    undefined,
  );
}

/** Lines of /proc/self/mountinfo: "36 35 98:0 /root /mnt rw,noexec shared:1 - ext4 /dev/sda rw". */
export function parseMounts(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line): Mount[] => {
    const [before = "", after] = line.split(" - ");
    if (after === undefined) return [];
    const fields = before.split(" ");
    const at = (fields[4] ?? "").replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    return [{ at, fileSystem: after.split(" ")[0] ?? "", options: (fields[5] ?? "").split(",") }];
  });
}
