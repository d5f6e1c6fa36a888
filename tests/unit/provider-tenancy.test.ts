import { expect } from "chai";
import { tenancyKind } from "../../provider/tenancy/tenancy";
import { SshTransport } from "../../provider/transport/ssh";
import { testContext } from "../support/context";
import { failure } from "../support/failure";
import { SimulatedHost } from "../support/simulated-host";

const owner = { project: "p", stack: "s", cluster: "c", environment: "development" } as const;

/** What only a host without libvirt can show; the rest is in the contract of a host. */
describe("a stack's tenancy on a host on which libvirt could not be installed", () => {
  it("ends, so that a destroy is not stuck; leases that are left are named all the same", async () => {
    const host = await SimulatedHost.start({ commands: { virsh: "#!/bin/sh\nexit 127\n" } });
    const transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 30, attempts: 1 });
    try {
      const state = { host: host.endpoint, owner, storage: "/var/lib/kvmesh", machines: ["a"] };
      await tenancyKind.delete(testContext(transport), "p/s", state);
      host.write("/var/lib/kvmesh/leases/cpu-3", "p\ts\ta\t2026-11-22T00:00:00Z\n");
      const left = await failure(tenancyKind.delete(testContext(transport), "p/s", state));
      expect(left.message).to.contain("the lease of CPUs 3 to a").and.to.contain("rm /var/lib/kvmesh/leases/cpu-3");
    } finally {
      transport.close();
      await host.stop();
    }
  });
});
