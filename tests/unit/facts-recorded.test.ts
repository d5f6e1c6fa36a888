import { expect } from "chai";
import type { HostFacts } from "../../config/facts";
import { factsFromProbe } from "../../tools/facts";
import { probeOf, recordedHosts } from "../support/recorded-hosts";

const hosts = recordedHosts();

function read(name: string): { readonly facts: HostFacts; readonly warnings: readonly string[] } {
  const host = hosts.get(name);
  if (!host) throw new Error(`no recording ${name}`);
  const warnings: string[] = [];
  const facts = factsFromProbe(name, probeOf(host), {
    storage: "/var/lib/kvmesh",
    now: new Date("2026-11-28T12:00:00Z"),
    warn: (message) => warnings.push(message),
  });
  return { facts, warnings };
}

/** Sockets, cores, threads and NUMA nodes with CPUs, counted in the facts. */
function shapeOf({ cpus }: HostFacts): readonly number[] {
  const count = (key: (cpu: HostFacts["cpus"][number]) => string | number): number => new Set(cpus.map(key)).size;
  return [
    count(({ socket }) => socket),
    count(({ socket, core }) => `${socket}/${core}`),
    cpus.length,
    count(({ node }) => node),
  ];
}

const gib = (facts: HostFacts): readonly string[] =>
  facts.memory.map(({ node, bytes }) => `${node}: ${(bytes / 2 ** 30).toFixed(1)}`);

/**
 * What stands here was not printed by this program: it is what lscpu is expected to print by util-linux's own tests, libvirt's
 * `.expected` and capabilities, and, of hwloc's recordings, what their names and authors say (4s2c2t: 4 sockets of 2 cores
 * of 2 threads; the number before is that of all threads).
 */
const SHAPES: readonly (readonly [name: string, sockets: number, cores: number, threads: number, nodes: number])[] = [
  // util-linux: lscpu's expected output.
  ["vbox-win", 1, 2, 2, 1],
  ["vmware_fpe", 2, 8, 16, 4],
  ["x86_64-64cpu", 4, 32, 64, 3], // node 1 is missing in the recording
  ["x86_64-64cpu-linux6.2", 1, 4, 8, 1],
  ["x86_64-dell_e4310", 1, 2, 4, 1],
  ["x86_64-epyc_7451", 2, 48, 96, 8],
  // libvirt: nodes × sockets × cores × threads of the .expected files, cells and CPUs of the capabilities.
  ["test2", 1, 2, 2, 1],
  ["test4", 2, 16, 16, 2],
  ["test6", 1, 4, 6, 1], // 8 threads, of which 5 and 7 are offline
  ["test8", 4, 32, 64, 8], // Opteron 6282 SE: 8 modules of two threads a socket; libvirt counts 64 cores
  ["test3", 4, 48, 48, 8],
  ["with-die", 2, 12, 12, 1],
  ["linux-basic", 4, 16, 16, 4],
  ["linux-caches", 1, 4, 8, 1],
  ["linux-resctrl-skx", 1, 1, 1, 1],
  ["linux-resctrl", 2, 12, 12, 2],
  // hwloc: by name.
  ["16amd64-4n4c-cgroup-distance-merge", 4, 16, 16, 4],
  ["16amd64-8n2c", 8, 16, 16, 8],
  ["16amd64-8n2c-cpusets", 8, 15, 15, 8], // CPU 4 is offline
  ["20em64t-hybrid-1p6c2t+2ca4co1t", 1, 14, 20, 1], // 6 cores of two threads, 8 of one
  ["2pa-pcidomain32bits", 2, 2, 2, 1],
  ["32amd64-4s2n4c-cgroup2", 4, 32, 32, 8],
  ["32em64t-2n8c+dax+nvme+mic+dimms", 2, 16, 16, 2],
  ["32intel64-2p8co2t+8ve", 2, 16, 32, 2],
  ["40intel64-2g2n4c+pcilocality", 4, 40, 40, 4],
  ["48amd64-4pa2n6c-sparse", 4, 48, 48, 8],
  ["64amd64-4s2n4ca2co", 4, 32, 64, 8], // modules of two, as in test8
  ["8em64t-2s2ca2c", 2, 8, 8, 1],
  ["8em64t-2s2ca2c-buggynuma", 2, 8, 8, 1],
  ["8em64t-2s4c-asymcaches", 2, 8, 8, 1],
];

