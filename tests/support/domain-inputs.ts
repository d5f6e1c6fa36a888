import { checkDomain } from "../../provider/domain/schema";
import type { DomainInputs } from "../../provider/domain/schema";
import { exampleHostKey } from "./hosts";

/** A machine on two cores of its own, as check gives it, changed by what a test is about; throws what check refuses. */
export function domainInputs(change: object = {}): DomainInputs {
  const { inputs, failures } = checkDomain({
    host: { address: "203.0.113.7", hostKey: exampleHostKey() },
    owner: { project: "p", stack: "s", cluster: "c", environment: "development" },
    name: "web-0",
    type: "kvm",
    vcpus: 2,
    vcpuPins: [4, 5],
    emulatorPin: [0, 1],
    ioThreadPin: [1],
    memoryBytes: 4 * 2 ** 30,
    disks: [{ type: "file", path: "/var/lib/kvmesh/web-0.qcow2", format: "qcow2", target: "vda" }],
    interfaces: [{ type: "bridge", bridge: "br0", mac: "52:54:00:ab:00:11" }],
    cloudInit: { userData: "u", metaData: "instance-id: web-0\n", networkConfig: "n" },
    storage: "/var/lib/kvmesh",
    ...change,
  });
  if (failures.length > 0) throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
  return inputs;
}
