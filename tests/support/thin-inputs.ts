import { domainKind } from "../../provider/domain/domain";
import type { DomainInputs } from "../../provider/domain/schema";
import type { Endpoint } from "../../provider/transport/transport";
import type { VolumeInputs } from "../../provider/volume/schema";
import { volumeKind } from "../../provider/volume/volume";

const MIB = 2 ** 20;
export const owner = { project: "contract", stack: "test", cluster: "test", environment: "development" } as const;
export const thinPool = { volumeGroup: "contract", name: "machines", overcommit: 1 };

/** A data disk of 64 MiB in the thin pool `contract/machines` of a host, kept on destroy, changed by what a test is about. */
export function thinVolume(host: Endpoint, change: Partial<VolumeInputs> = {}): VolumeInputs {
  return volumeKind.check({
    ...{ host, owner, name: "thin-0.etcd", thinPool, capacityBytes: 64 * MIB, format: "raw", onDestroy: "keep" },
    ...change,
  }).inputs;
}

/** A machine without a system or a network, that has these block devices. */
export function thinMachine(host: Endpoint, storage: string, disks: readonly object[]): DomainInputs {
  return domainKind.check({
    ...{ host, owner, name: "thin-0", type: "qemu", vcpus: 1, vcpuPins: [], emulatorPin: [], ioThreadPin: [] },
    ...{ memoryBytes: 64 * MIB, interfaces: [], storage, autostart: false },
    disks: disks.map((disk) => ({ type: "block", format: "raw", ...disk })),
  }).inputs;
}
