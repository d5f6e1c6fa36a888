import { z } from "zod";
import type { TaintSpec } from "../spec";
import { parseDuration } from "../units";
import * as field from "./fields";

function parseTaint(text: string): TaintSpec {
  const match = /^([A-Za-z0-9][\w./-]{0,252})(?:=([\w.-]{1,63}))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text);
  if (!match)
    throw new Error("give key:effect or key=value:effect; effects are NoSchedule, PreferNoSchedule, NoExecute");
  const [, key, value, effect] = match;
  return { key: key!, ...(value === undefined ? {} : { value }), effect: effect as TaintSpec["effect"] };
}

const server = {
  address: field.text("Host name or IP address"),
  port: field.port("SSH port").default(22),
  user: field.text("Login name; needs sudo without a password unless it is root").default("root"),
  hostKey: field.hostKey,
};

const endpoint = z
  .strictObject({
    ...server,
    bastion: z.strictObject(server).meta({ description: "SSH server to go through" }).optional(),
  })
  .meta({ description: "SSH server and the key that proves it" });

const location = z
  .strictObject({
    country: field.country,
    site: field.text("City or data centre").optional(),
    operator: field.text("Who runs the hardware").optional(),
  })
  .meta({ description: "Where the hardware stands" });

export const ssh = z.strictObject({
  identityFile: field.ownFile("Private key file, absolute or below ~/; default: the SSH agent").optional(),
  authorizedKeys: z
    .array(field.authorizedKey)
    .meta({ description: "Public keys that may log in to carved machines: at least the identity's own" })
    .default([]),
});

export const timeouts = z.strictObject({
  connect: field.duration("One TCP connect and SSH handshake").prefault("15s"),
  boot: field.duration("From a machine's start to its first SSH login").prefault("5m"),
  kubeadm: field.duration("kubeadm init or join of one machine").prefault("10m"),
  rollout: field.duration("A Helm release or a Deployment until it is ready").prefault("10m"),
});

/** A limit in whole seconds, because that is what the tools on the machines take. */
const seconds = (description: string, most: number) =>
  field.parsed(
    (text) => {
      const duration = parseDuration(text);
      if (duration % 1000 !== 0 || duration < 1000 || duration > most * 1000) {
        throw new Error(`write whole seconds from 1s to ${most}s`);
      }
      return duration;
    },
    description,
    ["10s"],
  );

export const evidence = z
  .strictObject({
    maxAge: field.age("Older evidence is measured again by `up`").prefault("30d"),
    window: seconds("Over which steal is measured, with every vCPU busy", 300).prefault("10s"),
    fsync: z
      .strictObject({
        writers: z
          .array(field.count("Writers at once", 1, 64))
          .min(1)
          .meta({ description: "One run of fio each; the fewest are judged, the others only told" })
          .default([1, 2, 4]),
        size: field.bytes("Written by each writer").prefault("22MiB"),
        time: seconds("A run ends after so long, whatever is written by then", 300).prefault("10s"),
        install: field
          .flag("Carved machines without fio get it by apt-get, where they can reach a mirror")
          .default(true),
      })
      .meta({ description: "fio, writing as etcd writes" })
      .prefault({}),
  })
  .meta({ description: "How machines are measured before anything is installed on them" });

const preparation = z
  .strictObject({
    packages: field.flag("Install libvirt, QEMU and what else is needed; Debian and Ubuntu").default(false),
    hugepages: z
      .strictObject({
        size: field.bytes("Size of a page: 2MiB or 1GiB"),
        count: field.count("Pages on each NUMA node", 1, 1_000_000),
      })
      .meta({ description: "Hugepages to set aside; they count in the core ledger before they are there" })
      .optional(),
    isolateCpus: field.flag("Take all CPUs but the housekeeping ones from the kernel's scheduler").default(false),
    sysctl: z
      .record(
        z.string().regex(/^[A-Za-z0-9_][\w./-]*$/, "a sysctl's name is such as vm.swappiness"),
        z
          .union([z.int(), z.string().regex(/^[^\p{Cc}\s][^\p{Cc}]*$/u, "give one line of text")])
          .transform((value) => String(value)),
      )
      .meta({ description: "Kernel settings, by name" })
      .default({}),
    reboot: z
      .enum(["never", "when-needed"])
      .meta({
        description: "never: what waits for a boot is only said; when-needed: booted, while no machine runs there",
      })
      .default("never"),
  })
  .meta({ description: "What the host is made into, over SSH, before anything else is done there" });