/** Memory as the node's figures say, in GiB; hugepages are in it. */
const MEMORY: readonly (readonly [name: string, memory: readonly string[], warned?: RegExp])[] = [
  // Kernels before 3.x count on a node what they keep for themselves: machines get of MemTotal, which is smaller.
  ["8em64t-2s2ca2c", ["0: 15.7"]],
  ["32em64t-2n8c+dax+nvme+mic+dimms", ["0: 15.6", "1: 15.7"]],
  ["2pa-pcidomain32bits", ["0: 2.0"]],
  ["20em64t-hybrid-1p6c2t+2ca4co1t", ["0: 31.0"]],
  ["16amd64-8n2c", ["0: 8.0", "1: 8.0", "2: 8.0", "3: 8.0", "4: 8.0", "5: 8.0", "6: 8.0", "7: 8.0"]],
  ["32intel64-2p8co2t+8ve", ["0: 45.7", "1: 47.2"]],
  ["memorysidecaches", ["0: 370.5", "1: 372.1", "2: 372.1", "3: 372.1"]],
  ["96em64t-4no4pa3ca2co", ["0: 125.8", "1: 125.8", "2: 125.8", "3: 125.8"]],
  ["16em64t-4s2c2t-offlines", ["0: 16.0"]],
  ["2i386-2c-nohugepage", ["0: 2.0"]], // no NUMA at all
  ["48amd64-4pa2n6c-sparse", ["0: 7.9", "1: 15.8", "2: 7.9", "33: 15.8", "34: 7.9", "45: 15.8", "72: 7.9", "73: 15.8"]],
  // Memory without CPUs; CPUs without memory; both.
  [
    "nvidiagpunumanodes",
    ["0: 123.8", "8: 127.7", "250: 15.0", "251: 15.0", "252: 15.0", "253: 15.0", "254: 15.0", "255: 15.0"],
    /^NUMA nodes 250-255 have memory and no CPUs .*: machines get none of it$/,
  ],
  [
    "fakememinitiators-1np2c+1npp+gi",
    ["5: 92.9", "6: 94.5", "7: 742.0", "8: 93.0", "9: 94.5", "10: 744.0"],
    /^NUMA nodes 0-3 have CPUs and no memory: a machine on them has its memory on other nodes$/m,
  ],
  ["synthetic-memoryless-node", ["0: 64.0"], /^NUMA nodes 1 have CPUs and no memory/],
  [
    "8em64t-2s2ca2c-buggynuma",
    ["0: 1.9", "1: 1.9", "2: 1.9", "3: 1.9", "4: 1.9", "5: 1.9", "6: 1.9", "7: 1.9"],
    /^NUMA nodes 1-7 have memory and no CPUs/,
  ],
  // The node of the even CPUs is offline, and its half of the memory is not there.
  ["offline-cpu0-node0", ["1: 64.0"], /^its NUMA nodes show 64\.0 of 125\.6 GiB of memory/m],
  // Not yet initialised: with one node, whose pages are all there, it is the machine's total; else the smaller figure.
  ["lazy-ten-minutes", ["0: 23.5"]],
  ["lazy-half-an-hour", ["0: 21.7"], /^its NUMA nodes show 21\.7 of 23\.5 GiB of memory, .*probe again/],
  ["synthetic-lazy-two-nodes", ["0: 4.0", "1: 2.0"], /^its NUMA nodes show 6\.0 of 47\.1 GiB of memory/],
];

