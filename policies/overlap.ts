import { resourcePolicy, subjectOf, type Finding, type Judged, type KvmeshPolicy } from "./frame";
import { at, cpuText, number, numbers, text } from "./read";

/** Who uses a CPU of a host: a machine's vCPUs, or the host's own housekeeping (emulator and I/O threads). */
interface Use {
  readonly urn: string;
  readonly machine: string;
  readonly kind: "vCPU" | "housekeeping";
}

/**
 * No CPU twice: neither within a machine, nor between machines of one host, nor under the emulator threads of any.
 *
 * It needs all machines of a host, yet it must block before one is made: in `up`, stack policies come too late. So it
 * is a resource policy that remembers what it has seen in this run; whichever machine comes second is the one refused.
 * A host is known by its host key: addresses behind different bastions may be the same.
 */
export function coreOverlapPolicy(): KvmeshPolicy {
  const hosts = new Map<string, Map<number, Use[]>>();

  function* claim(resource: Judged, machine: string, kind: Use["kind"], cpus: readonly number[]): Iterable<Finding> {
    const hostKey = text(at(resource.props, "host", "hostKey")) ?? text(at(resource.props, "host", "address")) ?? "";
    const host = hosts.get(hostKey) ?? new Map<number, Use[]>();
    hosts.set(hostKey, host);
    const conflicts = new Map<string, number[]>();
    for (const cpu of cpus) {
      const uses = host.get(cpu) ?? [];
      for (const use of uses) {
        // Housekeeping CPUs are shared by all machines; a machine's own threads are node-emulator-isolated's business.
        if (use.machine === machine || (kind === "housekeeping" && use.kind === "housekeeping")) continue;
        // Pulumi's order is not fixed: whoever comes second, the same two are named in the same words.
        const both = [claimant(machine, kind), claimant(use.machine, use.kind)].sort().join(" and ");
        conflicts.set(both, [...(conflicts.get(both) ?? []), cpu]);
      }
      host.set(cpu, [...uses, { urn: resource.urn, machine, kind }]);
    }
    const where = text(at(resource.props, "host", "address")) ?? "the host";
    for (const [both, claimed] of conflicts) {
      const found = `CPU ${cpuText(claimed)} of ${where} claimed by ${both}`;
      yield { subject: subjectOf(resource), found, required: "CPUs of its own for each machine" };
    }
  }

  /** A resource that is judged again (replaced) does not collide with itself. */
  function forget(urn: string): void {
    for (const host of hosts.values()) {
      for (const [cpu, uses] of host)
        host.set(
          cpu,
          uses.filter((use) => use.urn !== urn),
        );
    }
  }

  return resourcePolicy("node-core-overlap", {
    *["kvmesh:index:Domain"](domain) {
      forget(domain.urn);
      const machine = text(at(domain.props, "name")) ?? domain.name;
      const pins = numbers(at(domain.props, "vcpuPins"));
      const repeated = pins.filter((cpu, index) => pins.indexOf(cpu) !== index);
      if (repeated.length > 0) {
        const found = `CPU ${cpuText([...new Set(repeated)])} for more than one vCPU (vcpuPins [${pins.join(", ")}])`;
        yield {
          subject: subjectOf(domain),
          found,
          required: `${number(at(domain.props, "vcpus")) ?? pins.length} different CPUs`,
        };
      }
      yield* claim(domain, machine, "vCPU", [...new Set(pins)]);
      const threads = [...numbers(at(domain.props, "emulatorPin")), ...numbers(at(domain.props, "ioThreadPin"))];
      yield* claim(domain, machine, "housekeeping", [...new Set(threads)]);
    },
    *["kvmesh:index:CoreLease"](lease) {
      forget(lease.urn);
      yield* claim(lease, text(at(lease.props, "machine")) ?? lease.name, "vCPU", numbers(at(lease.props, "cpus")));
    },
  });
}

function claimant(machine: string, kind: Use["kind"]): string {
  return kind === "vCPU" ? machine : `${machine} (emulator or I/O threads)`;
}
