import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseFacts, staleness, type ForeignMachine, type HostFacts } from "../../config/facts";
import { ConfigError } from "../../config/problems";
import { changedFacts, factsFromProbe, formatFacts } from "../../tools/facts";
import { hostsIn } from "../../tools/facts/hosts";
import { exampleHostKey, factsOf } from "../support/hosts";

const checkout = path.resolve(__dirname, "../../..");
const fixture = (name: string) => fs.readFileSync(path.join(checkout, "tests/fixtures/facts", name), "utf8");
const ASKED = { storage: "/var/lib/kvmesh", now: new Date("2026-11-20T12:00:00Z") };
const OTHER: ForeignMachine = {
  name: "db",
  uuid: "0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e",
  vcpus: 4,
  cpus: [1],
  floating: 2,
  memoryBytes: 2 ** 30,
  nodes: [],
};
const small = factsOf({ nodes: 2, coresPerNode: 2, threadsPerCore: 2, gibPerNode: 8 });

describe("a probe's output", () => {
  it("of a two-socket host becomes facts", () => {
    const facts = factsFromProbe("osl1-a", fixture("two-sockets.txt"), ASKED);
    expect(facts).to.deep.include({
      schema: 2,
      probedAt: "2026-11-20T12:00:00.000Z",
      hostname: "osl1-a",
      accelerator: "kvm",
      virtualization: "none",
      libvirtVersion: "10.0.0",
      qemuVersion: "8.2.2",
      stealPercent: 0,
    });
    expect(facts.cpus).to.have.length(128);
    expect(facts.cpus[97]).to.deep.equal({ cpu: 97, core: 33, socket: 1, node: 1 });
    expect(facts.isolatedCpus).to.have.length(124).and.not.include(32);
    expect(facts.memory).to.deep.equal([
      { node: 0, bytes: 263805808 * 1024 },
      { node: 1, bytes: 264199024 * 1024 },
    ]);
    expect(facts.hugepages).to.deep.equal([0, 1].map((node) => ({ node, sizeBytes: 2 ** 30, count: 224 })));
    expect(facts.disks).to.deep.equal([
      {
        name: "nvme0n1",
        transport: "nvme",
        rotational: false,
        model: "SAMSUNG MZQL23T8HCLS-00A07",
        serial: "S6CKNE0W100001",
        bytes: 3840755982336,
        byId: "/dev/disk/by-id/nvme-SAMSUNG_MZQL23T8HCLS-00A07_S6CKNE0W100001",
        use: "",
      },
      {
        name: "sda",
        transport: "sata",
        rotational: true,
        model: "ST4000NM0035",
        serial: "ZC100001",
        bytes: 4000787030016,
        byId: "/dev/disk/by-id/ata-ST4000NM0035_ZC100001",
        use: "mounted on /",
      },
    ]);
  });

  it("of an emulated host (recorded in the lab) says qemu and leaves out what holds nothing", () => {
    const facts = factsFromProbe("host", fixture("emulated-host.txt"), ASKED);
    expect(facts).to.deep.include({ accelerator: "qemu", virtualization: "container-other", qemuVersion: "10.0.13" });
    expect(facts.cpus).to.have.length(2);
    expect(facts.hugepages).to.deep.equal([]);
    expect(facts.disks.map(({ name }) => name)).to.deep.equal(["vda"]);
  });

  it("of a host whose kernel initialises memory as it is used (recorded ten minutes after boot) has all of it", () => {
    const facts = factsFromProbe("fresh", fixture("lazy-memory.txt"), ASKED);
    expect(facts.memory, "not the 13461708 KiB that its node shows").to.deep.equal([
      { node: 0, bytes: 24684084 * 1024 },
    ]);
    expect(facts.availableMemory, "more than its node shows").to.equal(20470080 * 1024);
    const unproven = fixture("lazy-memory.txt").replace(/@@ present\n.*\n/, "");
    const smaller = factsFromProbe("fresh", unproven, ASKED).memory;
    expect(smaller, "the smaller where nothing shows that it is no total").to.deep.equal([
      { node: 0, bytes: 13461708 * 1024 },
    ]);
  });

  const probed = (answers: Readonly<Record<string, string>>): HostFacts => {
    const output = Object.entries(answers).reduce(
      (text, [name, answer]) => text.replace(new RegExp(`@@ ${name}\\n[^@]*`), () => `@@ ${name}\n${answer}\n\n`),
      fixture("two-sockets.txt"),
    );
    return factsFromProbe("osl1-a", output, ASKED);
  };
  const BARE = { libvirt: "missing", qemu: "missing", kvm: "no qemu", foreign: "" };

  it("of a host without libvirt and QEMU says so, and has everything else", () => {
    const facts = probed(BARE);
    expect(facts).to.deep.include({ libvirtVersion: null, qemuVersion: null, accelerator: "kvm", foreign: [] });
    expect(facts.cpus).to.have.length(128);
    expect(changedFacts(facts, probed({}))).to.deep.equal([
      "libvirt: not installed → 10.0.0",
      "QEMU: not installed → 8.2.2",
    ]);
    expect(probed({ ...BARE, kvm: "no /dev/kvm" }).accelerator).to.equal("qemu");
    const client = { ...BARE, libvirt: "error: failed to connect to the hypervisor\nmissing" };
    expect(probed(client).libvirtVersion, "a client without its daemon").to.equal(null);
  });

  it("of a libvirt that does not answer, or of machines that nobody can list, is refused with what was said", () => {
    const stopped = { libvirt: "error: Failed to connect socket to '/var/run/libvirt/libvirt-sock'" };
    expect(() => probed(stopped)).to.throw(
      /osl1-a: libvirt is installed, .*Failed to connect socket.*: start libvirtd/,
    );
    const hidden = { ...BARE, foreign: "! QEMU runs without libvirt, process 7\n! libvirt is gone and left /x.xml" };
    expect(() => probed(hidden)).to.throw(
      "osl1-a: its machines can't be listed: QEMU runs without libvirt, process 7; libvirt is gone and left /x.xml",
    );
    const one = { foreign: "PGRvbWFpbi8+\n! the definition of machine 7: error: not now" };
    expect(() => probed(one)).to.throw("machines can't be listed: the definition of machine 7: error: not now");
  });

  it("of an LVM that fails is refused with what it said, whatever it listed before", () => {
    const volumes =
      '{"report":[{"lv":[]}]}\n\n!   WARNING: VG nvme is missing PV x.\n  Cannot process volume group nvme';
    expect(() => probed({ volumes })).to.throw(
      "host osl1-a: its logical volumes can't be listed, `lvs` there says: WARNING: VG nvme is missing PV x.; Cannot process volume group nvme",
    );
    expect(probed({ volumes: "" }).thinPools, "no LVM").to.deep.equal([]);
  });

  it("is read where figures for people are missing, or are none", () => {
    const warnings: string[] = [];
    const answers = {
      availableMemory: "",
      isolated: "(null)",
      virtualization: "",
      stat1: "cpu 0 0 0 0 0 0 0 9",
      disks: "",
    };
    const output = Object.entries(answers).reduce(
      (text, [name, answer]) => text.replace(new RegExp(`@@ ${name}\\n[^@]*`), () => `@@ ${name}\n${answer}\n\n`),
      fixture("two-sockets.txt"),
    );
    const facts = factsFromProbe("osl1-a", output, { ...ASKED, warn: (message) => warnings.push(message) });
    const unknown = { availableMemory: null, stealPercent: null, isolatedCpus: [], virtualization: "unknown" };
    expect(facts).to.deep.include({ ...unknown, disks: [] });
    expect(warnings).to.deep.equal(["its /proc/stat says nothing about steal"]);
    expect(probed({ isolated: "1-999" }).isolatedCpus, "only those that are online").to.have.length(127);
  });

  it("that lists no CPU, or other processors than x86-64, is refused with what to do", () => {
    expect(() => probed({ cpus: "# CPU,Core,Socket,Node" })).to.throw("host osl1-a: `lscpu -p` lists no CPU there");
    expect(() => probed({ architecture: "aarch64" })).to.throw(
      "host osl1-a: its processors are aarch64, which is not supported: take an x86-64 host",
    );
  });

  it("that was cut off names the host and the question", () => {
    const output = fixture("two-sockets.txt").split("@@ stat2")[0]!;
    expect(() => factsFromProbe("osl1-a", output, ASKED)).to.throw('host osl1-a: no answer for "stat2"');
  });
});

