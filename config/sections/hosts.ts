import { z } from "zod";
import { fail, warn, type Draft, type Findings } from "../draft";
import { endpoint, location } from "../endpoint";
import { missingSoftware, type HostFacts } from "../facts";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { hugepagesOf } from "../preparation";
import { didYouMean } from "../problems";
import { cpuSet, formatBytes, formatCpuSet, type Bytes, type CpuSet } from "../units";
import * as preparation from "./host-preparation";

/** `hosts.<host>`: a KVM host that machines are carved from. */
export const entry = z.strictObject({
  endpoint,
  location,
  facts: field
    .text("what the host is: a file, relative to the checkout, that `npm run facts -- <host>` writes; commit it")
    .meta({ absent: "`facts/<host>.json`" })
    .optional(),
  housekeeping: field
    .cpuList("CPUs for the host itself, emulator and I/O threads")
    .meta({ absent: "first core of each NUMA node, with its siblings" })
    .optional(),
  reserved: z
    .strictObject({
      cpus: field.cpuList(
        "CPUs that this stack leaves to others, with their whole cores: two stacks that share a host each reserve what is the other's",
      ),
      memory: field.bytes("memory that goes with them").optional(),
    })
    .meta({ description: "left to others on this host, such as another stack of kvmesh" })
    .optional(),
  tolerate: z
    .array(z.string().min(1))
    .meta({
      description:
        "machines of others, by name, that may float over all CPUs of the host; production refuses any other such one",
    })
    .default([]),
  storage: field.absolutePath("folder on the host for images and disks").default("/var/lib/kvmesh"),
  lvm: z
    .strictObject({
      volumeGroup: field.lvmName("volume group of the host"),
      thinPool: field.lvmName(
        "thin pool in it, which the host has: kvmesh makes volumes in it and never the pool itself ([machines.md](machines.md#thin-volumes))",
      ),
      overcommit: z
        .number()
        .min(1)
        .max(20)
        .meta({
          description:
            "sizes of all volumes of the thin pool together may be so many times its size; at 1 it can't run full",
        })
        .default(1),
    })
    .meta({ description: "where the disks of pools with `storage: lvm-thin` are" })
    .optional(),
  accelerator: z
    .enum(["kvm", "qemu"])
    .meta({ description: "libvirt domain type; `qemu` is emulation: refused in production" })
    .default("kvm"),
  hugepages: field.bytes("back machines with pages of this size; only those are then counted as free").optional(),
  prepare: preparation.schema.optional(),
});

export type HostEntry = Immutable<z.output<typeof entry>>;

/** A host with its facts: read from the file that the stack file names, so that a preview reads no host. */
export interface HostSpec extends Omit<HostEntry, "facts"> {
  readonly name: string;
  readonly facts: HostFacts;
  /** Where these facts are, relative to the checkout. */
  readonly factsFile: string;
  readonly housekeeping: CpuSet;
}

/** What is reserved is called so among the machines of others. */
export const RESERVED = "(reserved)";

/** What the stack leaves to others counts as a machine of theirs: the ledger, its errors and the capacity report need to know no more. */
function reservedOf({ reserved, hugepages }: HostEntry): HostFacts["foreign"] {
  if (reserved === undefined) return [];
  const { cpus, memory = 0 } = reserved;
  const pages = hugepages === undefined ? {} : { hugepageBytes: hugepages };
  return [
    { name: RESERVED, uuid: "", vcpus: cpus.length, cpus, floating: 0, memoryBytes: memory, nodes: [], ...pages },
  ];
}

export function complete(name: string, given: HostEntry, facts: HostFacts): HostSpec {
  const housekeeping = given.housekeeping ?? defaultHousekeeping(facts);
  return {
    ...given,
    name,
    facts: { ...facts, foreign: [...facts.foreign, ...reservedOf(given)] },
    factsFile: given.facts ?? factsFileOf(name),
    housekeeping,
  };
}

/** Where a host's facts are unless the stack file says otherwise. */
export function factsFileOf(host: string): string {
  return `facts/${host}.json`;
}

/** The first core of each NUMA node, with all its siblings. */
export function defaultHousekeeping(facts: HostFacts): CpuSet {
  const first = new Map<number, { readonly socket: number; readonly core: number }>();
  for (const cpu of [...facts.cpus].sort((a, b) => a.cpu - b.cpu)) {
    if (!first.has(cpu.node)) first.set(cpu.node, cpu);
  }
  const kept = facts.cpus.filter((cpu) => {
    const core = first.get(cpu.node)!;
    return cpu.socket === core.socket && cpu.core === core.core;
  });
  return cpuSet(kept.map((cpu) => cpu.cpu));
}

