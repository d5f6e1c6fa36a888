import { quote } from "../../provider/core/quote";
import type { Endpoint, Transport } from "../../provider/transport/transport";

/** A machine's folder, as the machine itself sees it. */
export interface MountedDisk {
  readonly machine: string;
  readonly path: string;
  /** "/dev/vdb"; undefined: nothing is mounted there. */
  readonly device: string | undefined;
  /** "ext4". */
  readonly filesystem: string;
  /** What fits in, in bytes. */
  readonly bytes: number;
  /** When the file system was made and how often it was mounted since, as its superblock says; only ext4 notes that. */
  readonly made?: string;
  readonly mounts?: number;
}

/** Asks a machine over SSH what is mounted on a folder of it. Two processes: an emulated machine feels each. */
export async function measureMount(
  transport: Transport,
  { machine, path, endpoint }: { readonly machine: string; readonly path: string; readonly endpoint: Endpoint },
): Promise<MountedDisk> {
  const script = `found=$(findmnt -bnro SOURCE,FSTYPE,SIZE --mountpoint ${quote(path)}) || exit 0
echo "$found"
dumpe2fs -h "\${found%% *}" 2>/dev/null || true`;
  const { stdout } = await transport.script(endpoint, script, { idempotent: true });
  return parseMount(machine, path, stdout);
}

export function parseMount(machine: string, path: string, stdout: string): MountedDisk {
  const [found = "", ...superblock] = stdout.trim().split("\n");
  const [device, filesystem = "", bytes = "0"] = found.split(" ");
  const field = (name: string): string | undefined =>
    superblock
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  const mounts = field("Mount count");
  return {
    ...{ machine, path, device: device === "" ? undefined : device, filesystem, bytes: Number(bytes) },
    ...{ made: field("Filesystem created"), mounts: mounts === undefined ? undefined : Number(mounts) },
  };
}

/** A line for a person. */
export function mountLine({ machine, path, device, filesystem, bytes, made, mounts }: MountedDisk): string {
  if (device === undefined) return `${machine}: NOTHING is mounted on ${path}`;
  const since =
    made === undefined ? "" : `, made ${made}, mounted ${mounts === 1 ? "once" : `${mounts ?? "?"} times`} since`;
  return `${machine}: ${path} is ${filesystem} of ${Math.round(bytes / 2 ** 20)} MiB on ${device}${since}`;
}
