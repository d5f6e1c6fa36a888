/** What must be there before a machine starts on a host, simulated or real: its cores, its memory, its name: a part of the contract (contract.ts). */
import { expect } from "chai";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import type { DomainInputs } from "../../provider/domain/schema";
import { testContext } from "./context";
import { hostile, MIB, owner, storage } from "./contract-machine";
import type { MachineGround } from "./contract-machine";
import { failure } from "./failure";

export function leaseContract(ground: () => MachineGround): void {
  it("refuses to start a machine whose core is not leased to it", async () => {
    const { transport, shell, inputs } = ground();
    const error = await failure(domainKind.create(testContext(transport, `machine ${hostile}`), inputs));
    expect(error.message).to.contain("CPU 1 is not leased to this machine but to nobody");
    expect(await shell("virsh -q list --all --name | grep -x contract-0 || true")).to.equal("");
  });

  it("gives a core to one holder only, and says who has it", async () => {
    const { endpoint, transport } = ground();
    const lease = { host: endpoint, owner, machine: "contract-0", cpus: [1] };
    await coreLeaseKind.create(testContext(transport), lease);
    await coreLeaseKind.create(testContext(transport), lease);
    const other = { ...lease, owner: { ...owner, stack: "other" }, cpus: [0, 1] };
    const error = await failure(coreLeaseKind.create(testContext(transport), other));
    expect(error.message).to.match(/CPU 1 by contract\/test\/contract-0 since \d{4}-\d\d-\d\dT/);
    expect(error.message)
      .to.contain(
        "None was taken. Another stack's: keep these CPUs out of this one (hosts.<host>.reserved.cpus in the stack file)",
      )
      .and.to.contain("if that stack is gone for good, remove the CPU's file in /var/lib/kvmesh/leases");
    expect((await coreLeaseKind.read(testContext(transport), "x", other)) ?? "none").to.equal("none");
    expect((await coreLeaseKind.read(testContext(transport), "x", lease))?.inputs.cpus).to.deep.equal([1]);
  });

  it("leaves a machine of the same name that is not ours untouched", async () => {
    const { transport, shell, inputs } = ground();
    const xml = `<domain type="qemu"><name>contract-0</name><memory unit="MiB">64</memory><vcpu>1</vcpu><os><type arch="x86_64">hvm</type></os><devices/></domain>`;
    await shell(`printf %s '${xml}' >/tmp/foreign.xml; virsh -q define /tmp/foreign.xml; rm /tmp/foreign.xml`);
    const before = await shell("virsh dumpxml --inactive contract-0");
    const error = await failure(domainKind.create(testContext(transport, `machine ${hostile}`), inputs));
    expect(error.message).to.contain("was not made by kvmesh; it is left untouched");
    expect(await shell("virsh dumpxml --inactive contract-0")).to.equal(before);
    await shell("virsh -q undefine contract-0");
  });

  it("leases no core of a host that is not what its facts say, and names the numbers, the file and the remedy", async () => {
    const { endpoint, transport, shell } = ground();
    const cpus = Number(
      await shell("getconf _NPROCESSORS_ONLN; ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l").then((text) =>
        text.split("\n").at(-1),
      ),
    );
    const lease = {
      host: endpoint,
      owner,
      machine: "contract-1",
      cpus: [0],
      facts: { file: "facts/a.json", cpus },
    };
    const other = { ...lease, facts: { ...lease.facts, cpus: cpus + 2 } };
    const error = await failure(coreLeaseKind.create(testContext(transport), other));
    expect(error.message).to.contain(
      `this host has ${cpus} CPUs online, and its facts file facts/a.json says ${cpus + 2}: write it anew with \`npm run facts\``,
    );
    expect((await coreLeaseKind.read(testContext(transport), "x", other)) ?? "none").to.equal("none");
  });

  it("starts no machine that the host has not the memory or the hugepages for, and leaves nothing of it", async () => {
    const { transport, shell, inputs } = ground();
    const refused = async (change: Partial<DomainInputs>): Promise<string> =>
      (await failure(domainKind.create(testContext(transport, "machine"), { ...inputs, ...change }))).message;
    const GIB = 1024 * MIB;
    expect(await refused({ memoryBytes: 4096 * GIB })).to.match(
      /needs 4194304 MiB, and \d+ MiB are available on the host:/,
    );
    expect(await refused({ memoryBytes: 4096 * GIB, numaNode: 0 })).to.match(
      /and \d+ MiB are available on the host's NUMA node 0:/,
    );
    expect(await refused({ memoryBytes: 4096 * GIB, hugepageBytes: 2 * MIB, numaNode: 0 })).to.match(
      /needs 2097152 hugepages of 2048 KiB, and \d+ of \d+ are free on the host's NUMA node 0:/,
    );
    expect(await refused({ numaNode: 77 })).to.contain("this host has no NUMA node 77: probe it again");
    expect(await shell("virsh -q list --all --name | grep -x contract-0 || true")).to.equal("");
    expect(await shell(`ls ${storage} | grep seed || true`)).to.equal("");
  });
}

