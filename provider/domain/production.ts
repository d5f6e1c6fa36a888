import { refuseInProduction, tooFewVcpus } from "../core/production";
import type { DomainInputs } from "./schema";

/** A machine of production: hardware virtualization, and a host CPU of its own for each vCPU. */
export function refuseUnfit({ owner, name, type, vcpus, vcpuPins }: DomainInputs): void {
  const faults = [
    ...(type === "kvm"
      ? []
      : [`its type is ${type}, which is emulation: use a host with hardware virtualization (accelerator kvm)`]),
    ...(vcpuPins.length === vcpus
      ? []
      : [`it has ${vcpuPins.length} pins for ${vcpus} vCPUs, which share the host's: set cpu: dedicated on its pool`]),
    ...tooFewVcpus(vcpus),
  ];
  refuseInProduction(owner, `machine ${name}`, faults);
}
