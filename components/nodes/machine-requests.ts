import type { CarvedPoolSpec, PoolSpec } from "../../config/spec";
import type { MachineRequest } from "./placement";

/** Node i of a carved pool. */
export function nodeName(cluster: string, pool: PoolSpec, index: number): string {
  return `${cluster}-${pool.name}-${index}`;
}

/** What the ledger is asked for: one request a machine of the carved pools. */
export function machineRequests(pools: readonly PoolSpec[], cluster: string): readonly MachineRequest[] {
  return pools
    .filter((pool): pool is CarvedPoolSpec => pool.source === "hosts")
    .flatMap((pool) =>
      Array.from({ length: pool.count }, (_, index) => ({
        name: nodeName(cluster, pool, index),
        pool: pool.name,
        index,
        role: pool.role,
        vcpus: pool.vcpus,
        memory: pool.memory,
        hosts: hostsFor(pool, index),
        cpu: pool.cpu,
      })),
    );
}

/** A machine with a block device is where that is; the parser makes sure that all of its devices are on one host of the pool. */
function hostsFor({ hosts, diskDevices, disks }: CarvedPoolSpec, index: number): readonly string[] {
  const lists = [diskDevices, ...disks.map(({ devices }) => devices)];
  const device = lists.flatMap((devices) => devices?.[index] ?? [])[0];
  return device ? [device.host] : hosts;
}
