import { resourcePolicy, subjectOf, type Finding, type Judged } from "./frame";
import { at, cpuText, number, numbers, shown, text, texts } from "./read";

const DOMAIN = "kvmesh:index:Domain";
const MACHINE = "kvmesh:index:Machine";
const VOLUME = "kvmesh:index:Volume";

/** A word of a short list. */
const WORD = /^[a-z][a-z-]{0,19}$/;

/** The first rule of the project: shared vCPUs make a mesh slow, and nothing above can repair it. */
export const nodeDedicatedCpu = resourcePolicy("node-dedicated-cpu", {
  *[DOMAIN](domain) {
    const vcpus = number(at(domain.props, "vcpus")) ?? 0;
    const pins = numbers(at(domain.props, "vcpuPins"));
    const required = `${vcpus} pins, one host CPU of its own for each vCPU`;
    if (pins.length === 0) {
      yield {
        subject: subjectOf(domain),
        found: `vcpuPins [] for ${vcpus} vCPUs: they share the host's CPUs`,
        required,
      };
    } else if (pins.length !== vcpus) {
      yield {
        subject: subjectOf(domain),
        found: `${pins.length} pins for ${vcpus} vCPUs (vcpuPins ${cpuText(pins)})`,
        required,
      };
    }
  },
  *[MACHINE](machine) {
    const plan = text(at(machine.props, "plan"));
    if (plan === "dedicated" || plan === "metal") return;
    const found = plan === undefined ? "no plan" : `plan "${shown(plan, WORD)}"`;
    yield { subject: subjectOf(machine), found, required: 'plan "dedicated" or "metal"' };
  },
});

export const nodeKvmOnly = resourcePolicy("node-kvm-only", {
  *[DOMAIN](domain) {
    const type = text(at(domain.props, "type"));
    if (type !== "kvm") {
      const found =
        type === "qemu" ? 'libvirt type "qemu", which is emulation' : `libvirt type "${shown(type ?? "none", WORD)}"`;
      yield { subject: subjectOf(domain), found, required: 'type "kvm"' };
    }
  },
  *[MACHINE](machine) {
    const accepted = texts(at(machine.props, "hypervisors"));
    const others = accepted.filter((hypervisor) => hypervisor !== "kvm" && hypervisor !== "none");
    if (others.length === 0 && accepted.length > 0) return;
    yield {
      subject: subjectOf(machine),
      found:
        accepted.length === 0
          ? "no hypervisor named"
          : `hypervisors ${others.map((word) => shown(word, WORD)).join(", ")} accepted`,
      required: "only kvm and none (bare metal)",
    };
  },
});

export const nodeMinVcpus = resourcePolicy("node-min-vcpus", { [DOMAIN]: atLeastFour, [MACHINE]: atLeastFour });

function* atLeastFour(node: Judged): Iterable<Finding> {
  const vcpus = number(at(node.props, "vcpus")) ?? 0;
  if (vcpus < 4) yield { subject: subjectOf(node), found: `${vcpus} vCPUs`, required: "at least 4 vCPUs" };
}

export const nodeEmulatorIsolated = resourcePolicy("node-emulator-isolated", {
  *[DOMAIN](domain) {
    const vcpuPins = numbers(at(domain.props, "vcpuPins"));
    for (const [key, what] of [
      ["emulatorPin", "emulator threads"],
      ["ioThreadPin", "I/O threads"],
    ] as const) {
      const pins = numbers(at(domain.props, key));
      const shared = pins.filter((cpu) => vcpuPins.includes(cpu));
      const required = `${what} pinned to CPUs without vCPUs`;
      if (pins.length === 0) {
        yield { subject: subjectOf(domain), found: `${key} []: ${what} float over all CPUs`, required };
      } else if (shared.length > 0) {
        yield { subject: subjectOf(domain), found: `${what} on CPU ${cpuText(shared)}, where vCPUs are`, required };
      }
    }
  },
});

export const nodeNumaLocal = resourcePolicy("node-numa-local", {
  *[DOMAIN](domain) {
    if (number(at(domain.props, "numaNode")) !== undefined) return;
    yield {
      subject: subjectOf(domain),
      found: "no numaNode: memory may come from any node",
      required: "one NUMA node",
    };
  },
});

/** A pool that is full stops every machine that has a disk in it at once, control planes of several clusters among them. */
export const diskOvercommit = resourcePolicy("disk-overcommit", {
  *[VOLUME](volume) {
    const overcommit = number(at(volume.props, "thinPool", "overcommit")) ?? 1;
    if (overcommit <= 1) return;
    const pool = ["volumeGroup", "name"].map((key) => text(at(volume.props, "thinPool", key)) ?? "?").join("/");
    yield {
      subject: subjectOf(volume),
      found: `overcommit ${overcommit}: the volumes of the thin pool ${pool} may have ${overcommit} times its size, and all their machines stop when it is full`,
      required: "overcommit 1",
    };
  },
});

/** Members of the European Economic Area, ISO 3166-1 alpha-2. */
const EEA = ("AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE " + "IS LI NO").split(
  " ",
);

export const locationAllowed = resourcePolicy(
  "location-allowed",
  {
    *[MACHINE](machine, context) {
      const configured = texts(at(context.settings, "countries"));
      const allowed = configured.length > 0 ? configured : ["NO"];
      const codes = allowed.flatMap((code) => (code === "EEA" ? EEA : [code]));
      const country = text(at(machine.props, "country"));
      if (country !== undefined && codes.includes(country)) return;
      yield {
        subject: subjectOf(machine),
        found: `country ${country === undefined ? "not given" : shown(country, /^[A-Z]{2}$/)}`,
        required: `one of ${allowed.join(", ")}`,
      };
    },
  },
  {
    settings: {
      countries: {
        type: "array",
        items: { type: "string" },
        default: ["NO"],
        description: "Allowed countries, ISO 3166-1 alpha-2; EEA stands for its members.",
      },
    },
  },
);
