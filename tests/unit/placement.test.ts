import { expect } from "chai";
import { place, PlacementError, type MachineRequest } from "../../components/nodes/placement";
import { placedFrom, type Placed } from "../../components/nodes/placed";
import type { ForeignMachine } from "../../config/facts";
import type { HostSpec } from "../../config/spec";
import type { Bytes } from "../../config/units";
import { hostOf, type Shape } from "../support/hosts";
import { foreign, GIB, request, TWO_SOCKETS } from "../support/machine-requests";

const threeHosts = (shape: Shape = TWO_SOCKETS) => ["a", "b", "c"].map((name) => hostOf(name, shape));

describe("place", () => {
  it("gives each vCPU a thread of whole cores on one NUMA node, siblings side by side", () => {
    const [placed] = place([hostOf("a", TWO_SOCKETS)], [request("web-0", { hosts: ["a"] })]);
    expect(placed).to.deep.equal({
      name: "web-0",
      host: "a",
      vcpuPins: [1, 17, 2, 18],
      cpus: [1, 2, 17, 18],
      numaNode: 0,
    });
  });

  it("leases the whole core for an odd number of vCPUs", () => {
    const [placed] = place([hostOf("a", TWO_SOCKETS)], [request("web-0", { hosts: ["a"], vcpus: 3 })]);
    expect(placed!.vcpuPins).to.deep.equal([1, 17, 2]);
    expect(placed!.cpus).to.deep.equal([1, 2, 17, 18]);
  });

  it("spreads control planes over hosts before it looks at anything else", () => {
    const roomy = hostOf("b", { ...TWO_SOCKETS, coresPerNode: 32, gibPerNode: 512 });
    const hosts = [hostOf("a", TWO_SOCKETS), roomy, hostOf("c", TWO_SOCKETS)];
    const planes = [0, 1, 2].map((i) => request(`control-${i}`, { role: "control-plane" }));
    expect(place(hosts, planes).map(({ host }) => host)).to.have.members(["a", "b", "c"]);
  });

  it("spreads a pool's workers over hosts", () => {
    const workers = [0, 1, 2, 3, 4, 5].map((i) => request(`web-${i}`));
    const hosts = place(threeHosts(), workers).map(({ host }) => host);
    expect(hosts.sort()).to.deep.equal(["a", "a", "b", "b", "c", "c"]);
  });

  it("goes over NUMA nodes only where no host has the cores on one, and says so by naming no node", () => {
    const small = hostOf("a", { nodes: 2, coresPerNode: 4, threadsPerCore: 2, gibPerNode: 64 });
    const wide = request("wide-0", { vcpus: 10, hosts: ["a", "b"] });
    const [alone] = place([small], [wide]);
    expect(alone!.numaNode).to.equal(undefined);
    expect(alone!.cpus).to.have.length(10);
    const [local] = place([small, hostOf("b", TWO_SOCKETS)], [wide]);
    expect(local).to.include({ host: "b", numaNode: 0 });
  });

  it("counts memory by NUMA node", () => {
    const host = hostOf("a", TWO_SOCKETS);
    const machines = [0, 1].map((i) => request(`web-${i}`, { hosts: ["a"], memory: (40 * GIB) as Bytes }));
    expect(place([host], machines).map(({ numaNode }) => numaNode)).to.deep.equal([0, 1]);
  });

  it("counts only the hugepages of the asked size where the host backs machines with them", () => {
    const facts = { ...hostOf("a", TWO_SOCKETS).facts, hugepages: [{ node: 1, sizeBytes: GIB, count: 8 }] };
    const host = hostOf("a", TWO_SOCKETS, { facts, hugepages: GIB as Bytes });
    const [placed] = place([host], [request("web-0", { hosts: ["a"] })]);
    expect(placed!.numaNode).to.equal(1);
  });

  it("takes no core for shared vCPUs, and still counts their memory", () => {
    const host = hostOf("a", TWO_SOCKETS);
    const shared = request("web-0", { hosts: ["a"], cpu: "shared", memory: (100 * GIB) as Bytes });
    const [placed] = place([host], [shared]);
    expect(placed).to.deep.include({ vcpuPins: [], cpus: [] });
    expect(() => place([host], [shared, { ...shared, name: "web-1", index: 1 }])).to.throw(PlacementError, "web-1");
  });

  it("explains a misfit with what is free where, for every machine that has no place", () => {
    const machines = [request("big-0", { vcpus: 64 }), request("huge-0", { memory: (4096 * GIB) as Bytes })];
    expect(() => place(threeHosts(), machines))
      .to.throw(PlacementError)
      .with.property("message")
      .that.includes("big-0 (pool big) fits on no host: it needs 64 vCPUs and 4.0 GiB on one host")
      .and.includes("huge-0 (pool huge)")
      .and.includes("a: NUMA node 0: 7 cores (14 CPUs), 60.8 GiB; NUMA node 1: 7 cores (14 CPUs), 60.8 GiB");
  });

  describe("on a host with machines of others", () => {
    const shape: Shape = { nodes: 2, coresPerNode: 4, threadsPerCore: 2, gibPerNode: 64 };
    const withOthers = (...foreign: ForeignMachine[]): HostSpec => {
      const host = hostOf("a", shape);
      return { ...host, facts: { ...host.facts, foreign } };
    };
    const web = (i: number, change: Partial<MachineRequest> = {}) => request(`web-${i}`, { hosts: ["a"], ...change });

    it("leaves them their cores, whole, and names them in a misfit", () => {
      // CPU 2 is the first thread of node 0's third core; its sibling 10 is not free either.
      const host = withOthers(foreign("db", { cpus: [2], memoryBytes: 16 * GIB }));
      const placed = place([host], [web(0), web(1)]);
      expect(placed.flatMap(({ cpus }) => cpus))
        .to.not.include.members([2])
        .and.not.include.members([10]);
      expect(placed.map(({ numaNode }) => numaNode)).to.deep.equal([0, 1]);
      expect(() => place([host], [web(0), web(1), web(2)])).to.throw(
        PlacementError,
        "machines of others have: db (CPUs 2, 16.0 GiB)",
      );
    });

    it("counts their memory where it is bound, where their CPUs are, or on all nodes", () => {
      const wants = (gib: number) => web(0, { memory: (gib * GIB) as Bytes });
      const fits = (gib: number, other: ForeignMachine) => {
        const [placed] = place([withOthers(other)], [wants(gib)]);
        return placed!.numaNode;
      };
      expect(fits(40, foreign("db", { nodes: [0], cpus: [6, 14], memoryBytes: 40 * GIB }))).to.equal(1);
      expect(fits(40, foreign("db", { cpus: [2, 10], memoryBytes: 40 * GIB }))).to.equal(1);
      const floating = foreign("db", { floating: 4, memoryBytes: 60 * GIB });
      expect(fits(30, floating)).to.equal(0);
      expect(fits(40, floating)).to.equal(undefined);
      expect(() => fits(70, floating)).to.throw(PlacementError, "db (4 floating vCPUs, 60.0 GiB)");
    });

    it("counts their hugepages against the host's, not against its other memory", () => {
      const host = withOthers(foreign("db", { nodes: [0], memoryBytes: 6 * GIB, hugepageBytes: GIB }));
      const hugepages = [0, 1].map((node) => ({ node, sizeBytes: GIB, count: 8 }));
      const backed = { ...host, facts: { ...host.facts, hugepages }, hugepages: GIB as Bytes };
      expect(place([backed], [web(0)])[0]!.numaNode).to.equal(1);
      expect(() => place([backed], [web(0, { memory: (9 * GIB) as Bytes })])).to.throw(
        PlacementError,
        "NUMA node 0: 3 cores (6 CPUs), 2.0 GiB; NUMA node 1: 3 cores (6 CPUs), 8.0 GiB",
      );
    });

    it("moves a machine of ours away from cores that somebody has pinned to meanwhile, on the same host", () => {
      const placed = [{ name: "web-0", host: "a", cpus: [1, 2, 9, 10] }];
      const [moved] = place([withOthers(foreign("db", { cpus: [2] }))], [web(0)], placed);
      expect(moved!.cpus).to.deep.equal([1, 3, 9, 11]);
    });
  });

  describe("with machines that are there already", () => {
    it("keeps the cores of a machine that shrinks, and grows one beside its own", () => {
      const before = [request("web-0", { hosts: ["a"] }), request("web-1", { hosts: ["a"] })];
      const placed = place([hostOf("a", TWO_SOCKETS)], before);
      const after = [
        { ...before[0]!, vcpus: 2 },
        { ...before[1]!, vcpus: 6 },
      ];
      const [shrunk, grown] = place([hostOf("a", TWO_SOCKETS)], after, placed);
      expect(shrunk!.vcpuPins).to.deep.equal(placed[0]!.vcpuPins.slice(0, 2));
      expect(grown!.cpus).to.include.members([...placed[1]!.cpus]);
      expect(grown!.numaNode).to.equal(placed[1]!.numaNode);
    });

    it("stays on its host when its cores are gone, and leaves a host that it may not be on", () => {
      const kept = [{ name: "web-0", host: "b", cpus: [0, 16, 99] }];
      expect(place(threeHosts(), [request("web-0")], kept)[0]!.host).to.equal("b");
      expect(place(threeHosts(), [request("web-0", { hosts: ["a", "c"] })], kept)[0]!.host).to.not.equal("b");
    });

    it("gives the cores of two leases on one core to one machine only", () => {
      const lease = { host: "a", cpus: [1, 2, 17, 18] };
      const machines = [request("web-0", { hosts: ["a"] }), request("web-1", { hosts: ["a"] })];
      const placed = machines.map(({ name }) => ({ name, ...lease }));
      const [first, second] = place([hostOf("a", TWO_SOCKETS)], machines, placed);
      expect(first!.cpus.filter((cpu) => second!.cpus.includes(cpu))).to.deep.equal([]);
    });
  });
});

