import { expect } from "chai";
import { place } from "../../components/nodes";
import { machineRequests } from "../../components/nodes/machine-requests";
import { cpusToIsolate, hugepagesOf, shownByFacts } from "../../config/preparation";
import { formatProblem, type Problem } from "../../config";
import { problemsOf, specOf, STACK_FACTS } from "../support/stack";

const at = "hosts.a.prepare";
const BARE = { ...STACK_FACTS, libvirtVersion: null, qemuVersion: null };
const GIB = 2 ** 30;
const pages = { size: "1GiB", count: 16 };

describe("preparation of hosts in the stack file", () => {
  it("is none unless it is written, and then only what is written", () => {
    expect(specOf().hosts[0]!.prepare).to.equal(undefined);
    expect(specOf({ [at]: {} }).hosts[0]!.prepare).to.deep.equal({
      packages: false,
      isolateCpus: false,
      sysctl: {},
      reboot: "never",
    });
    const [host] = specOf({ [at]: { sysctl: { "vm.swappiness": 1 }, hugepages: pages, reboot: "when-needed" } }).hosts;
    expect(host!.prepare).to.deep.include({ sysctl: { "vm.swappiness": "1" }, hugepages: { size: GIB, count: 16 } });
  });

  it("gives the ledger its pages before they are there, in the place of those of the facts", () => {
    const spec = specOf({ "hosts.a.hugepages": "1GiB", [at]: { hugepages: pages } });
    expect(hugepagesOf(spec.hosts[0]!)).to.deep.equal([0, 1].map((node) => ({ node, sizeBytes: GIB, count: 16 })));
    // 3 machines of 8 GiB in 2 × 16 GiB of pages.
    expect(place(spec.hosts, machineRequests(spec.pools, "dev"), [])).to.have.length(3);
    const few = specOf({ "hosts.a.hugepages": "1GiB", [at]: { hugepages: { ...pages, count: 8 } } });
    expect(() => place(few.hosts, machineRequests(few.pools, "dev"), [])).to.throw(/8\.0 GiB|0\.0 GiB/);
  });

  it("leaves what is reserved to others: whole cores, and the memory that goes with them", () => {
    const { hosts, pools } = specOf({ "hosts.a.reserved": { cpus: "1-7", memory: "50GiB" } });
    const placed = place(hosts, machineRequests(pools, "dev"), []);
    expect(placed.map(({ numaNode }) => numaNode)).to.deep.equal([1, 1, 1]);
    const more = specOf({ "hosts.a.reserved": { cpus: "1-7" }, "pools.worker.count": 3, "pools.worker.vcpus": 8 });
    expect(() => place(more.hosts, machineRequests(more.pools, "dev"), [])).to.throw(
      "machines of others have: (reserved) (CPUs 1-7, 0.0 GiB)",
    );
  });

  it("isolates what is not housekeeping, and knows what the facts show of it", () => {
    const [host] = specOf({ [at]: { isolateCpus: true, hugepages: pages }, "hosts.a.housekeeping": "0-3" }).hosts;
    expect(cpusToIsolate(host!)).to.deep.equal(Array.from({ length: 28 }, (_, i) => i + 4));
    expect(shownByFacts(host!)).to.equal("isolated none; pages none");
    expect(shownByFacts(specOf({ [at]: {} }).hosts[0]!)).to.equal("");
  });

  it("lets a host be planned on which nothing is installed, says that up installs it, and looks again when it is gone", () => {
    const warnings: Problem[] = [];
    const spec = specOf({ [at]: { packages: true } }, warnings, BARE);
    expect(place(spec.hosts, machineRequests(spec.pools, "dev"), [])).to.have.length(3);
    expect(warnings.map(formatProblem)).to.deep.equal([
      'hosts.a.facts: found "no libvirt and QEMU"; `pulumi up` installs it before anything else there (prepare.packages); then probe it again with `npm run facts -- a`',
    ]);
    expect(shownByFacts(spec.hosts[0]!)).to.equal("without libvirt and QEMU");
    expect(problemsOf({ [at]: {} }, BARE)).to.deep.equal([
      'hosts.a.facts: found "no libvirt and QEMU"; machines need it: write prepare.packages: true, and `pulumi up` installs it; or install it by hand (docs/hosts.md), then probe it again with `npm run facts -- a`',
    ]);
  });

  const refusals: readonly (readonly [string, Parameters<typeof problemsOf>[0], RegExp])[] = [
    [
      "a size that x86 has not",
      { [at]: { hugepages: { size: "64KiB", count: 1 } } },
      /^hosts\.a\.prepare\.hugepages\.size: .*2MiB or 1GiB/,
    ],
    [
      "more pages than memory",
      { [at]: { hugepages: { size: "1GiB", count: 64 } } },
      /^hosts\.a\.prepare\.hugepages\.count: .*64GiB in all would leave less than 1GiB of the 64\.0 GiB of NUMA node 0/,
    ],
    [
      "machines of pages that nobody sets aside",
      { "hosts.a.hugepages": "1GiB", [at]: {} },
      /^hosts\.a\.hugepages: .*none configured: give prepare\.hugepages/,
    ],
    [
      "isolation without a CPU for the host",
      { [at]: { isolateCpus: true }, "hosts.a.housekeeping": "none" },
      /^hosts\.a\.prepare\.isolateCpus: .*none left for the host/,
    ],
    [
      "isolation under shared CPUs",
      { [at]: { isolateCpus: true }, "pools.worker.cpu": "shared" },
      /^hosts\.a\.prepare\.isolateCpus: .*pool worker has shared CPUs/,
    ],
    ["pages as a sysctl", { [at]: { sysctl: { "vm.nr_hugepages": 8 } } }, /prepare\.sysctl.*give prepare\.hugepages/],
    ["a sysctl of two lines", { [at]: { sysctl: { "vm.x": "1\nvm.y = 2" } } }, /one line of text/],
    ["a sysctl that is no name", { [at]: { sysctl: { "vm.x = 1; reboot": "1" } } }, /a sysctl's name is such as/],
    [
      "an address that ssh_config would read as more",
      { [at]: {}, "hosts.a.endpoint.address": "192.0.2.1\nProxyCommand x" },
      /^hosts\.a\.endpoint\.address: .*reached by OpenSSH/,
    ],
    ["a user like that", { [at]: {}, "hosts.a.endpoint.user": "a b" }, /^hosts\.a\.endpoint\.user: /],
    ["such a key file", { [at]: {}, "ssh.identityFile": '/x" y' }, /^ssh\.identityFile: .*prepared by OpenSSH/],
    ["another word", { [at]: { reboot: "always" } }, /^hosts\.a\.prepare\.reboot: /],
  ];
  for (const [what, changes, message] of refusals) {
    it(`refuses ${what}`, () => {
      const problems = problemsOf(changes);
      expect(problems, problems.join("\n")).to.have.length(1);
      expect(problems[0]).to.match(message);
    });
  }
});
