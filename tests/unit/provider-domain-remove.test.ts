import * as fs from "node:fs";
import { expect } from "chai";
import { domainKind } from "../../provider/domain/domain";
import { SshTransport } from "../../provider/transport/ssh";
import { testContext } from "../support/context";
import { failure } from "../support/failure";
import { SimulatedHost } from "../support/simulated-host";

const owner = { project: "p", stack: "s", cluster: "c", environment: "development" } as const;

/** What a real libvirt can't be made to do at the right moment; the rest is in the contract of a host. */
describe("the removal of a machine", () => {
  it("fails while libvirt is away, and leaves all that the machine has", async () => {
    const host = await SimulatedHost.start();
    const transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 30, attempts: 1 });
    try {
      const { inputs } = domainKind.check({
        ...{ host: host.endpoint, owner, name: "w-0", type: "qemu", vcpus: 1, vcpuPins: [], emulatorPin: [] },
        ...{ ioThreadPin: [], memoryBytes: 128 * 2 ** 20, disks: [], interfaces: [], storage: "/var/lib/kvmesh" },
        cloudInit: { userData: "#cloud-config", metaData: "instance-id: w-0", networkConfig: "version: 2" },
      });
      const ctx = testContext(transport, "w-0");
      const { id, outputs } = await domainKind.create(ctx, inputs);
      const state = { ...inputs, ...outputs };
      const seeds = (): string[] => fs.readdirSync(host.path("/var/lib/kvmesh")).filter((file) => /seed/.test(file));
      const seed = seeds();
      expect(seed).to.have.length(1);

      fs.renameSync(host.path("/bin/virsh"), host.path("/bin/virsh.real"));
      host.write(
        "/bin/virsh",
        '#!/bin/sh\ncase "$*" in *" domstate "* | *" shutdown "* | *" destroy "*) echo "error: failed to connect to the hypervisor" >&2; exit 1 ;; esac\nexec virsh.real "$@"\n',
      );
      fs.chmodSync(host.path("/bin/virsh"), 0o755);
      const error = await failure(domainKind.delete({ ...ctx, deadline: Date.now() + 2000 }, id, state));
      expect(error.message).to.contain("failed to connect to the hypervisor");
      expect(seeds()).to.deep.equal(seed);

      fs.renameSync(host.path("/bin/virsh.real"), host.path("/bin/virsh"));
      await domainKind.delete(ctx, id, state);
      expect(seeds()).to.deep.equal([]);
    } finally {
      transport.close();
      await host.stop();
    }
  });
});
