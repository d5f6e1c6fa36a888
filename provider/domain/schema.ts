import { z } from "zod";
import { absolutePath, checkWith, endpoint, name, orUnknown, owner } from "../core/check";
import { changesOf } from "../core/diff";
import type { Change, CheckFailure } from "../core/kind";

const MIB = 1024 * 1024;
const cpu = z.int().min(0).max(4095);
const cpus = z.array(cpu);

export const domainArgs = z.strictObject({
  host: endpoint,
  owner,
  name,
  type: z.enum(["kvm", "qemu"]),
  vcpus: z.int().min(1).max(512),
  vcpuPins: cpus,
  emulatorPin: cpus,
  ioThreadPin: cpus,
  memoryBytes: z
    .int()
    .min(64 * MIB)
    .multipleOf(MIB, "must be a whole number of MiB, in bytes"),
  numaNode: z.int().min(0).max(1023).optional(),
  hugepageBytes: z.int().min(4096).optional(),
  disks: z
    .array(
      z.strictObject({
        path: absolutePath,
        format: z.enum(["qcow2", "raw"]),
        target: z.string().regex(/^vd[a-y]$/, "must be vda … vdy (vdz is the cloud-init seed)"),
      }),
    )
    .min(1),
  interfaces: z.array(
    z.strictObject({
      bridge: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/, "must be the name of a Linux bridge"),
      mac: z
        .string()
        .toLowerCase()
        .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, "must be a MAC address, 52:54:00:12:34:56"),
    }),
  ),
  cloudInit: orUnknown(
    z.strictObject({ userData: z.string(), metaData: z.string(), networkConfig: z.string() }),
  ) as z.ZodType<CloudInit>,
  storage: absolutePath,
  autostart: z.boolean().default(true),
});

export interface CloudInit {
  readonly userData: string;
  readonly metaData: string;
  readonly networkConfig: string;
}

export type DomainInputs = z.infer<typeof domainArgs>;

export interface DomainOutputs {
  readonly uuid: string;
  /** False is drift: `up` starts it. */
  readonly running: boolean;
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
  const targets = inputs.disks.map((disk) => disk.target);
  targets.forEach((target, i) => {
    if (targets.indexOf(target) < i) fail(`disks[${i}].target`, `${target} is already another disk's`);
  });
  return failures;
});

/** What each changed argument does. `reboot`: at the next start of the domain. */
const EFFECTS = {
  host: "record",
  owner: "live",
  name: "replace",
  type: "replace",
  vcpus: "reboot",
  vcpuPins: "live",
  emulatorPin: "live",
  ioThreadPin: "live",
  memoryBytes: "reboot",
  numaNode: "reboot",
  hugepageBytes: "reboot",
  disks: "reboot",
  interfaces: "reboot",
  cloudInit: "reboot",
  storage: "replace",
  autostart: "live",
} as const;

export function diffDomain(olds: DomainInputs & DomainOutputs, news: DomainInputs): Change[] {
  const changes = changesOf<DomainInputs>(olds, news, EFFECTS);
  // Seen by refresh: a machine that this stack wants is down.
  if (!olds.running) changes.push({ property: "running", effect: "live" });
  return changes;
}
