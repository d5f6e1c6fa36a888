import { isDeepStrictEqual } from "node:util";
import { without } from "../core/values";
import { formatCpus } from "../libvirt/cpulist";
import { emulatorAffinity, ioThreadAffinity, sameCpus, vcpuAffinity } from "./inspect";
import type { SeenDomain } from "./inspect";
import type { DomainInputs } from "./schema";
import { seedDigest } from "./scripts";
import type { SeenXml } from "./seen";
import { concernsRunning, roundTrip } from "./unmodelled";

/** What a seed that is not the declared one holds is not read: it may hold secrets. */
const NO_SEED = { userData: "", metaData: "", networkConfig: "" };

/**
 * The declared inputs with every field that is different on the host set to what was seen there: refresh then names each one.
 * What `up` repairs on the running machine (pins, memory within the balloon, devices that come and go) is taken from wherever it is wrong:
 * the running machine's XML, the threads themselves, or the definition for the next start.
 */
export function seenInputs(known: DomainInputs, seen: SeenDomain): DomainInputs {
  const { inactive, live } = seen;
  const sameSeed = inactive.seedDigest === undefined || inactive.seedDigest === seedDigest(known.cloudInit);
  const memories = [inactive.memoryBytes, ...(live?.maxMemoryBytes === undefined ? [] : [live.memoryBytes])];
  return {
    ...without(known, "numaNode", "hugepageBytes", "maxMemoryBytes", "cloudInit"),
    type: inactive.type === known.type ? known.type : (inactive.type as DomainInputs["type"]),
    vcpus: inactive.vcpus,
    ...seenPins(known, seen),
    memoryBytes: memories.find((bytes) => bytes !== known.memoryBytes) ?? known.memoryBytes,
    ...(inactive.maxMemoryBytes === undefined ? {} : { maxMemoryBytes: inactive.maxMemoryBytes }),
    ...(inactive.numaNode === undefined ? {} : { numaNode: inactive.numaNode }),
    ...(inactive.hugepageBytes === undefined ? {} : { hugepageBytes: inactive.hugepageBytes }),
    ioThreads: inactive.ioThreads,
    firmware: inactive.firmware,
    disks: seenDevices(known.disks, inactive.disks, live?.disks, (disk) => disk.target),
    interfaces: seenDevices(known.interfaces, inactive.interfaces, live?.interfaces, (nic) => nic.mac),
    ...(known.cloudInit === undefined && sameSeed ? {} : { cloudInit: sameSeed ? known.cloudInit : NO_SEED }),
    autostart: seen.autostart,
  };
}

/** What the host's machine has that no argument can hold, and what it lacks of what every machine of ours has. */
export function unmodelled(known: DomainInputs, { inactive, live }: SeenDomain): string[] {
  const { lost, invented } = roundTrip(inactive, known);
  const running = live ? roundTrip(live, known).lost.filter(concernsRunning) : [];
  const all = [...lost, ...invented.map((path) => `without ${path}`), ...running.map((path) => `running: ${path}`)];
  // What was changed in both is named once.
  return all.filter((path) => !lost.includes(path.replace(/^running: /, "")) || lost.includes(path));
}

/** What a running machine has, but its definition no longer: it changes at the next start. Names of inputs. */
export function pendingRestart(seen: SeenDomain): string[] {
  const { live, inactive } = seen;
  if (!live) return [];
  const balloon = live.maxMemoryBytes !== undefined && inactive.maxMemoryBytes !== undefined;
  const views = { live: pendingView(live, inactive, balloon), inactive: pendingView(inactive, live, balloon) };
  const names = Object.keys(views.live) as (keyof typeof views.live)[];
  return names.filter((name) => !isDeepStrictEqual(views.live[name], views.inactive[name]));
}

/** A running machine is not what its definition says, in anything that it can only get at a start. */
export function needsRestart(known: DomainInputs, seen: SeenDomain): boolean {
  const { live, inactive } = seen;
  if (!live) return false;
  const pins = ({ vcpuPins, emulatorPin, ioThreadPins }: SeenXml) => ({ vcpuPins, emulatorPin, ioThreadPins });
  return (
    pendingRestart(seen).length > 0 ||
    unmodelled(known, seen).length > 0 ||
    !isDeepStrictEqual(pins(live), pins(inactive)) ||
    live.disks.length !== inactive.disks.length
  );
}

