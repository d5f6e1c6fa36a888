import { expect } from "chai";
import { ledgerOf } from "../../components/nodes/ledger";
import { place, PlacementError, type Placement } from "../../components/nodes/placement";
import { defaultHousekeeping } from "../../config/sections/hosts";
import { hugepagesOf } from "../../config/preparation";
import type { HostSpec } from "../../config/spec";
import { cpuSet, type Bytes } from "../../config/units";
import { factsFromProbe } from "../../tools/facts";
import { hostOf } from "../support/hosts";
import { GIB, request } from "../support/machine-requests";
import { probeOf, recordedHosts, type RecordedHost } from "../support/recorded-hosts";

const SHAPE = { nodes: 1, coresPerNode: 1, threadsPerCore: 1, gibPerNode: 1 };
const recordings = recordedHosts();

function hostFrom(recording: RecordedHost, change: Partial<HostSpec> = {}): HostSpec {
  const facts = factsFromProbe(recording.name, probeOf(recording), { storage: "/var/lib/kvmesh", now: new Date() });
  return { ...hostOf("a", SHAPE), facts, housekeeping: defaultHousekeeping(facts), ...change };
}
const host = (name: string, change: Partial<HostSpec> = {}): HostSpec => hostFrom(recordings.get(name)!, change);
const machines = (count: number, vcpus: number, gib: number): ReturnType<typeof request>[] =>
  Array.from({ length: count }, (_, i) => request(`w-${i}`, { vcpus, memory: (gib * GIB) as Bytes, hosts: ["a"] }));
const on = (at: HostSpec, wanted: ReturnType<typeof machines>): readonly Placement[] => place([at], wanted);
const NONE = cpuSet([]);

