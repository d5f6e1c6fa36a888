import { z } from "zod";
import { endpoint, location } from "./endpoint";
import * as field from "./fields";

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
  reserved: z
    .strictObject({
      cpus: field.cpuList("CPUs that this stack never gives to a machine; their whole cores are left alone"),
      memory: field.bytes("Memory that goes with them").optional(),
    })
    .meta({ description: "Left to others on this host, such as another stack of kvmesh" })
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

export type HostEntry = z.output<typeof host>;