describe("placedFrom", () => {
  const hosts = threeHosts();
  const host = (name: string) => hosts.find((entry) => entry.name === name)!.endpoint;

  it("knows a host that was renumbered by its key, where no other host has that", () => {
    const moved = (keys: readonly string[]): readonly Placed[] =>
      placedFrom(
        {
          "urn:1": {
            type: "kvmesh:index:Domain",
            outputs: { host: { ...host("a"), address: "192.0.2.200", hostKey: "k" }, name: "web-0" },
          },
        },
        hosts.map((spec, i) => ({ ...spec, endpoint: { ...spec.endpoint, hostKey: keys[i]! } })),
      );
    expect(moved(["x", "k", "y"])).to.deep.equal([{ name: "web-0", host: hosts[1]!.name, cpus: [] }]);
    expect(moved(["k", "k", "y"])).to.deep.equal([]);
    // Its old address is another host's now.
    const swapped = hosts.map(({ endpoint, ...spec }, i) => ({
      ...spec,
      endpoint: { ...endpoint, address: ["192.0.2.200", "192.0.2.7", "192.0.2.8"][i]!, hostKey: ["x", "k", "y"][i]! },
    }));
    const at = { ...host("a"), address: "192.0.2.200", hostKey: "k" };
    expect(
      placedFrom({ "urn:1": { type: "kvmesh:index:Domain", outputs: { host: at, name: "web-0" } } }, swapped),
    ).to.deep.equal([{ name: "web-0", host: hosts[1]!.name, cpus: [] }]);
  });

  it("takes cores from leases, hosts of floating machines from domains, and nothing from hosts that are gone", () => {
    const placed = placedFrom(
      {
        "urn:1": { type: "kvmesh:index:Domain", outputs: { host: host("a"), name: "web-0", vcpuPins: [5, 6] } },
        "urn:2": { type: "kvmesh:index:CoreLease", outputs: { host: host("a"), machine: "web-0", cpus: [1, 17] } },
        "urn:3": { type: "kvmesh:index:Domain", outputs: { host: { ...host("b"), port: undefined }, name: "float-0" } },
        "urn:4": { type: "kvmesh:index:Domain", outputs: { host: { address: "203.0.113.9" }, name: "gone-0" } },
        "urn:5": { type: "pulumi:pulumi:Stack", outputs: { nodes: [{ name: "x" }] } },
      },
      hosts,
    );
    expect(placed).to.deep.equal([
      { name: "web-0", host: "a", cpus: [1, 17] },
      { name: "float-0", host: "b", cpus: [] },
    ]);
  });
});
