import { differences, isAnotherHost } from "../core/diff";
import type { Change } from "../core/kind";
import { UNKNOWN } from "../core/kind";
import type { DomainInputs, DomainOutputs } from "./schema";

/** What happened to one argument, or to one entry of `disks` (by its target) or `interfaces` (by its MAC). */
type Event = "added" | "removed" | "changed";

interface ChangeRule {
  readonly argument: keyof DomainInputs | keyof DomainOutputs;
  /** In words; absent: whatever no rule above it is about. */
  readonly when?: string;
  readonly applies?: (olds: DomainInputs, news: DomainInputs, event: Event, index: number) => boolean;
  readonly effect: Change["effect"];
  /** Why; shown in the plan. */
  readonly reason: string;
}

/**
 * What each changed argument does, and why: for `diff`, and for docs/machines.md, which a test compares with it. The first rule of an
 * argument that applies counts. `reboot`: at the machine's next start.
 */
export const CHANGE_RULES: readonly ChangeRule[] = [
  {
    argument: "host",
    when: "another address and another host key",
    applies: (olds, news) => isAnotherHost(olds.host, news.host),
    effect: "replace",
    reason: "another host: nothing is copied to it",
  },
  { argument: "host", effect: "record", reason: "it is only how the host is reached" },
  { argument: "owner", effect: "live", reason: "the mark in the machine's metadata is written anew" },
  { argument: "name", effect: "replace", reason: "seed, log and leases on the host have the machine's name" },
  { argument: "type", effect: "replace", reason: "the guest would wake up on other hardware" },
  { argument: "vcpus", effect: "reboot", reason: "QEMU gets its vCPUs at start" },
  {
    argument: "vcpuPins",
    when: "no pins any more",
    applies: (_olds, news) => news.vcpuPins.length === 0,
    effect: "reboot",
    reason: "running threads keep their CPUs",
  },
  { argument: "vcpuPins", effect: "live", reason: "the vCPUs' threads move at once" },
  {
    argument: "emulatorPin",
    when: "no pins any more",
    applies: (_olds, news) => news.emulatorPin.length === 0,
    effect: "reboot",
    reason: "running threads keep their CPUs",
  },
  { argument: "emulatorPin", effect: "live", reason: "the emulator's threads move at once" },
  {
    argument: "ioThreadPin",
    when: "no pins any more",
    applies: (_olds, news) => news.ioThreadPin.length === 0,
    effect: "reboot",
    reason: "running threads keep their CPUs",
  },
  { argument: "ioThreadPin", effect: "live", reason: "the I/O threads move at once" },
  {
    argument: "memoryBytes",
    when: "within maxMemoryBytes",
    applies: ({ maxMemoryBytes = 0 }, news) => news.maxMemoryBytes !== undefined && news.memoryBytes <= maxMemoryBytes,
    effect: "live",
    reason: "the balloon gives or takes it, up to maxMemoryBytes",
  },
  {
    argument: "memoryBytes",
    when: "no maxMemoryBytes",
    applies: (olds) => olds.maxMemoryBytes === undefined,
    effect: "reboot",
    reason: "QEMU gets its memory at start (no maxMemoryBytes)",
  },
  { argument: "memoryBytes", effect: "reboot", reason: "it is more than the maxMemoryBytes that QEMU got at start" },
  { argument: "maxMemoryBytes", effect: "reboot", reason: "QEMU gets the balloon and its limit at start" },
  { argument: "numaNode", effect: "reboot", reason: "memory is taken from its node at start" },
  { argument: "hugepageBytes", effect: "reboot", reason: "memory is taken from its pages at start" },
  { argument: "ioThreads", effect: "reboot", reason: "disks get their I/O threads at start" },
  { argument: "firmware", effect: "reboot", reason: "it is loaded at start; the disk must be able to boot with it" },
  {
    argument: "disks",
    when: "added",
    applies: (_olds, _news, event) => event === "added",
    effect: "live",
    reason: "it is attached to the running machine",
  },
  {
    argument: "disks",
    when: "removed",
    applies: (_olds, _news, event) => event === "removed",
    effect: "live",
    reason: "it is detached when the guest agent says that nothing on it is mounted, else left until the next start",
  },
  {
    argument: "disks",
    when: "made anew (its path is not known yet)",
    applies: (_olds, news, _event, index) => !Array.isArray(news.disks) || news.disks[index]?.path === UNKNOWN,
    effect: "replace",
    reason: "the old disk can go only after the machine that runs on it",
  },
  { argument: "disks", effect: "reboot", reason: "a running machine keeps a disk as it was attached" },
  {
    argument: "interfaces",
    when: "added",
    applies: (_olds, _news, event) => event === "added",
    effect: "live",
    reason: "it is attached to the running machine; the guest must set it up",
  },
  {
    argument: "interfaces",
    when: "removed",
    applies: (_olds, _news, event) => event === "removed",
    effect: "live",
    reason: "it is detached from the running machine",
  },
  { argument: "interfaces", effect: "reboot", reason: "a running machine keeps an interface as it was attached" },
  {
    argument: "cloudInit",
    when: "with another instance-id",
    applies: (olds, news) => {
      const [before, after] = [instanceId(olds), instanceId(news)];
      return before !== undefined && after !== undefined && before !== after;
    },
    effect: "reboot",
    reason:
      "cloud-init takes the next start for a first boot: users, keys, host keys, network and packages are set up again",
  },
  {
    argument: "cloudInit",
    effect: "reboot",
    reason:
      "the seed is made anew, but cloud-init sets a machine up once per instance-id, which stays: users, keys, network and packages " +
      "stay as they are until the instance-id is another one or the machine is replaced",
  },
  { argument: "storage", effect: "replace", reason: "the machine's seed and log are in it" },
  { argument: "autostart", effect: "live", reason: "libvirt notes it for the host's next start" },
  {
    argument: "restart",
    when: "to needed",
    applies: (olds, news) => olds.restart?.when !== "needed" && news.restart?.when === "needed",
    effect: "reboot",
    reason: "it restarts if an earlier change still waits for that",
  },
  { argument: "restart", effect: "record", reason: "it says what later changes do" },
  { argument: "running", effect: "live", reason: "it is off or paused, and is started or goes on" },
  {
    argument: "unmodelled",
    effect: "reboot",
    reason: "somebody else changed the definition; it is written anew without that",
  },
];

