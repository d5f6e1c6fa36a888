/** What can be proven of a running machine on a host, simulated or real: a part of the contract (contract.ts). */
import { expect } from "chai";
import { inspectHost, inspectThreads } from "../../provider/evidence/host";
import { describe as inWords } from "../../provider/evidence/judge";
import { judgeHost, judgeWaiting } from "../../provider/evidence/judge-host";
import { evidenceKind } from "../../provider/evidence/kind";
import type { EvidenceInputs, Value } from "../../provider/evidence/schema";
import type { Endpoint } from "../../provider/transport/transport";
import { testContext } from "./context";
import { owner } from "./contract-machine";
import type { MachineGround } from "./contract-machine";

export function evidenceContract(ground: () => MachineGround): void {
  /** What the evidence says of the running machine, by id. */
  const measured = async (): Promise<ReadonlyMap<string, Value>> => {
    const { endpoint, transport } = ground();
    const evidence = evidenceInputs(endpoint);
    const seen = await inspectHost(testContext(transport), endpoint, "contract-0");
    expect(seen, "the machine runs").to.not.equal(undefined);
    return new Map(judgeHost(evidence, evidence.domain!, seen!).map((value) => [value.id, value]));
  };
  const failing = (values: ReadonlyMap<string, Value>): string[] =>
    [...values.values()].filter(({ verdict }) => verdict === "fail").map(inWords);

  it("proves that a machine is alone on its CPU, as it is declared, and that nothing limits it", async () => {
    const { endpoint, transport } = ground();
    const values = await measured();
    expect(failing(values)).to.deep.equal([]);
    expect(values.get("vcpu-pins")).to.deep.include({ measured: "0→1", limit: "0→1", verdict: "pass" });
    expect(values.get("vcpu-affinity")).to.deep.include({ measured: "0→1", limit: "0→1", verdict: "pass" });
    expect(values.get("exclusive")).to.deep.include({ measured: "none", verdict: "pass" });
    expect(values.get("emulator-affinity")).to.deep.include({ measured: "0", verdict: "pass" });
    expect(values.get("iothread-affinity")).to.deep.include({ measured: "0", verdict: "pass" });
    expect(values.get("lease")).to.deep.include({ measured: "CPU 1 by contract/test/contract-0", verdict: "pass" });
    expect(values.get("cpu-quota")).to.deep.include({ measured: "none", verdict: "pass" });

    const before = await inspectThreads(testContext(transport), endpoint, "contract-0");
    const after = await inspectThreads(testContext(transport), endpoint, "contract-0");
    expect(after.time).to.be.greaterThan(before.time);
    const [waiting] = judgeWaiting(evidenceInputs(endpoint), before, after);
    expect(waiting?.measured).to.be.within(0, 100);
  });

  it("sees a float, another machine on the CPU and a lease that is another's, and names them", async () => {
    const { endpoint, setAffinity, transport, shell } = ground();
    const pid = Number(await shell("cat /run/libvirt/qemu/contract-0.pid"));
    const thread = Number(
      await shell(`grep -l '^CPU 0/' /proc/${pid}/task/*/comm | head -n 1 | sed 's:.*/task/::; s:/comm::'`),
    );
    await shell(setAffinity(pid, thread, "0-1"));
    const xml = `<domain type="qemu"><name>contract-foreign</name><memory unit="MiB">64</memory><vcpu>1</vcpu><os><type arch="x86_64">hvm</type></os><devices/></domain>`;
    await shell(`printf %s '${xml}' >/tmp/foreign.xml; virsh -q define /tmp/foreign.xml; rm /tmp/foreign.xml`);
    await shell("virsh -q start contract-foreign");
    await shell("sed -i s/contract-0/other-9/ /var/lib/kvmesh/leases/cpu-1");
    try {
      const faults = failing(await measured());
      expect(faults).to.include("vCPU → CPU, in the kernel: 0→0-1; required: 0→1");
      expect(faults.find((text) => text.startsWith("other machines"))).to.match(
        /contract-foreign \(CPU 0\/TCG\) on CPU 1/,
      );
      expect(faults).to.include(
        "leases on the host: CPU 1 by contract/test/other-9; required: CPU 1 by contract/test/contract-0",
      );
      const known = { ...evidenceInputs(endpoint), ...({ contradictions: [] } as object) };
      const ctx = testContext(transport);
      const seen = await evidenceKind.read(ctx, "contract-0", known as never);
      expect(seen?.outputs.contradictions).to.have.length(faults.length);
      expect(ctx.warnings[0]).to.match(/^machine contract-0: its evidence no longer holds: vCPU → CPU, in the kernel/);
    } finally {
      await shell("virsh -q destroy contract-foreign; virsh -q undefine contract-foreign");
      await shell("sed -i s/other-9/contract-0/ /var/lib/kvmesh/leases/cpu-1");
      await shell(setAffinity(pid, thread, "1"));
    }
    expect(failing(await measured())).to.deep.equal([]);
  });
}

/** As a carved machine of one vCPU on CPU 1 declares it. */
function evidenceInputs(endpoint: Endpoint): EvidenceInputs {
  return evidenceKind.check({
    endpoint,
    owner,
    name: "contract-0",
    role: "worker",
    plan: "dedicated",
    vcpus: 1,
    hypervisors: ["qemu"],
    maxStealPercent: 100,
    maxFsyncMs: 10,
    directory: "/var/lib",
    host: endpoint,
    domain: { vcpuPins: [1], emulatorPin: [0], ioThreadPin: [0] },
  }).inputs;
}
