import { expect } from "chai";
import fc from "fast-check";
import { checkDomain } from "../../provider/domain/schema";
import type { DomainInputs } from "../../provider/domain/schema";
import { domainInputs } from "./domain-inputs";

const MIB = 2 ** 20;
const anyDisk = fc.record({
  file: fc.boolean(),
  serial: fc.option(fc.stringMatching(/^[a-z0-9]{1,20}$/), { nil: undefined }),
  cache: fc.constantFrom("none", "directsync"),
  io: fc.constantFrom("native", "io_uring", "threads"),
  discard: fc.constantFrom("unmap", "ignore"),
});
/** Machines of every kind that check takes. */
export const anyDomain: fc.Arbitrary<DomainInputs> = fc
  .record({
    type: fc.constantFrom("kvm", "qemu"),
    vcpus: fc.integer({ min: 1, max: 12 }),
    pinned: fc.boolean(),
    emulatorPin: fc.constantFrom([], [0], [0, 1]),
    ioThreadPin: fc.constantFrom([], [1], [0, 1]),
    ioThreads: fc.integer({ min: 1, max: 8 }),
    memory: fc.integer({ min: 64, max: 65536 }),
    balloon: fc.option(fc.integer({ min: 0, max: 1024 }), { nil: undefined }),
    numaNode: fc.option(fc.nat(7), { nil: undefined }),
    firmware: fc.constantFrom("bios", "efi"),
    disks: fc.uniqueArray(anyDisk, { minLength: 1, maxLength: 5, selector: (disk) => disk.serial ?? {} }),
    interfaces: fc.array(fc.constantFrom("bridge", "network", "direct"), { maxLength: 3 }),
  })
  .map(({ pinned, memory, balloon, disks, interfaces, ...rest }) => {
    const { inputs, failures } = checkDomain({
      ...domainInputs(),
      ...rest,
      vcpuPins: pinned ? Array.from({ length: rest.vcpus }, (_, i) => i + 4) : [],
      memoryBytes: memory * MIB,
      maxMemoryBytes: balloon === undefined ? undefined : (memory + balloon) * MIB,
      disks: disks.map(({ file, ...disk }, i) => ({
        type: file ? "file" : "block",
        path: file ? `/srv/${i}.img` : `/dev/disk/by-path/pci-0000:01:00.0-nvme-${i}`,
        format: "raw",
        target: `vd${"abcde"[i]}`,
        ...disk,
      })),
      interfaces: interfaces.map((type, i) => {
        const mac = `52:54:00:00:00:0${i}`;
        if (type === "bridge") return { type, bridge: "br0", mac };
        return type === "network" ? { type, network: "default", mac } : { type, device: "eth0", mode: "bridge", mac };
      }),
    });
    expect(failures).to.deep.equal([]);
    const { maxMemoryBytes, numaNode, ...others } = inputs;
    return {
      ...others,
      ...(maxMemoryBytes === undefined ? {} : { maxMemoryBytes }),
      ...(numaNode === undefined ? {} : { numaNode }),
      disks: others.disks.map(({ serial, ...disk }) => (serial === undefined ? disk : { ...disk, serial })),
    };
  });
