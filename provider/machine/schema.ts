import { z } from "zod";
import { endpoint, owner } from "../core/check";
import { refuseInProduction, tooFewVcpus } from "../core/production";
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

/** What production refuses of a node, without looking at it. */
export function refuseUnfit({ owner, name, plan, vcpus, hypervisors }: MachineInputs): void {
  const refused = hypervisors.filter((word) => word === "qemu" || CONTAINERS.includes(word));
  const faults = [
    ...(plan === "shared"
      ? ['its plan is "shared": take dedicated vCPUs (cpu or plan: dedicated), or bare metal']
      : []),
    ...tooFewVcpus(vcpus),
    ...(refused.length > 0
      ? [`it accepts ${refused.join(", ")}, which is emulation or a container: use KVM or bare metal`]
      : []),
  ];
  refuseInProduction(owner, `node ${name}`, faults);
}

/** What was seen from inside, at the last check. */
export interface Inventory {
  /** ISO 8601. */
  readonly checkedAt: string;
  /** systemd-detect-virt's word: kvm, none, qemu, lxc, … */
  readonly hypervisor: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Over a window of two seconds; null: /proc/stat says nothing of it. */
  readonly stealPercent: number | null;
  readonly kernel: string;
  readonly rootDisk: { readonly device: string; readonly transport: string; readonly rotational: boolean };
  /** The machine's clock minus this one's. */
  readonly clockOffsetSeconds: number;
  /** cloud-init's word for itself, or "absent". */
  readonly cloudInit: string;
}