export function diffDomain(olds: DomainInputs & DomainOutputs, news: DomainInputs): Change[] {
  const changes = [...new Set(CHANGE_RULES.map((rule) => rule.argument))].flatMap((argument) => {
    if (argument === "disks") return listChanges(argument, olds, news, (disk) => disk.target);
    if (argument === "interfaces") return listChanges(argument, olds, news, (nic) => nic.mac);
    // Outputs are what refresh saw; nobody declares them.
    if (argument === "uuid" || argument === "running" || argument === "unmodelled") return [];
    return differences(argument, olds[argument], news[argument]).map((path) => change(path, argument, olds, news));
  });
  if (!olds.running) changes.push(change("running", "running", olds, news));
  // A state of an earlier version has no such list.
  if ((olds.unmodelled as DomainOutputs["unmodelled"] | undefined)?.length)
    changes.push(change("unmodelled", "unmodelled", olds, news));
  return changes;
}

/** Entries are the same when their keys are, wherever they stand. */
function listChanges<A extends "disks" | "interfaces">(
  argument: A,
  olds: DomainInputs,
  news: DomainInputs,
  keyOf: (entry: DomainInputs[A][number]) => string,
): Change[] {
  const before: readonly DomainInputs[A][number][] = olds[argument];
  const after: readonly DomainInputs[A][number][] = news[argument];
  // The engine asks so whether a disk's replacement replaces what is made of it: with the whole list unknown.
  if ((after as unknown) === UNKNOWN) return [change(argument, argument, olds, news)];
  const changed = after.flatMap((entry, index) => {
    const old = before.find((other) => keyOf(other) === keyOf(entry));
    const path = `${argument}[${index}]`;
    if (!old) return [change(path, argument, olds, news, "added", index)];
    return differences(path, old, entry).map((at) => change(at, argument, olds, news, "changed", index));
  });
  const removed = before.flatMap((old, index) =>
    after.some((entry) => keyOf(entry) === keyOf(old))
      ? []
      : [change(`${argument}[${index}]`, argument, olds, news, "removed", index)],
  );
  return [...changed, ...removed];
}

function change(
  property: string,
  argument: ChangeRule["argument"],
  olds: DomainInputs,
  news: DomainInputs,
  event: Event = "changed",
  index = 0,
): Change {
  const rule = CHANGE_RULES.find(
    (candidate) => candidate.argument === argument && (candidate.applies?.(olds, news, event, index) ?? true),
  );
  if (!rule) throw new Error(`no rule says what a change of ${argument} does`);
  return { property, effect: rule.effect, reason: rule.reason };
}

/** undefined: not known yet, or none. */
function instanceId({ cloudInit }: DomainInputs): string | undefined {
  const metaData = cloudInit?.metaData;
  return typeof metaData === "string" ? /^\s*"?instance-id"?:\s*(.*?)\s*$/m.exec(metaData)?.[1] : undefined;
}