export function releaseContract(ground: () => MachineGround): void {
  it("keeps a core leased until the machine that leaves it runs there no more", async () => {
    const { endpoint, transport, shell, inputs, made, id } = ground();
    const ctx = testContext(transport, `machine ${hostile}`);
    const [one, zero] = [[1], [0]].map((cpus) => ({ host: endpoint, owner, machine: "contract-0", cpus }));
    const holders = (): Promise<string> =>
      shell("cd /var/lib/kvmesh/leases; cut -f3,5 cpu-0 cpu-1 2>/dev/null || true");
    await coreLeaseKind.update(ctx, "contract-0", one!, zero!);
    expect(await holders(), "it has not moved yet").to.equal("contract-0\ncontract-0\tleaving");
    expect((await coreLeaseKind.read(ctx, "contract-0", zero))?.inputs.cpus).to.deep.equal([0]);
    const other = await failure(coreLeaseKind.create(ctx, { ...one!, owner: { ...owner, stack: "other" } }));
    expect(other.message).to.match(/CPU 1 by contract\/test\/contract-0 since \S+ until it is moved or restarted/);
    const moved = { ...inputs, vcpuPins: [0] };
    await domainKind.update(ctx, id, made, moved);
    expect(await holders(), "it has moved").to.equal("contract-0");

    const floating = { ...inputs, vcpuPins: [] };
    await domainKind.update(ctx, id, { ...made, ...moved }, floating);
    const pinned = await failure(coreLeaseKind.delete(ctx, "contract-0", zero!));
    expect(pinned.message).to.contain("not to be pinned any more, and still runs on CPUs 0, which stay leased");
    await shell("virsh -q destroy contract-0 >/dev/null; virsh -q start contract-0 >/dev/null");
    await coreLeaseKind.delete(ctx, "contract-0", zero!);
    expect(await holders()).to.equal("");
    await coreLeaseKind.create(ctx, one!);
    await domainKind.update(ctx, id, { ...made, ...floating }, inputs);
    expect(await holders()).to.equal("contract-0");
  });

  it("releases no core while the machine that it is leased to is there, running or off, and hands it over without a gap", async () => {
    const { endpoint, transport, shell } = ground();
    const lease = { host: endpoint, owner, machine: "contract-0", cpus: [1] };
    const holder = (): Promise<string> => shell("cut -f1-3 /var/lib/kvmesh/leases/cpu-1");
    const running = await failure(coreLeaseKind.delete(testContext(transport), "contract-0", lease));
    expect(running.message)
      .to.contain("the machine contract-0 of this stack is still on this host (running): its cores stay leased.")
      .and.to.contain("Run `pulumi up`, which takes the machine over")
      .and.to.contain("virsh destroy contract-0; virsh undefine contract-0 --nvram");
    await shell("virsh -q destroy contract-0 >/dev/null");
    const off = await failure(coreLeaseKind.delete(testContext(transport), "contract-0", lease));
    expect(off.message).to.contain("is still on this host (shut off)");
    expect(await holder()).to.equal("contract\ttest\tcontract-0");

    // A machine of another stack is no reason to keep what is ours, and its lease is not ours to take.
    const other = { ...lease, owner: { ...owner, stack: "other" } };
    await coreLeaseKind.delete(testContext(transport), "contract-0", other);
    expect(await holder()).to.equal("contract\ttest\tcontract-0");
    expect(coreLeaseKind.diff(lease, other).map(({ effect }) => effect)).to.deep.equal(["live"]);
    await coreLeaseKind.update(testContext(transport), "contract-0", lease, other);
    expect(await holder()).to.equal("contract\tother\tcontract-0");
    await coreLeaseKind.update(testContext(transport), "contract-0", other, lease);
    expect(await holder()).to.equal("contract\ttest\tcontract-0");
  });
}
