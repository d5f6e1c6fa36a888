import { expect } from "chai";
import { UserError } from "../../provider/core/kind";
import { domainKind } from "../../provider/domain/domain";
import { refuseUnfit } from "../../provider/domain/production";
import type { DomainInputs } from "../../provider/domain/schema";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

function inputs(environment: string, changes: Record<string, unknown> = {}): DomainInputs {
  const checked = domainKind.check({
    host: { address: "203.0.113.7", hostKey: exampleHostKey() },
    owner: { ...owner, environment },
    name: "web-0",
    type: "kvm",
    vcpus: 4,
    vcpuPins: [4, 5, 6, 7],
    emulatorPin: [0],
    ioThreadPin: [0],
    memoryBytes: 2 ** 32,
    disks: [{ type: "file", path: "/var/lib/kvmesh/web-0.qcow2", format: "qcow2", target: "vda" }],
    interfaces: [],
    cloudInit: { userData: "u", metaData: "m", networkConfig: "n" },
    storage: "/var/lib/kvmesh",
    ...changes,
  });
  // The policies speak first: a preview must get this far.
  expect(checked.failures).to.deep.equal([]);
  return checked.inputs;
}

const unfit = { type: "qemu", vcpus: 2, vcpuPins: [] };

describe("a machine of production", () => {
  it("is refused with emulation, shared CPUs and few vCPUs, all at once, before any connection", async () => {
    const machine = new LocalMachine();
    try {
      const ctx = testContext(machine);
      const bad = inputs("production", unfit);
      const known = { ...inputs("production"), uuid: "u", running: true, unmodelled: [] };
      for (const refused of [() => domainKind.create(ctx, bad), () => domainKind.update(ctx, "u", known, bad)]) {
        const error = await refused().then(
          () => expect.fail("accepted"),
          (reason: unknown) => reason as Error,
        );
        expect(error).to.be.instanceOf(UserError);
        expect(error.message.split("\n")).to.deep.equal([
          "machine web-0 is refused in production:",
          "  - its type is qemu, which is emulation: use a host with hardware virtualization (accelerator kvm)",
          "  - it has 0 pins for 2 vCPUs, which share the host's: set cpu: dedicated on its pool",
          "  - it has 2 vCPUs: give each node at least 4",
        ]);
      }
      expect(machine.scripts).to.deep.equal([]);
    } finally {
      machine.close();
    }
  });

  it("is made when it is fit, and elsewhere in any case", () => {
    expect(() => refuseUnfit(inputs("production"))).not.to.throw();
    for (const environment of ["staging", "development"])
      expect(() => refuseUnfit(inputs(environment, unfit))).not.to.throw();
  });
});
