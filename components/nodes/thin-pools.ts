import type { CarvedPoolSpec, HostSpec, PoolSpec } from "../../config/spec";
import { machineRequests } from "./machine-requests";
import { PlacementError, type Placement } from "./placement";

/** LVM's default. */
const EXTENT = 4 * 2 ** 20;

/** What the volumes of a host's thin pool add up to, in bytes. */
export interface ThinPoolShare {
  /** "nvme/machines". */
  readonly name: string;
  /** The pool's own size. */
  readonly total: number;
  /** What volumes of this stack may have: with overcommit more than there is, without those of others. */
  readonly offered: number;
  /** What the machines of the plan have. */
  readonly taken: number;
}

/** Undefined: the host has no thin pool, or its facts don't know it (the parser has refused that). */
export function thinPoolShare(
  { name: host, lvm, facts }: HostSpec,
  pools: readonly PoolSpec[],
  cluster: string,
  placements: readonly Placement[],
): ThinPoolShare | undefined {
  const pool =
    lvm && facts.thinPools.find(({ volumeGroup, name }) => volumeGroup === lvm.volumeGroup && name === lvm.thinPool);
  if (!pool) return undefined;
  const here = new Set(placements.filter((placement) => placement.host === host).map(({ name }) => name));
  const { extentBytes = EXTENT } = pool;
  const taken = pools
    .filter((one): one is CarvedPoolSpec => one.source === "hosts" && one.storage === "lvm-thin")
    .map(
      (one) =>
        machineRequests([one], cluster).filter(({ name }) => here.has(name)).length * diskBytes(one, extentBytes),
    )
    .reduce((sum, bytes) => sum + bytes, 0);
  const offered = Math.floor(pool.bytes * lvm.overcommit) - pool.foreignBytes;
  return { name: `${lvm.volumeGroup}/${lvm.thinPool}`, total: pool.bytes, offered, taken };
}

/** System disk and data disks of one machine, without block devices; each is rounded up to whole `unit`s. */
export function diskBytes({ disk, diskDevices, disks }: CarvedPoolSpec, unit = 1): number {
  const all = [{ size: disk, devices: diskDevices }, ...disks];
  return all
    .filter(({ devices }) => devices === undefined)
    .reduce<number>((sum, { size = 0 }) => sum + Math.ceil(size / unit) * unit, 0);
}

/**
 * Refuses machines whose disks are together larger than what their hosts' thin pools have, by the facts. The host itself is asked again when each
 * disk is made: only there it is known what kept disks and other stacks have by then.
 */
export function checkThinPools(
  hosts: readonly HostSpec[],
  pools: readonly PoolSpec[],
  cluster: string,
  placements: readonly Placement[],
): void {
  const faults = hosts.flatMap((host) => {
    const share = thinPoolShare(host, pools, cluster, placements);
    if (!share || share.taken <= share.offered) return [];
    // Away from each other, so that one extent too much is seen.
    const taken = gib(share.taken, Math.ceil);
    const [total, offered] = [gib(share.total, Math.floor), gib(share.offered, Math.floor)];
    const why = share.offered === share.total ? "" : `, of which ${offered} may be this stack's`;
    return `host ${host.name}: the disks of its machines are ${taken} together, and its thin pool ${share.name} has ${total}${why}: make them smaller, use more hosts, make the pool larger and probe again, or say how far volumes may together be larger than the pool (hosts.${host.name}.lvm.overcommit)`;
  });
  if (faults.length > 0) throw new PlacementError(faults.join("\n"));
}

function gib(bytes: number, round: (tenths: number) => number): string {
  return `${(round((bytes / 2 ** 30) * 10) / 10).toFixed(1)} GiB`;
}