/** Of devices only those that both have: `seenInputs` names the others. */
function pendingView(view: SeenXml, other: SeenXml, balloon: boolean) {
  const { vcpus, maxMemoryBytes, numaNode, hugepageBytes, ioThreads, firmware, seedDigest } = view;
  return {
    ...{ vcpus, maxMemoryBytes, numaNode, hugepageBytes, ioThreads, firmware, cloudInit: seedDigest },
    memoryBytes: balloon ? 0 : view.memoryBytes,
    disks: view.disks.filter((disk) => other.disks.some(({ target }) => target === disk.target)),
    interfaces: view.interfaces.filter((nic) => other.interfaces.some(({ mac }) => mac === nic.mac)),
  };
}

/**
 * Declared entries first, in their order, as they are defined; without those that the definition or the running machine lacks. Then what
 * somebody added to either.
 */
function seenDevices<T>(
  declared: readonly T[],
  defined: readonly T[],
  running: readonly T[] | undefined,
  keyOf: (entry: T) => string,
): T[] {
  const keys = new Set(declared.map(keyOf));
  const has = (entries: readonly T[], key: string): boolean => entries.some((entry) => keyOf(entry) === key);
  const present = [...keys].flatMap((key) => defined.filter((entry) => keyOf(entry) === key));
  const others = [...defined, ...(running ?? []).filter((entry) => !has(defined, keyOf(entry)))];
  return [
    ...present.filter((entry) => running === undefined || has(running, keyOf(entry))),
    ...others.filter((entry) => !keys.has(keyOf(entry))),
  ];
}

type Pins = Pick<DomainInputs, "vcpuPins" | "emulatorPin" | "ioThreadPin">;

function seenPins(known: DomainInputs, seen: SeenDomain): Pins {
  const xmls = seen.live ? [seen.live, seen.inactive] : [seen.inactive];
  /** `threads`: affinities. An unpinned thread's affinity is the host's business. */
  const set = (
    declared: readonly number[],
    ofXml: (xml: SeenXml) => readonly (readonly number[])[],
    threads: readonly (readonly number[])[],
  ): number[] => {
    const views = [...xmls.flatMap(ofXml), ...(declared.length > 0 ? threads : [])];
    return [...(views.find((view) => !sameCpus(view, declared)) ?? declared)];
  };
  const ioThreadPins = (xml: SeenXml): readonly (readonly number[])[] =>
    Array.from({ length: xml.ioThreads }, (_, i) => xml.ioThreadPins.get(i + 1) ?? []);
  return {
    vcpuPins: seenVcpuPins(known, seen, xmls),
    emulatorPin: set(known.emulatorPin, (xml) => [xml.emulatorPin], emulatorAffinity(seen)),
    ioThreadPin: set(known.ioThreadPin, ioThreadPins, ioThreadAffinity(seen)),
  };
}

/** A vCPU that was seen on no CPU, or on several, is shown as their list, which no declared pin is equal to. */
function seenVcpuPins(known: DomainInputs, seen: SeenDomain, xmls: readonly SeenXml[]): number[] {
  if (known.vcpuPins.length === 0 && xmls.every((xml) => xml.vcpuPins.size === 0)) return [];
  const count = Math.max(known.vcpuPins.length, ...xmls.map((xml) => Math.max(-1, ...xml.vcpuPins.keys()) + 1));
  const pins = Array.from({ length: count }, (_, i) => {
    const declared = known.vcpuPins[i];
    // A vCPU that was added to the definition is not in the running machine yet.
    const views = xmls.filter((xml) => i < xml.vcpus).map((xml) => xml.vcpuPins.get(i) ?? []);
    const affinity = vcpuAffinity(seen, i);
    if (declared !== undefined && affinity) views.push(affinity);
    const wrong = views.find((view) => declared === undefined || !sameCpus(view, [declared]));
    if (wrong === undefined) return declared;
    return wrong.length === 1 ? wrong[0] : formatCpus(wrong);
  });
  return pins as number[];
}
