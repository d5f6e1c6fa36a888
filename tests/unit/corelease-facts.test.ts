import { expect } from "chai";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { SshTransport } from "../../provider/transport/ssh";
import { testContext } from "../support/context";
import { SimulatedHost } from "../support/simulated-host";

describe("a core lease with the facts that it was placed by", () => {
  let host: SimulatedHost;
  let transport: SshTransport;
  const owner = { project: "p", stack: "s", cluster: "c", environment: "development" } as const;
  const take = async (cpus: readonly number[], online: number): Promise<string> => {
    const facts = { file: "facts/osl1-a.json", cpus: online };
    const { inputs } = coreLeaseKind.check({ host: host.endpoint, owner, machine: "web-0", cpus, facts });
    try {
      await coreLeaseKind.create(testContext(transport), inputs);
      return "taken";
    } catch (error) {
      return (error as Error).message;
    }
  };
  before(async () => {
    host = await SimulatedHost.start({ cpus: 8 });
    // SMT: 0 and 4, 1 and 5, …; the last core's list is a range.
    for (let cpu = 0; cpu < 8; cpu++)
      host.write(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, `${cpu % 4},${(cpu % 4) + 4}\n`);
    transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 5, attempts: 1 });
  });
  after(async () => {
    transport.close();
    await host.stop();
  });

  it("is taken on the host that the facts are of", async () => {
    expect(await take([1, 5], 8)).to.equal("taken");
    expect(host.exists("/var/lib/kvmesh/leases/cpu-5")).to.equal(true);
  });

  it("is refused with both numbers when CPUs came, went or are offline", async () => {
    expect(await take([2, 6], 16)).to.contain(
      "this host has 8 CPUs online, and its facts file facts/osl1-a.json says 16:",
    );
    host.write("/sys/devices/system/cpu/cpu7/online", "0\n");
    expect(await take([2, 6], 8)).to.match(/this host has 7 CPUs online, .*says 8: write it anew with `npm run facts`/);
    host.write("/sys/devices/system/cpu/cpu7/online", "1\n");
    expect(host.exists("/var/lib/kvmesh/leases/cpu-2")).to.equal(false);
  });

  it("is refused when half of a core is asked for, also where the kernel writes a range", async () => {
    expect(await take([2], 8)).to.contain(
      "CPUs 2,6 are one core of this host, and its facts file facts/osl1-a.json says that CPU 2 is of a core without CPU 6",
    );
    host.write("/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3\n");
    expect(await take([3], 8)).to.contain("CPUs 2-3 are one core of this host");
  });

  it("is the same lease when only the facts are others", () => {
    const { inputs } = coreLeaseKind.check({ host: host.endpoint, owner, machine: "web-0", cpus: [1] });
    expect(coreLeaseKind.diff(inputs, { ...inputs, facts: { file: "x", cpus: 9 } })).to.deep.equal([]);
  });
});