export function check({ hosts }: Draft, findings: Findings): void {
  const servers = new Map<string, string>();
  for (const host of hosts) {
    const { name, endpoint, facts, housekeeping, accelerator, hugepages } = host;
    const at = ["hosts", name];
    const server = `${endpoint.address}:${endpoint.port} ${endpoint.bastion?.address ?? ""}`;
    const other = servers.get(server);
    if (other)
      fail(
        findings,
        [...at, "endpoint", "address"],
        endpoint.address,
        `host ${other} is the same server: its cores would be counted twice`,
      );
    servers.set(server, name);

    const cpus = new Set(facts.cpus.map((cpu) => cpu.cpu));
    const unknown = housekeeping.filter((cpu) => !cpus.has(cpu));
    const all = formatCpuSet([...cpus]);
    if (unknown.length > 0) {
      fail(
        findings,
        [...at, "housekeeping"],
        formatCpuSet(housekeeping),
        `the host has no CPU ${formatCpuSet(unknown)}; it has ${all}`,
      );
    } else if (housekeeping.length === cpus.size) {
      fail(
        findings,
        [...at, "housekeeping"],
        formatCpuSet(housekeeping),
        `these are all CPUs of the host (${all}): none is left for machines`,
      );
    }
    const noneSuch = (host.reserved?.cpus ?? []).filter((cpu) => !cpus.has(cpu));
    if (noneSuch.length > 0)
      fail(
        findings,
        [...at, "reserved", "cpus"],
        formatCpuSet(host.reserved!.cpus),
        `the host has no CPU ${formatCpuSet(noneSuch)}; it has ${all}`,
      );
    checkForeign(host, findings);
    checkSoftware(host, findings);
    checkThinPool(host, findings);
    if (accelerator === "kvm" && facts.accelerator === "qemu") {
      const message =
        "the facts say that no KVM guest starts on this host: enable virtualization there and probe again, or write qemu (emulation)";
      fail(findings, [...at, "accelerator"], accelerator, message);
    }
    const pages = hugepagesOf(host).filter(({ count }) => count > 0);
    if (hugepages !== undefined && !pages.some(({ sizeBytes }) => sizeBytes === hugepages)) {
      const sizes = [...new Set(pages.map(({ sizeBytes }) => formatBytes(sizeBytes as Bytes)))];
      const there = sizes.length > 0 ? `it has pages of ${sizes.join(", ")}` : "it has none configured";
      const message = `the host has no such hugepages; ${there}: give prepare.hugepages, or set them aside and probe again`;
      fail(findings, [...at, "hugepages"], formatBytes(hugepages), message);
    }
  }
}

/** A host may be declared before anything is installed on it: preparation does that, and `up` finds out whether it works. */
function checkSoftware({ name, facts, prepare }: HostSpec, findings: Findings): void {
  const missing = missingSoftware(facts);
  if (missing === undefined) return;
  const at = ["hosts", name, "facts"];
  const again = `then probe it again with \`npm run facts -- ${name}\``;
  if (prepare?.packages === true) {
    warn(
      findings,
      at,
      `no ${missing}`,
      `\`pulumi up\` installs it before anything else there (prepare.packages); ${again}`,
    );
  } else {
    const message = `machines need it: write prepare.packages: true, and \`pulumi up\` installs it; or install it by hand (docs/hosts.md), ${again}`;
    fail(findings, at, `no ${missing}`, message);
  }
}

/** Production refuses what is only warned about here, on `up`: config/production.ts. */
function checkForeign(host: HostSpec, findings: Findings): void {
  for (const machine of untolerated(host)) {
    const message = `it is not ours, and ${machine.floating} of its vCPUs float over all CPUs of the host, dedicated ones too: ${REMEDY}`;
    warn(findings, ["hosts", host.name, "facts"], machine.name, message);
  }
  host.tolerate.forEach((name, i) => {
    if (host.facts.foreign.some((machine) => machine.name === name && machine.floating > 0)) return;
    const names = host.facts.foreign.filter(({ floating }) => floating > 0).map((machine) => machine.name);
    const message = `no machine of this name floats on the host.${didYouMean(name, names)} Remove it, or probe the host again`;
    warn(findings, ["hosts", host.name, "tolerate", i], name, message);
  });
}

const REMEDY = "pin them with `virsh vcpupin`, then probe the host again; or allow it by its name in `tolerate`";

/** Machines of others whose vCPUs may run on any CPU of the host, and that the stack file does not allow. */
export function untolerated({ facts, tolerate }: HostSpec): HostSpec["facts"]["foreign"] {
  return facts.foreign.filter(({ name, floating }) => floating > 0 && !tolerate.includes(name));
}

/** A thin pool that the facts don't know would be found missing by `up`. */
function checkThinPool({ name, lvm, facts, factsFile }: HostSpec, findings: Findings): void {
  if (lvm === undefined) return;
  if (facts.thinPools.some((pool) => pool.volumeGroup === lvm.volumeGroup && pool.name === lvm.thinPool)) return;
  const known = facts.thinPools.map((pool) => `${pool.volumeGroup}/${pool.name}`);
  const there = known.length > 0 ? `they know ${known.join(", ")}` : "they know none";
  const message = `the facts of this host (${factsFile}) have no such thin pool, ${there}: correct it; or make it there (docs/machines.md) and probe again with \`npm run facts -- ${name}\``;
  fail(findings, ["hosts", name, "lvm", "thinPool"], `${lvm.volumeGroup}/${lvm.thinPool}`, message);
}
