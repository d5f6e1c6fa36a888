import { expect } from "chai";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import { networkKind } from "../../provider/network/network";
import { tenancyKind } from "../../provider/tenancy/tenancy";
import { SshTransport } from "../../provider/transport/ssh";
import { testContext } from "../support/context";
import { failure } from "../support/failure";
import { SimulatedHost } from "../support/simulated-host";

const owner = { project: "p", stack: "s", cluster: "c", environment: "development" } as const;

/** What only a host without libvirt can show; the rest is in the contract of a host. */
describe("a stack on a host on which libvirt could not be installed, or is gone", () => {
  it("ends as if its machines were gone, unless they are there: then every delete says so in the same words", async () => {
    const host = await SimulatedHost.start({ commands: { virsh: "#!/bin/sh\nexit 127\n" } });
    const transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 30, attempts: 1 });
    try {
      const place = { host: host.endpoint, owner };
      const storage = "/var/lib/kvmesh";
      const lease = { ...place, machine: "a", cpus: [3] };
      const machine = domainKind.check({
        ...{ ...place, name: "a", type: "qemu", vcpus: 1, vcpuPins: [3], emulatorPin: [], ioThreadPin: [] },
        ...{ memoryBytes: 2 ** 26, disks: [], interfaces: [], storage, autostart: false },
      }).inputs;
      const network = networkKind.check({
        ...place,
        name: "n",
        bridge: "kvn",
        address: "10.9.0.1",
        cidr: "10.9.0.0/24",
      });
      const ctx = () => testContext(transport);
      const deletes = [
        () => domainKind.delete(ctx(), "u", { ...machine, uuid: "u", running: true, unmodelled: [] }),
        () => networkKind.delete(ctx(), "u", { ...network.inputs, uuid: "u", active: true, changed: [] }),
        () => coreLeaseKind.delete(ctx(), "a", lease),
        () => tenancyKind.delete(ctx(), "p/s", { ...place, storage, machines: ["a"] }),
      ];
      host.write(`${storage}/a-seed.iso`, "seed");
      host.write("/var/lib/kvmesh/leases/cpu-3", "p\ts\ta\t2026-11-22T00:00:00Z\n");
      host.write("/etc/libvirt/qemu/a.xml", "<domain/>");
      for (const remove of deletes) {
        expect((await failure(remove())).message).to.match(
          /libvirt is gone from this host, and machines are not: libvirt is gone and left \S*\/etc\/libvirt\/qemu\/a.xml. Install it again/,
        );
      }
      expect(host.exists("/var/lib/kvmesh/leases/cpu-3")).to.equal(true);
      await host.shell("rm /etc/libvirt/qemu/a.xml");
      const left = await failure(deletes.at(-1)!());
      expect(left.message).to.contain("the lease of CPUs 3 to a").and.to.contain("rm /var/lib/kvmesh/leases/cpu-3");
      for (const remove of deletes) await remove();
      expect(host.exists(`${storage}/leases`) || host.exists(`${storage}/a-seed.iso`), "all of it is gone").to.equal(
        false,
      );
    } finally {
      transport.close();
      await host.stop();
    }
  });
});
