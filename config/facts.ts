/**
 * What a probe saw of a KVM host: the versioned schema of the facts files that are committed beside a stack.
 * Preview reads these and no host.
 */
export interface HostFacts {
  readonly schema: 1;
  /** ISO 8601 time of the probe. */
  readonly probedAt: string;
  /** `uname -n` of the host. */
  readonly hostname: string;
  /** "kvm": /dev/kvm is there and a guest started with it; "qemu": emulation only. */
  readonly accelerator: "kvm" | "qemu";
  /** systemd-detect-virt's word for the host itself: none, kvm, lxc, openvz, … */
  readonly virtualization: string;
  readonly libvirtVersion: string;
  readonly qemuVersion: string;
  readonly cpuModel: string;
  /** Every online logical CPU. */
  readonly cpus: readonly CpuFacts[];
  /** Logical CPUs taken from the scheduler by kernel arguments. */
  readonly isolatedCpus: readonly number[];
  /** Total memory in bytes, by NUMA node. */
  readonly memory: readonly { readonly node: number; readonly bytes: number }[];
  /** Free or used hugepages configured on the host. */
  readonly hugepages: readonly { readonly node: number; readonly sizeBytes: number; readonly count: number }[];
  readonly disks: readonly DiskFacts[];
  /** Steal of the host itself, in percent, over the probe's window. */
  readonly stealPercent: number;
}

export interface CpuFacts {
  readonly cpu: number;
  readonly core: number;
  readonly socket: number;
  readonly node: number;
}

export interface DiskFacts {
  readonly name: string;
  readonly transport: string;
  readonly rotational: boolean;
  readonly model: string;
  readonly serial: string;
  readonly bytes: number;
}
