import { z } from "zod";
import { absolutePath, checkWith, devicePath, endpoint, name, orUnknown, owner } from "../core/check";
import type { CheckFailure } from "../core/kind";

const MIB = 1024 * 1024;
const cpu = z.int().min(0).max(4095);
const cpus = z.array(cpu);
const wholeMib = z
  .int()
  .min(64 * MIB)
  .multipleOf(MIB, "must be a whole number of MiB, in bytes");

const disk = {
  target: z.string().regex(/^vd[a-y]$/, "must be vda … vdy (vdz is the cloud-init seed)"),
  /** virtio-blk has room for 20 bytes. */
  serial: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,20}$/, "must be 1 to 20 letters, digits, '.', '_' or '-'")
    .optional(),
  cache: z.enum(["none", "directsync", "writethrough", "writeback"]).default("none"),
  io: z.enum(["native", "io_uring", "threads"]).default("native"),
  discard: z.enum(["unmap", "ignore"]).default("unmap"),
};
const fileDisk = z.strictObject({
  type: z.literal("file"),
  path: absolutePath,
  format: z.enum(["qcow2", "raw"]),
  ...disk,
});
const blockDisk = z.strictObject({ type: z.literal("block"), path: devicePath, format: z.literal("raw"), ...disk });

const mac = z
  .string()
  .toLowerCase()
  .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, "must be a MAC address, 52:54:00:12:34:56");
/** As the kernel names interfaces: 15 characters. */
const device = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/, "must be the name of an interface of the host");
const onBridge = z.strictObject({ type: z.literal("bridge"), bridge: device, mac });
const onNetwork = z.strictObject({ type: z.literal("network"), network: name, mac });
const onDevice = z.strictObject({
  type: z.literal("direct"),
  device,
  mode: z.enum(["bridge", "vepa", "private", "passthrough"]).default("bridge"),
  mac,
});

/** It goes through a shell, and no YAML may hold a NUL either. */
const seedText = z.string().refine((text) => !text.includes("\0"), "holds a NUL character: remove it");

export const domainArgs = z.strictObject({
  host: endpoint,
  owner,
  name,
  type: z.enum(["kvm", "qemu"]),
  vcpus: z.int().min(1).max(512),
  vcpuPins: cpus,
  emulatorPin: cpus,
  ioThreadPin: cpus,
  memoryBytes: wholeMib,
  numaNode: z.int().min(0).max(1023).optional(),
  hugepageBytes: z.int().min(4096).optional(),
  maxMemoryBytes: wholeMib.optional(),
  ioThreads: z.int().min(1).max(8).default(1),
  firmware: z.enum(["bios", "efi"]).default("bios"),
  disks: z.array(z.discriminatedUnion("type", [fileDisk, blockDisk])).min(1),
  interfaces: z.array(z.discriminatedUnion("type", [onBridge, onNetwork, onDevice])),
  cloudInit: (
    orUnknown(
      z.strictObject({ userData: seedText, metaData: seedText, networkConfig: seedText }),
    ) as z.ZodType<CloudInit>
  ).optional(),
  storage: absolutePath,
  autostart: z.boolean().default(true),
  restart: z
    .strictObject({
      when: z.enum(["never", "needed"]),
      endpoint: endpoint.optional(),
      drain: z.strictObject({ controlPlane: endpoint, node: name }).optional(),
    })
    .optional(),
});

export interface CloudInit {
  readonly userData: string;
  readonly metaData: string;
  readonly networkConfig: string;
}

export type DomainInputs = z.infer<typeof domainArgs>;
export type Disk = DomainInputs["disks"][number];
export type Interface = DomainInputs["interfaces"][number];

export interface DomainOutputs {
  readonly uuid: string;
  /** False, of one that is off or paused, is drift: `up` starts it, or lets it go on. */
  readonly running: boolean;
  /** What the host's definition has that no argument can hold, as refresh saw it. Anything is drift: `up` writes the definition anew. */
  readonly unmodelled: readonly string[];
}

export const checkDomain = checkWith(domainArgs, (inputs) => {
  const failures: CheckFailure[] = [];
  const fail = (property: string, reason: string): void => void failures.push({ property, reason });
  const pins = inputs.vcpuPins;
  if (pins.length !== 0 && pins.length !== inputs.vcpus) {
    fail("vcpuPins", `needs one host CPU for each of ${inputs.vcpus} vCPUs, or none at all; found ${pins.length}`);
  }
  pins.forEach((pin, i) => {
    if (pins.indexOf(pin) < i) fail(`vcpuPins[${i}]`, `CPU ${pin} is already vCPU ${pins.indexOf(pin)}'s`);
    if (inputs.emulatorPin.includes(pin))
      fail(`vcpuPins[${i}]`, `CPU ${pin} is the emulator's: a dedicated CPU serves its vCPU alone`);
    if (inputs.ioThreadPin.includes(pin))
      fail(`vcpuPins[${i}]`, `CPU ${pin} is the I/O thread's: a dedicated CPU serves its vCPU alone`);
  });
  if (inputs.hugepageBytes && inputs.memoryBytes % inputs.hugepageBytes !== 0) {
    fail("memoryBytes", `${inputs.memoryBytes} is no multiple of the hugepage size ${inputs.hugepageBytes}`);
  }
  if (inputs.maxMemoryBytes !== undefined && inputs.maxMemoryBytes < inputs.memoryBytes) {
    fail("maxMemoryBytes", `${inputs.maxMemoryBytes} is less than memoryBytes, ${inputs.memoryBytes}`);
  }
  if (inputs.maxMemoryBytes !== undefined && inputs.hugepageBytes !== undefined) {
    fail(
      "maxMemoryBytes",
      "a balloon can't give back parts of hugepages: leave out one of maxMemoryBytes and hugepageBytes",
    );
  }
  inputs.disks.forEach(({ cache, io, serial }, i) => {
    if (io === "native" && cache !== "none" && cache !== "directsync")
      fail(
        `disks[${i}].io`,
        `QEMU has native I/O only around the host's cache: with cache ${cache} give io_uring or threads`,
      );
    const same = inputs.disks.findIndex((other) => serial !== undefined && other.serial === serial);
    if (same !== -1 && same < i)
      fail(`disks[${i}].serial`, `${serial} is already the serial of disk ${inputs.disks[same]?.target}`);
  });
  const macs = inputs.interfaces.map((nic) => nic.mac);
  macs.forEach((one, i) => {
    if (macs.indexOf(one) < i) fail(`interfaces[${i}].mac`, `${one} is already interface ${macs.indexOf(one)}'s`);
  });
  const targets = inputs.disks.map((disk) => disk.target);
  targets.forEach((target, i) => {
    if (targets.indexOf(target) < i) fail(`disks[${i}].target`, `${target} is already another disk's`);
  });
  return failures;
});