describe("a facts file", () => {
  it("comes back from its text as it was", () => {
    const facts = factsFromProbe("osl1-a", fixture("two-sockets.txt"), ASKED);
    expect(parseFacts(JSON.parse(formatFacts(facts)), "facts")).to.deep.equal(facts);
  });

  it("that is committed is valid and written as the tool writes it", () => {
    const files = fs.readdirSync(path.join(checkout, "facts")).filter((file) => file.endsWith(".json"));
    expect(files).to.include.members(["osl1-a.json", "bgo1-a.json", "trd1-a.json"]);
    for (const file of files) {
      const text = fs.readFileSync(path.join(checkout, "facts", file), "utf8");
      expect(formatFacts(parseFacts(JSON.parse(text), file)), file).to.equal(text);
    }
  });

  const refused: readonly [string, unknown, RegExp][] = [
    ["of another schema", { ...small, schema: 3 }, /schema: found 3; this program reads facts of schema 2/],
    ["of schema 1", { ...small, schema: 1 }, /schema: found 1; facts of schema 1 don't say which other machines are/],
    ["that is no map", null, /schema: this program reads facts of schema 2/],
    [
      "with a foreign machine on a CPU that it has not",
      { ...small, foreign: [{ ...OTHER, cpus: [0, 99] }] },
      /foreign\[0\]\.cpus\[1\]: found 99; the host has no such CPU/,
    ],
    [
      "with a foreign machine of more floating vCPUs than vCPUs",
      { ...small, foreign: [{ ...OTHER, floating: 5 }] },
      /foreign\[0\]\.floating: found 5; the machine has 4 vCPUs/,
    ],
    [
      "with a foreign machine whose UUID is none",
      { ...small, foreign: [{ ...OTHER, uuid: "web" }] },
      /foreign\[0\]\.uuid: found "web"; give the UUID/,
    ],
    ["with an unknown key", { ...small, cpuz: [] }, /cpuz: no such key\. Did you mean "cpus"\?|cpuz: no such key/],
    ["with no CPU", { ...small, cpus: [] }, /cpus: .*at least 1 entries/],
    [
      "with a CPU twice",
      { ...small, cpus: [...small.cpus, small.cpus[0]] },
      /cpus\[8\]\.cpu: found 0; this CPU is listed twice/,
    ],
    [
      "with siblings on two NUMA nodes",
      { ...small, cpus: small.cpus.map((cpu) => (cpu.cpu === 4 ? { ...cpu, node: 1 } : cpu)) },
      /cpus\[4\]\.node: found 1; siblings of socket 0, core 0 are on NUMA nodes 0 and 1/,
    ],
    [
      "with negative memory",
      { ...small, memory: [{ node: 0, bytes: -1 }] },
      /memory\[0\]\.bytes: found -1; give at least 1/,
    ],
    ["with memory of a node twice", { ...small, memory: [...small.memory, small.memory[0]] }, /memory\[2\]\.node/],
    [
      "of a container",
      { ...small, virtualization: "openvz" },
      /virtualization: found "openvz"; a container is no KVM host/,
    ],
    [
      "with a time that is none",
      { ...small, probedAt: "yesterday" },
      /probedAt: found "yesterday"; give a time in ISO 8601/,
    ],
  ];
  for (const [what, raw, message] of refused) {
    it(`${what} is refused with its path`, () => {
      expect(() => parseFacts(raw, "facts/x.json")).to.throw(ConfigError, message);
    });
  }

  const odd: readonly [string, Partial<HostFacts>][] = [
    ["an isolated CPU that is offline", { isolatedCpus: [1, 99] }],
    ["no figure of free memory and of steal", { availableMemory: null, stealPercent: null }],
    ["more memory free than there is", { availableMemory: 2 ** 50 }],
    ["hugepages that a node's total does not hold", { hugepages: [{ node: 1, sizeBytes: 2 ** 30, count: 9 }] }],
    ["hugepages on a node of which no total is known", { hugepages: [{ node: 2, sizeBytes: 2 ** 21, count: 1 }] }],
    ["a foreign machine that is bound to a node of another host", { foreign: [{ ...OTHER, nodes: [3] }] }],
  ];
  for (const [what, difference] of odd) {
    it(`with ${what} is read as it is`, () => {
      expect(parseFacts({ ...small, ...difference }, "facts/x.json")).to.deep.equal({ ...small, ...difference });
    });
  }

  it("is old after 90 days", () => {
    expect(staleness(small, new Date("2027-01-29T00:00:00Z"))).to.equal(undefined);
    expect(staleness(small, new Date("2027-02-01T00:00:00Z"))).to.equal(
      "these facts are 92 days old: probe the host again",
    );
    expect(staleness(small, new Date("2026-10-01T00:00:00Z"))).to.match(/2026-11-01T00:00:00Z, which is still to come/);
  });
});

describe("changedFacts", () => {
  it("names what is different, and nothing where only the time is", () => {
    const before: HostFacts = { ...small, disks: [] };
    const kind = { transport: "nvme", rotational: false, model: "M", serial: "S", byId: "/dev/disk/by-id/nvme-M_S" };
    const disk = { name: "nvme0n1", bytes: 2 ** 40, use: "", ...kind };
    const after: HostFacts = {
      ...before,
      probedAt: "2026-11-30T00:00:00Z",
      isolatedCpus: [1, 2, 3],
      disks: [disk],
      foreign: [OTHER],
    };
    const storage = { ...before.storage, availableBytes: 1 };
    const later = { ...before, probedAt: after.probedAt, availableMemory: 1, storage };
    expect(changedFacts(before, later)).to.deep.equal([]);
    expect(changedFacts(before, after)).to.deep.equal([
      "isolated CPUs: none → 1-3",
      "disk nvme0n1: absent → M S (nvme, solid state, 1024.0 GiB, /dev/disk/by-id/nvme-M_S, not in use)",
      `machine db (${OTHER.uuid}): absent → 4 vCPUs on CPUs 1, 2 floating over the host's CPUs, 1.0 GiB`,
    ]);
  });

  it("sees siblings that were regrouped although the CPUs are the same", () => {
    const cpus = small.cpus.map((cpu) => ({ ...cpu, core: cpu.core === 0 ? 1 : 0 }));
    expect(changedFacts(small, { ...small, cpus })).to.have.length(1);
  });
});

describe("hosts to probe", () => {
  const host = { endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() }, location: { country: "NO" } };

  it("are read from a stack file that has nothing else yet", () => {
    const file = { config: { "kvmesh:ssh": { identityFile: "~/.ssh/id" }, "kvmesh:hosts": { a: host } } };
    const { identityFile, hosts } = hostsIn(file, "Pulumi.x.yaml");
    expect(identityFile).to.equal("~/.ssh/id");
    expect(hosts[0]).to.deep.include({ name: "a", factsFile: "facts/a.json" });
    expect(hosts[0]!.endpoint).to.deep.include({ port: 22, user: "root" });
  });

  it("need a pinned host key", () => {
    const file = { config: { "kvmesh:hosts": { a: { ...host, endpoint: { address: "192.0.2.1" } } } } };
    expect(() => hostsIn(file, "Pulumi.x.yaml")).to.throw(ConfigError, "hosts.a.endpoint.hostKey: missing");
  });
});