export const host = z.strictObject({
  endpoint,
  location,
  facts: field
    .text("Facts file, relative to the checkout, written by `npm run facts`; default facts/<host>.json")
    .optional(),
  housekeeping: field
    .cpuList("CPUs kept for the host itself; default: the first core of each NUMA node, with its siblings")
    .optional(),
  tolerate: z
    .array(z.string().min(1))
    .meta({
      description:
        "Machines of others, by name, that may float over all CPUs of the host; production refuses any other",
    })
    .default([]),
  storage: field.absolutePath("Folder on the host for images and disks").default("/var/lib/kvmesh"),
  lvm: z
    .strictObject({
      volumeGroup: field.lvmName("Volume group of the host"),
      thinPool: field.lvmName("Thin pool in it; kvmesh makes volumes in it and never the pool itself"),
      overcommit: z
        .number()
        .min(1)
        .max(20)
        .meta({
          description: "Sizes of all volumes together may be so many times the pool's; 1: it can never run full",
        })
        .default(1),
    })
    .meta({ description: "Where the disks of pools with `storage: lvm-thin` are" })
    .optional(),
  accelerator: z
    .enum(["kvm", "qemu"])
    .meta({ description: "libvirt domain type; qemu is emulation, refused in production" })
    .default("kvm"),
  hugepages: field.bytes("Back machines with hugepages of this size; default: none").optional(),
  prepare: preparation.optional(),
});

export const image = z.strictObject({
  name: z
    .string()
    .regex(/^[\w][\w.-]{0,127}$/, "a file name has letters, digits, dot, underscore and hyphen")
    .meta({ description: "File name of the image on the hosts" }),
  url: z
    .url({ protocol: /^https?$/, error: "give an http or https URL" })
    .meta({ description: "Downloaded by each host" })
    .optional(),
  file: field.text("Uploaded from here: a path relative to the checkout").optional(),
  digest: field.digest,
  format: z.enum(["qcow2", "raw"]).default("qcow2"),
});

const interfaceName = (description: string) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,15}$/, "a Linux interface name has 1 to 15 letters, digits, _, . and -")
    .meta({ description });

export const network = z.strictObject({
  type: z
    .enum(["bridge", "network", "nat", "macvtap"])
    .meta({
      description: "A Linux bridge, a libvirt network that exists, a NAT network of ours, or an interface of the host",
    })
    .default("bridge"),
  bridge: interfaceName(
    "Linux bridge on each host; of a NAT network: the one that is made, default its name",
  ).optional(),
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "a network's name has letters, digits, dot, underscore and hyphen")
    .meta({ description: "Name of the libvirt network; of a NAT network: default the cluster's" })
    .optional(),
  device: interfaceName("macvtap: interface of each host").optional(),
  mode: z
    .enum(["bridge", "vepa", "private", "passthrough"])
    .meta({ description: "macvtap: how machines of one host see each other; default bridge" })
    .optional(),
  cidr: field.cidr("The machines' network"),
  gateway: field.address.optional(),
  nameservers: z.array(field.address).default([]),
  viaHost: field
    .flag(
      "Reach machines through their host's SSH server; false (default with macvtap): this machine has a route to them",
    )
    .optional(),
});

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

export type EndpointEntry = z.output<typeof endpoint>;
export type HostEntry = z.output<typeof host>;
export type CarvedPoolEntry = z.output<typeof carvedPool>;
export type ExistingPoolEntry = z.output<typeof existingPool>;
