import { expect } from "chai";
import * as fc from "fast-check";
import { place, PlacementError, type Placement } from "../../components/nodes/placement";
import type { HostSpec } from "../../config/spec";
import type { Bytes } from "../../config/units";
import { hostOf } from "../support/hosts";
import { largeStack } from "../support/large-stack";
import { foreign, GIB, request } from "../support/machine-requests";

/** One thread's core, named so that it is the same for every sibling. */
function coreOf(host: HostSpec, cpu: number): string {
  const { socket, core } = host.facts.cpus.find((entry) => entry.cpu === cpu)!;
  return `${socket}/${core}`;
}

describe("place, whatever is asked", function () {
  this.timeout(20_000);
  const shape = fc.record({
    nodes: fc.integer({ min: 1, max: 4 }),
    coresPerNode: fc.integer({ min: 2, max: 9 }),
    threadsPerCore: fc.constantFrom(1, 2),
    gibPerNode: fc.integer({ min: 16, max: 256 }),
  });
  const hostsAndPools = fc.record({
    shapes: fc.array(shape, { minLength: 1, maxLength: 4 }),
    others: fc.array(fc.record({ host: fc.nat(3), cpu: fc.nat(71), gib: fc.integer({ min: 0, max: 24 }) }), {
      maxLength: 4,
    }),
    pools: fc.array(
      fc.record({
        count: fc.integer({ min: 0, max: 5 }),
        vcpus: fc.integer({ min: 1, max: 9 }),
        gib: fc.integer({ min: 1, max: 12 }),
        role: fc.constantFrom("control-plane" as const, "worker" as const),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  });
  type Example = typeof hostsAndPools extends fc.Arbitrary<infer T> ? T : never;

  const hostsFrom = ({ shapes, others }: Example) =>
    shapes.map((entry, i) => {
      const host = hostOf(`h${i}`, entry);
      const here = others
        .filter(({ host: at, cpu }) => at === i && cpu < host.facts.cpus.length)
        .map(({ cpu, gib }, n) => foreign(`other-${n}`, { vcpus: 1, cpus: [cpu], memoryBytes: gib * GIB }));
      return { ...host, facts: { ...host.facts, foreign: here } };
    });
  const requestsFrom = ({ pools }: Example, hosts: readonly HostSpec[]) =>
    pools.flatMap(({ count, vcpus, gib, role }, p) =>
      Array.from({ length: count }, (_, i) =>
        request(`p${p}-${i}`, {
          vcpus,
          role,
          memory: (gib * GIB) as Bytes,
          hosts: hosts.map(({ name }) => name),
        }),
      ),
    );
  /** undefined: it does not fit, which is a fair answer to a random question. */
  const tried = (...args: Parameters<typeof place>): readonly Placement[] | undefined => {
    try {
      return place(...args);
    } catch (error) {
      if (error instanceof PlacementError) return undefined;
      throw error;
    }
  };

  it("no core has two owners, none is the host's or another machine's, siblings are together, memory fits its NUMA node", () => {
    let fitting = 0;
    fc.assert(
      fc.property(hostsAndPools, (example) => {
        const hosts = hostsFrom(example);
        const requests = requestsFrom(example, hosts);
        const placed = tried(hosts, requests);
        if (!placed) return;
        fitting += 1;
        for (const host of hosts) {
          const here = placed.filter((entry) => entry.host === host.name);
          const owners = new Map<string, string>();
          const memory = new Map<number, number>();
          const others = host.facts.foreign.flatMap(({ cpus }) => cpus);
          const kept = new Set([...host.housekeeping, ...others].map((cpu) => coreOf(host, cpu)));
          for (const { name, cpus, vcpuPins, numaNode } of here) {
            const asked = requests.find((entry) => entry.name === name)!;
            expect(vcpuPins).to.have.length(asked.vcpus);
            expect(new Set(vcpuPins).size).to.equal(asked.vcpus);
            expect(cpus).to.include.members([...vcpuPins]);
            for (const cpu of cpus) {
              const core = coreOf(host, cpu);
              expect(owners.get(core) ?? name).to.equal(name);
              owners.set(core, name);
              expect(kept.has(core)).to.equal(false);
            }
            const siblings = host.facts.cpus.filter((cpu) => owners.get(coreOf(host, cpu.cpu)) === name);
            expect(cpus).to.have.length(siblings.length);
            if (numaNode === undefined) continue;
            const nodes = host.facts.cpus.filter(({ cpu }) => cpus.includes(cpu)).map(({ node }) => node);
            expect(new Set(nodes)).to.deep.equal(new Set([numaNode]));
            memory.set(numaNode, (memory.get(numaNode) ?? 0) + asked.memory);
          }
          for (const [node, bytes] of memory) {
            const others = host.facts.foreign.filter(({ cpus }) => host.facts.cpus[cpus[0]!]!.node === node);
            const taken = others.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
            expect(bytes + taken).to.be.at.most(host.facts.memory.find((entry) => entry.node === node)!.bytes);
          }
        }
      }),
      { numRuns: 100 },
    );
    expect(fitting).to.be.greaterThan(25);
  });

  it("depends on nothing but what is asked: not on the order of hosts or requests", () => {
    fc.assert(
      fc.property(hostsAndPools, fc.infiniteStream(fc.nat()), (example, order) => {
        const hosts = hostsFrom(example);
        const requests = requestsFrom(example, hosts);
        const shuffled = <T>(list: readonly T[]): T[] =>
          list
            .map((entry) => ({ entry, key: order.next().value as number }))
            .sort((a, b) => a.key - b.key)
            .map(({ entry }) => entry);
        const byName = (placed: readonly Placement[] | undefined) =>
          placed && [...placed].sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(byName(tried(shuffled(hosts), shuffled(requests)))).to.deep.equal(byName(tried(hosts, requests)));
      }),
      { numRuns: 100 },
    );
  });

  it("moves nobody when pools grow, shrink, come and go", () => {
    let moves = 0;
    fc.assert(
      fc.property(
        hostsAndPools,
        fc.array(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 4, maxLength: 4 }), { maxLength: 4 }),
        (example, steps) => {
          const hosts = hostsFrom(example);
          let placed = tried(hosts, requestsFrom(example, hosts));
          for (const counts of steps) {
            if (!placed) return;
            const pools = example.pools.map((pool, i) => ({ ...pool, count: counts[i]! }));
            const next = tried(hosts, requestsFrom({ ...example, pools }, hosts), placed);
            for (const { name, ...before } of placed) {
              const after = next?.find((entry) => entry.name === name);
              if (!after) continue;
              moves += 1;
              expect({ ...after, name: undefined }).to.deep.equal({ ...before, name: undefined });
            }
            placed = next ?? placed;
          }
        },
      ),
      { numRuns: 200 },
    );
    expect(moves).to.be.greaterThan(100);
  });
});

describe("1000 machines on 100 hosts", function () {
  this.timeout(60_000);

  it("all have a place; a further one moves none, and each core has one owner", () => {
    const { hosts, requests } = largeStack(100, 1000);
    const before = place(hosts, requests);
    const after = place(hosts, largeStack(100, 1001).requests, before);
    // As text: chai takes 15 s to compare a thousand of them.
    expect(JSON.stringify(after.slice(0, 1000)) === JSON.stringify(before), "nobody moved").to.equal(true);
    const owners = after.flatMap(({ host, cpus }) => cpus.map((cpu) => `${host}/${cpu}`));
    expect(new Set(owners).size).to.equal(owners.length);
  });
});