describe("placement on hosts that others have recorded", () => {
  it("gives no core twice and binds to no node without memory; or says that it does not fit", () => {
    for (const recording of recordings.values()) {
      if (recording.machine !== "x86_64" || recording.cpus === undefined) continue;
      const at = hostFrom(recording);
      const total = new Map(at.facts.memory.map(({ node, bytes }) => [node, bytes]));
      let placed: readonly Placement[];
      try {
        placed = on(at, machines(2, 2, 1));
      } catch (error) {
        expect(error, recording.name).to.be.instanceOf(PlacementError);
        continue;
      }
      const cpus = placed.flatMap((placement) => placement.cpus);
      expect(new Set(cpus).size, recording.name).to.equal(cpus.length);
      for (const { numaNode } of placed) {
        if (numaNode !== undefined) expect(total.get(numaNode), recording.name).to.be.greaterThan(GIB);
      }
    }
  });

  it("takes EPYC's small nodes one after the other: 8 machines of 8 threads, one a node", () => {
    const facts = { memory: Array.from({ length: 8 }, (_, node) => ({ node, bytes: 32 * GIB })) };
    const epyc = host("x86_64-epyc_7451");
    const placed = on({ ...epyc, facts: { ...epyc.facts, ...facts } }, machines(8, 8, 16));
    expect(placed.map(({ numaNode }) => numaNode)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("gives a machine cores of one kind on a hybrid processor while there are enough, those with two threads first", () => {
    const hybrid = host("20em64t-hybrid-1p6c2t+2ca4co1t", { housekeeping: NONE });
    const [first, second, third] = on(hybrid, machines(3, 6, 4));
    expect(first!.cpus).to.deep.equal([0, 1, 2, 3, 4, 5]);
    expect(second!.cpus).to.deep.equal([6, 7, 8, 9, 10, 11]);
    expect(third!.cpus).to.deep.equal([12, 13, 14, 15, 16, 17]);
    // Five cores of two threads are left beside the host's own: not enough for 10, as eight of one thread are for 8.
    const [ten, eight] = on(
      host("20em64t-hybrid-1p6c2t+2ca4co1t"),
      machines(2, 10, 4)
        .slice(0, 1)
        .concat(machines(2, 8, 4).slice(1)),
    );
    expect(ten!.cpus).to.deep.equal([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(eight!.cpus).to.deep.equal([12, 13, 14, 15, 16, 17, 18, 19]);
    // Two cores of two threads are left for the second: it gets six of one thread.
    const mine = on(host("20em64t-hybrid-1p6c2t+2ca4co1t"), machines(2, 6, 4)).map(({ cpus }) => cpus);
    expect(mine).to.deep.equal([
      [2, 3, 4, 5, 6, 7],
      [12, 13, 14, 15, 16, 17],
    ]);
    // Mixed only where no kind has enough.
    const [wide] = on(hybrid, machines(1, 14, 4));
    expect(wide!.cpus).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  });

  it("grows a machine by cores of its own kind", () => {
    const hybrid = host("20em64t-hybrid-1p6c2t+2ca4co1t", { housekeeping: NONE });
    const others = machines(1, 4, 1)[0]!;
    const [grown] = place([hybrid], [others], [{ name: "w-0", host: "a", cpus: [12, 13] }]);
    expect(grown!.cpus).to.deep.equal([12, 13, 14, 15]);
  });

  it("counts siblings that are online, where others are offline", () => {
    // CPUs 0,4 and 2,6 are pairs; 1 and 3 have lost theirs.
    const [pair, singles] = on(host("test6", { housekeeping: NONE }), machines(2, 2, 1));
    expect(pair!.cpus).to.deep.equal([0, 4]);
    expect(singles!.cpus).to.deep.equal([2, 6]);
    const [four] = on(host("test6", { housekeeping: NONE }), machines(1, 6, 1));
    expect(four!.cpus).to.deep.equal([0, 1, 2, 3, 4, 6]);
  });

  it("takes cores on a node without memory last, with memory of the other and no binding to theirs", () => {
    const half = host("synthetic-memoryless-node");
    const placed = on(half, machines(2, 3, 8));
    expect(placed.map(({ numaNode }) => numaNode)).to.deep.equal([0, undefined]);
    expect(placed[1]!.cpus).to.deep.equal([5, 6, 7]);
    const ledger = ledgerOf(half);
    expect(ledger.nodes.map(({ node, hasMemory }) => [node, hasMemory])).to.deep.equal([
      [0, true],
      [1, false],
    ]);
    // Both have memory of node 0 alone: two of 40 GiB are too much for its 64.
    expect(() => on(half, machines(2, 3, 40))).to.throw(PlacementError, "fits on no host");
  });

  it("takes CPUs whose node is offline last, and a machine with local memory first on any host", () => {
    const lame = host("offline-cpu0-node0");
    const placed = on(lame, machines(2, 6, 8));
    expect(placed.map(({ numaNode }) => numaNode)).to.deep.equal([1, undefined]);
    expect(placed[1]!.cpus.every((cpu) => cpu % 2 === 0)).to.equal(true);
    const whole = { ...hostOf("b", { nodes: 1, coresPerNode: 8, threadsPerCore: 1, gibPerNode: 32 }) };
    const [chosen] = place(
      [{ ...lame, facts: { ...lame.facts, cpus: lame.facts.cpus.filter(({ node }) => node === 0) } }, whole],
      [request("w-0", { vcpus: 4, memory: GIB as Bytes, hosts: ["a", "b"] })],
    );
    expect(chosen!.host).to.equal("b");
  });

  it("gives nobody the memory of accelerators: not to floating machines, and no hugepages are planned there", () => {
    const gpus = host("nvidiagpunumanodes");
    const offered = ledgerOf(gpus).nodes.reduce((sum, { memory }) => sum + memory, 0);
    expect(offered / GIB).to.be.within(235, 245); // of 341.6 GiB, 90 are the accelerators'
    const floating = request("f-0", { cpu: "shared", vcpus: 2, memory: (250 * GIB) as Bytes, hosts: ["a"] });
    expect(() => place([gpus], [floating])).to.throw(PlacementError, "fits on no host");
    const planned = hugepagesOf({
      ...gpus,
      prepare: { hugepages: { size: GIB as Bytes, count: 8 } } as HostSpec["prepare"],
    });
    expect(planned.map(({ node }) => node)).to.deep.equal([0, 8]);
  });

  it("uses memory that is on other nodes than all CPUs, where there is no other", () => {
    const apart = host("fakememinitiators-1np2c+1npp+gi", { housekeeping: NONE });
    const [placed] = on(apart, machines(1, 2, 64));
    expect(placed!.numaNode).to.equal(undefined);
    expect(placed!.cpus).to.have.length(2);
  });

  it("has a place for the quickstart's machines ten minutes after the boot of a machine that has initialised half of its memory", () => {
    const fresh = host("lazy-ten-minutes");
    expect(on(fresh, machines(1, 1, 2))[0]).to.deep.include({ cpus: [1], numaNode: 0 });
    expect(on({ ...fresh, housekeeping: NONE }, machines(2, 1, 10))).to.have.length(2);
  });
});
