import { z } from "zod";
import type { TaintSpec } from "../spec";
import { endpoint, location } from "./endpoint";
import * as field from "./fields";

function parseTaint(text: string): TaintSpec {
  const match = /^([A-Za-z0-9][\w./-]{0,252})(?:=([\w.-]{1,63}))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text);
  if (!match)
    throw new Error("give key:effect or key=value:effect; effects are NoSchedule, PreferNoSchedule, NoExecute");
  const [, key, value, effect] = match;
  return { key: key!, ...(value === undefined ? {} : { value }), effect: effect as TaintSpec["effect"] };
}

const pool = {
  role: z.enum(["control-plane", "worker"]),
  labels: field.labels.meta({ description: "Kubernetes node labels" }).default({}),
  maxFsync: field
    .duration(
      "99th percentile of fdatasync above this refuses a control plane in production, and is warned of elsewhere",
    )
    .prefault("10ms"),
  dataFolder: field
    .absolutePath("Folder whose disk is measured; default /var/lib/etcd on control planes, else /var/lib")
    .optional(),
  taints: z
    .array(field.parsed(parseTaint, "Taint that the pool's nodes register with", ["dedicated=batch:NoSchedule"]))
    .default([]),
};

const device = z
  .strictObject({
    host: field.text("Host that the device is in: the machine is placed there"),
    id: z
      .string()
      .regex(
        /^\/dev\/disk\/by-[a-z]+\/(?!\.\.?$)[\w.@+:-]+$/,
        "give a stable name of the device, such as /dev/disk/by-id/nvme-…: a disk or a partition",
      )
      .meta({ description: "Stable name of the device on its host", examples: ["/dev/disk/by-id/nvme-…"] }),
    serial: z
      .string()
      .regex(
        /^[\w.:-]([\w .:-]{0,98}[\w.:-])?$/,
        "give the serial number that `lsblk -o NAME,SERIAL` shows for the disk",
      )
      .meta({ description: "Serial number of the disk; a device that has another one is refused" }),
  })
  .meta({ description: "A block device of a host" });

const dataDisk = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/,
      "a disk's name is its serial: lower-case letters, digits and hyphens, at most 20",
    )
    .meta({ description: "Name, and the disk's serial in the machine: /dev/disk/by-id/virtio-<name>" }),
  size: field.bytes("Size of the disk; it can grow. With devices: what each has at least").optional(),
  devices: z
    .array(device)
    .min(1)
    .meta({ description: "Block devices of the hosts instead of files: machine i gets devices[i]" })
    .optional(),
  format: z
    .enum(["raw", "qcow2"])
    .meta({ description: "raw takes its space at once; qcow2 as it is filled" })
    .default("raw"),
  onDestroy: z
    .enum(["keep", "remove"])
    .meta({
      description: "keep: a destroyed machine's disk stays on its host, and the next one of the same name has it",
    })
    .default("keep"),
  mount: z
    .strictObject({
      path: z
        .string()
        .regex(/^(\/(?!\.\.?(\/|$))[\w.-]+)+$/, "give an absolute path of letters, digits, dot, underscore and hyphen")
        .meta({ description: "Where the machine mounts it", examples: ["/var/lib/etcd"] }),
      filesystem: z
        .enum(["ext4", "xfs"])
        .meta({ description: "Made when the disk is blank; a disk that holds anything is never formatted" })
        .default("ext4"),
    })
    .optional(),
});

export const carvedPool = z
  .strictObject({
    ...pool,
    count: field.count("Number of machines", 0, 5000),
    vcpus: field.count("vCPUs of each machine", 1, 512),
    memory: field.bytes("Memory of each machine"),
    disk: field.bytes("System disk of each machine; with diskDevices: what each device has at least"),
    diskDevices: z
      .array(device)
      .min(1)
      .meta({
        description:
          "Block devices of the hosts as system disks, written from the image: machine i gets diskDevices[i]",
      })
      .optional(),
    storage: z
      .enum(["directory", "lvm-thin"])
      .meta({
        description:
          "Where the machines' disks are: files in the host's `storage`, or volumes in its thin pool (`lvm`)",
      })
      .default("directory"),
    disks: z
      .array(dataDisk)
      .max(23)
      .meta({ description: "Data disks of each machine: they outlive its replacement" })
      .default([]),
    addresses: field.addresses,
    hosts: z.array(z.string()).min(1).meta({ description: "Hosts to use; default: all" }).optional(),
    cpu: z
      .enum(["dedicated", "shared"])
      .meta({ description: "dedicated: each vCPU has a host CPU of its own; shared is refused in production" })
      .default("dedicated"),
    maxSteal: field.percent("Steal above this, seen from inside, fails the machine's check; default 1").optional(),
    restart: z
      .enum(["never", "needed"])
      .meta({
        description: "needed: a change that a running machine can't take restarts it, drained, one machine at a time",
      })
      .default("never"),
  })
  .meta({ description: "Machines carved from hosts" });

const machine = z.strictObject({
  endpoint,
  location,
  plan: z
    .enum(["dedicated", "metal", "shared"])
    .meta({ description: "What the operator sells; shared is refused in production" }),
  vcpus: field.count("vCPUs that the plan promises", 1, 512),
  nodeAddress: field.address.optional(),
  maxSteal: field.percent("Steal above this fails the check from inside").prefault(1),
  hypervisors: z
    .array(z.string().min(1))
    .min(1)
    .meta({ description: "What systemd-detect-virt may say inside; default: none for metal, kvm for the others" })
    .optional(),
});

export const existingPool = z
  .strictObject({
    ...pool,
    machines: z.record(field.dnsLabel, machine).meta({ description: "Machines by Kubernetes node name" }),
  })
  .meta({ description: "Machines that exist; never created or destroyed" });

export type CarvedPoolEntry = z.output<typeof carvedPool>;
export type ExistingPoolEntry = z.output<typeof existingPool>;
