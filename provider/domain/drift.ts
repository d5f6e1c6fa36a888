import { without } from "../core/values";
import { formatCpus } from "../libvirt/cpulist";
import { emulatorAffinity, ioThreadAffinity, sameCpus, vcpuAffinity } from "./inspect";
import type { SeenDomain } from "./inspect";
import type { DomainInputs } from "./schema";
import { seedDigest } from "./scripts";
import type { SeenXml } from "./seen";

/**
 * The declared inputs with every field that is different on the host set to what was seen there: refresh then names each one.
 * Pins are taken from wherever they are wrong: the running machine's XML, the threads themselves, or the definition for the next start.
 */
export function seenInputs(known: DomainInputs, seen: SeenDomain): DomainInputs {
  const { inactive } = seen;
  const { vcpuPins, emulatorPin, ioThreadPin } = seenPins(known, seen);
  const sameSeed = inactive.seedDigest === undefined || inactive.seedDigest === seedDigest(known.cloudInit);
  return {
    ...without(known, "numaNode", "hugepageBytes", "maxMemoryBytes"),
    type: inactive.type === known.type ? known.type : (inactive.type as DomainInputs["type"]),
    vcpus: inactive.vcpus,
    vcpuPins,
    emulatorPin,
    ioThreadPin,
    memoryBytes: inactive.memoryBytes,
    ...(inactive.numaNode === undefined ? {} : { numaNode: inactive.numaNode }),
    ...(inactive.hugepageBytes === undefined ? {} : { hugepageBytes: inactive.hugepageBytes }),
    ...(inactive.maxMemoryBytes === undefined ? {} : { maxMemoryBytes: inactive.maxMemoryBytes }),
    ioThreads: inactive.ioThreads,
    firmware: inactive.firmware,
    disks: inactive.disks as DomainInputs["disks"],
    interfaces: inactive.interfaces as DomainInputs["interfaces"],
    cloudInit: sameSeed ? known.cloudInit : { userData: "", metaData: "", networkConfig: "" },
    autostart: seen.autostart,
  };
}

const PENDING = [
  ...(["vcpus", "memoryBytes", "maxMemoryBytes", "numaNode", "hugepageBytes", "ioThreads", "firmware"] as const),
  ...(["disks", "interfaces"] as const),
];

/** What a running machine has, but its definition no longer: it changes at the next start. Names of inputs. */
export function pendingRestart(seen: SeenDomain): string[] {
  const { live, inactive } = seen;
  if (!live) return [];
  const different = PENDING.filter((name) => JSON.stringify(live[name]) !== JSON.stringify(inactive[name]));
  return live.seedDigest === inactive.seedDigest ? different : [...different, "cloudInit"];
}

type Pins = Pick<DomainInputs, "vcpuPins" | "emulatorPin" | "ioThreadPin">;

function seenPins(known: DomainInputs, seen: SeenDomain): Pins {
  const xmls = seen.live ? [seen.live, seen.inactive] : [seen.inactive];
  const set = (
    declared: readonly number[],
    ofXml: (xml: SeenXml) => readonly number[],
    ofThread: readonly number[] | undefined,
  ): number[] => {
    const views = xmls.map(ofXml);
    // An unpinned thread's affinity is the host's business.
    if (declared.length > 0 && ofThread) views.push(ofThread);
    return [...(views.find((view) => !sameCpus(view, declared)) ?? declared)];
  };
  return {
    vcpuPins: seenVcpuPins(known, seen, xmls),
    emulatorPin: set(known.emulatorPin, (xml) => xml.emulatorPin, emulatorAffinity(seen)),
    ioThreadPin: set(known.ioThreadPin, (xml) => xml.ioThreadPin, ioThreadAffinity(seen)),
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