describe("hosts that others have recorded", () => {
  it("are read, every one, or refused by name where their processors are not x86-64", () => {
    const unsupported = [...hosts.values()].filter(({ machine }) => machine !== "x86_64");
    expect(new Set(unsupported.map(({ machine }) => machine))).to.have.members([
      "aarch64",
      "armv7l",
      "i686",
      "loongarch64",
      "ppc64",
      "riscv64",
      "s390x",
      "sparc64",
    ]);
    for (const { name, machine } of hosts.values()) {
      const refusal = `host ${name}: its processors are ${machine}, which is not supported: take an x86-64 host`;
      if (machine === "x86_64") expect(() => read(name), name).not.to.throw();
      else expect(() => read(name), name).to.throw(refusal);
    }
  });

  for (const [name, ...shape] of SHAPES) {
    it(`${name}: ${shape[0]} sockets, ${shape[1]} cores, ${shape[2]} threads, ${shape[3]} nodes`, () => {
      expect(shapeOf(read(name).facts)).to.deep.equal(shape);
    });
  }

  for (const [name, memory, warned] of MEMORY) {
    it(`${name}: memory of ${memory.length} nodes`, () => {
      const { facts, warnings } = read(name);
      expect(gib(facts)).to.deep.equal(memory);
      if (warned) expect(warnings.join("\n")).to.match(warned);
      else if (hosts.get(name)!.cpus !== undefined) expect(warnings).to.deep.equal([]);
    });
  }

  it("have nodes in the order of their numbers, whatever order a shell lists them in (node10 comes before node2)", () => {
    const host = hosts.get("32intel64-2p8co2t+8ve")!;
    const shuffled = { ...host, memory: [...host.memory].reverse(), hugepages: [...host.hugepages].reverse() };
    const asked = { storage: "/var/lib/kvmesh", now: new Date("2026-11-28T12:00:00Z") };
    expect(factsFromProbe(host.name, probeOf(shuffled), asked)).to.deep.equal(read(host.name).facts);
  });

  it("have hugepages by node and size, or none", () => {
    const MIB = 2 ** 20;
    const pages = (name: string) => read(name).facts.hugepages;
    expect(pages("16amd64-4n4c-cgroup-distance-merge")).to.deep.equal(
      [0, 1, 2, 3].map((node) => ({ node, sizeBytes: 2 * MIB, count: 512 })),
    );
    expect(pages("32intel64-2p8co2t+8ve")).to.deep.equal(
      [0, 1].map((node) => ({ node, sizeBytes: 2 * MIB, count: 2048 })),
    );
    expect(pages("linux-resctrl")).to.deep.equal([{ node: 1, sizeBytes: 1024 * MIB, count: 4 }]);
    // Kernels that have such pages, and none set aside; the last one's has none.
    for (const none of [
      "20em64t-hybrid-1p6c2t+2ca4co1t",
      "2pa-pcidomain32bits",
      "32em64t-2n8c+dax+nvme+mic+dimms",
      "40intel64-2g2n4c+pcilocality",
      "48amd64-4pa2n6c-sparse",
      "8em64t-2s2ca2c-buggynuma",
      "memorysidecaches",
      "nvidiagpunumanodes",
      "offline-cpu0-node0",
      "2i386-2c-nohugepage",
    ])
      expect(pages(none), none).to.deep.equal([]);
  });

  it("have siblings side by side: the second thread of EPYC's core 23 is CPU 71, on node 3", () => {
    const { cpus } = read("x86_64-epyc_7451").facts;
    const at = (cpu: number) => cpus.find((entry) => entry.cpu === cpu)!;
    expect(at(71)).to.deep.equal({ ...at(23), cpu: 71 });
    expect(at(71)).to.include({ node: 3, socket: 0 });
  });

  it("with CPUs whose node is offline keep them apart, on a node that has no memory", () => {
    const { facts, warnings } = read("offline-cpu0-node0");
    expect(facts.cpus.filter(({ node }) => node === 0).map(({ cpu }) => cpu)).to.deep.equal([
      4, 6, 8, 10, 12, 14, 16, 18, 20,
    ]);
    expect(facts.cpus.filter(({ node }) => node === 1)).to.have.length(8);
    expect(warnings).to.include("9 of 17 CPUs are on no NUMA node that is online: they count as node 0");
  });

  it("without NUMA have all CPUs on the node of the memory", () => {
    expect(read("test5").facts).to.deep.include({ memory: [{ node: 0, bytes: 8 * 2 ** 30 }] });
    expect(new Set(read("test5").facts.cpus.map(({ node }) => node))).to.deep.equal(new Set([0]));
  });

  it("without a core's number have each CPU as a core of its own, and that is said", () => {
    const { facts, warnings } = read("fakememinitiators-1np2c+1npp+gi");
    expect(facts.cpus.map(({ core }) => core)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(warnings[0]).to.match(/^the kernel names no core for 8 of 8 CPUs: each counts as a core of its own/);
  });

  it("whose firmware tears a core apart have it whole, on the node of its first thread", () => {
    const { facts, warnings } = read("synthetic-torn-core");
    expect(facts.cpus.map(({ cpu, node }) => [cpu, node])).to.deep.equal([
      [0, 0],
      [1, 1],
      [2, 0],
      [3, 1],
    ]);
    expect(warnings.join()).to.match(/the threads of 1 cores are on two NUMA nodes/);
  });
});
