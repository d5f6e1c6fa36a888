import { z } from "zod";
import { endpoint, owner } from "../core/check";
import type { CheckFailure } from "../core/kind";
import { identity, nodeName } from "../node/inputs";

/** systemd-detect-virt's words for containers: a node in one shares its kernel with strangers. */
export const CONTAINERS: readonly string[] = [
  "openvz",
  "lxc",
  "lxc-libvirt",
  "systemd-nspawn",
  "docker",
  "podman",
  "rkt",
  "wsl",
  "proot",
  "pouch",
  "container-other",
];

export const machineArgs = z.strictObject({
  endpoint,
  owner,
  name: nodeName,
  source: z.enum(["carved", "existing"]),
  plan: z.enum(["dedicated", "metal", "shared"]),
  vcpus: z.int().min(1),
  hypervisors: z.array(z.string().min(1)).min(1, 'names no accepted hypervisor; on KVM: ["kvm"], bare metal: ["none"]'),
  maxStealPercent: z.number().min(0).max(100),
  country: z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166-1 code such as "NO"'),
  bootTimeoutSeconds: z.number().positive().default(300),
  identity,
});

export type MachineInputs = z.output<typeof machineArgs>;

/**
 * The rules that need no connection stand here as well as in the policy packs: a pack can be left out of a run.
 */
export function productionRules(machine: MachineInputs): CheckFailure[] {
  if (machine.owner.environment !== "production") return [];
  const failures: CheckFailure[] = [];
  const refuse = (property: string, reason: string): void => {
    failures.push({ property, reason: `node ${machine.name}: ${reason}` });
  };
  if (machine.plan === "shared") {
    refuse("plan", 'plan is "shared"; production takes dedicated vCPUs only: choose a dedicated plan, or bare metal');
  }
  if (machine.vcpus < 4) refuse("vcpus", `has ${machine.vcpus} vCPUs; production needs at least 4 a node`);
  const refused = machine.hypervisors.filter((word) => word === "qemu" || CONTAINERS.includes(word));
  if (refused.length > 0) {
    refuse(
      "hypervisors",
      `accepts ${refused.join(", ")}; production refuses emulation and containers: use KVM or bare metal`,
    );
  }
  return failures;
}
/** What was seen from inside, at the last check. */
export interface Evidence {
  /** ISO 8601. */
  readonly checkedAt: string;
  /** systemd-detect-virt's word: kvm, none, qemu, lxc, … */
  readonly hypervisor: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Over a window of two seconds. */
  readonly stealPercent: number;
  readonly kernel: string;
  readonly rootDisk: { readonly device: string; readonly transport: string; readonly rotational: boolean };
  /** The machine's clock minus this one's. */
  readonly clockOffsetSeconds: number;
  /** cloud-init's word for itself, or "absent". */
  readonly cloudInit: string;
}
