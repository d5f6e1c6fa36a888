import { expect } from "chai";
import { sshHostKey, sshKeyOnly } from "../../policies/access";
import {
  diskOvercommit,
  locationAllowed,
  nodeDedicatedCpu,
  nodeEmulatorIsolated,
  nodeKvmOnly,
  nodeMinVcpus,
  nodeNumaLocal,
} from "../../policies/nodes";
import { coreOverlapPolicy } from "../../policies/overlap";
import { domain, HOST_KEY, lease, machine, OTHER_HOST_KEY } from "./fixtures";
import { judge, unknown, type Subject } from "./harness";

describe("node policies", () => {
  describe("node-dedicated-cpu", () => {
    it("accepts one pin a vCPU, and dedicated or metal plans", () => {
      expect(judge(nodeDedicatedCpu, domain())).to.deep.equal({ violations: [] });
      expect(judge(nodeDedicatedCpu, machine())).to.deep.equal({ violations: [] });
      expect(judge(nodeDedicatedCpu, machine({ plan: "metal" }))).to.deep.equal({ violations: [] });
    });

    it("names node, value, requirement and remedy of shared vCPUs", () => {
      const [text, ...more] = judge(nodeDedicatedCpu, domain({ vcpuPins: [] })).violations;
      expect(more).to.deep.equal([]);
      expect(text?.split("\n")).to.deep.equal([
        "Domain web-0: found vcpuPins [] for 4 vCPUs: they share the host's CPUs",
        "required: 4 pins, one host CPU of its own for each vCPU",
        "remedy: Set `cpu: dedicated` on the pool (or leave `cpu` out); for a rented machine, rent one with dedicated cores and say `plan: dedicated`.",
      ]);
    });

    it("refuses fewer pins than vCPUs and a shared plan", () => {
      expect(judge(nodeDedicatedCpu, domain({ vcpuPins: [4, 5, 6] })).violations[0]).to.include(
        "3 pins for 4 vCPUs (vcpuPins 4-6)",
      );
      expect(judge(nodeDedicatedCpu, machine({ plan: "shared" })).violations[0]).to.include('plan "shared"');
    });

    it("gives no verdict on unknown pins", () => {
      expect(judge(nodeDedicatedCpu, domain({ vcpuPins: unknown.array }))).to.deep.include({
        violations: [],
        unknown: "vcpuPins",
      });
      expect(judge(nodeDedicatedCpu, domain({ vcpuPins: [4, 5, 6, unknown.number] })).unknown).to.equal("vcpuPins.3");
    });

    it("says of other resources that it does not apply", () => {
      expect(judge(nodeDedicatedCpu, lease("web-0", [1])).notApplicable).to.be.a("string");
    });
  });

  it("node-kvm-only: KVM or bare metal", () => {
    expect(judge(nodeKvmOnly, domain()).violations).to.deep.equal([]);
    expect(judge(nodeKvmOnly, machine({ hypervisors: ["kvm", "none"] })).violations).to.deep.equal([]);
    expect(judge(nodeKvmOnly, domain({ type: "qemu" })).violations[0]).to.include("emulation");
    expect(judge(nodeKvmOnly, machine({ hypervisors: ["kvm", "lxc"] })).violations[0]).to.include("lxc accepted");
    expect(judge(nodeKvmOnly, machine({ hypervisors: [] })).violations).to.have.length(1);
    expect(judge(nodeKvmOnly, domain({ type: unknown.string })).unknown).to.equal("type");
  });

  it("node-min-vcpus: 4", () => {
    expect(judge(nodeMinVcpus, domain({ vcpus: 4 })).violations).to.deep.equal([]);
    expect(judge(nodeMinVcpus, domain({ vcpus: 3 })).violations[0]).to.include("found 3 vCPUs");
    expect(judge(nodeMinVcpus, machine({ vcpus: 2 })).violations[0]).to.include("Machine rented-0: found 2 vCPUs");
    expect(judge(nodeMinVcpus, domain({ vcpus: unknown.number })).unknown).to.equal("vcpus");
  });

  it("node-emulator-isolated: threads off the vCPUs' CPUs", () => {
    expect(judge(nodeEmulatorIsolated, domain()).violations).to.deep.equal([]);
    expect(judge(nodeEmulatorIsolated, domain({ emulatorPin: [0, 4, 5] })).violations[0]).to.include(
      "emulator threads on CPU 4-5",
    );
    expect(judge(nodeEmulatorIsolated, domain({ ioThreadPin: [] })).violations[0]).to.include("ioThreadPin []");
    expect(judge(nodeEmulatorIsolated, domain({ ioThreadPin: unknown.array })).unknown).to.equal("ioThreadPin");
  });

  it("node-numa-local: memory on one node", () => {
    expect(judge(nodeNumaLocal, domain({ numaNode: 0 })).violations).to.deep.equal([]);
    expect(judge(nodeNumaLocal, domain({ numaNode: undefined })).violations).to.have.length(1);
    expect(judge(nodeNumaLocal, domain({ numaNode: unknown.number })).unknown).to.equal("numaNode");
  });

  it("disk-overcommit: none in a thin pool, and files have none", () => {
    const volume = (change: object): Subject => ({
      type: "kvmesh:index:Volume",
      name: "web-0.etcd",
      props: { name: "web-0.etcd", ...change },
    });
    const thin = (overcommit: unknown) => volume({ thinPool: { volumeGroup: "nvme", name: "machines", overcommit } });
    expect(judge(diskOvercommit, volume({ storage: "/var/lib/kvmesh" })).violations).to.deep.equal([]);
    for (const none of [1, undefined]) expect(judge(diskOvercommit, thin(none)).violations).to.deep.equal([]);
    const [finding, ...more] = judge(diskOvercommit, thin(1.5)).violations;
    expect(more).to.deep.equal([]);
    expect(finding).to.include(
      "Volume web-0.etcd: found overcommit 1.5: the volumes of the thin pool nvme/machines may",
    );
    expect(judge(diskOvercommit, thin(unknown.number)).unknown).to.equal("thinPool.overcommit");
  });

  it("location-allowed: Norway, unless the pack's settings say otherwise", () => {
    expect(judge(locationAllowed, machine()).violations).to.deep.equal([]);
    expect(judge(locationAllowed, machine({ country: "DE" })).violations[0]).to.include("found country DE");
    expect(judge(locationAllowed, machine({ country: "DE" }), { countries: ["EEA"] }).violations).to.deep.equal([]);
    expect(judge(locationAllowed, machine({ country: "US" }), { countries: ["NO", "EEA"] }).violations[0]).to.include(
      "one of NO, EEA",
    );
    expect(judge(locationAllowed, machine({ country: undefined })).violations[0]).to.include("not given");
    expect(judge(locationAllowed, machine({ country: unknown.string })).unknown).to.equal("country");
  });
});

describe("node-core-overlap", () => {
  const all = (...subjects: readonly Subject[]) => {
    const policy = coreOverlapPolicy();
    return subjects.map((subject) => judge(policy, subject).violations);
  };

  it("accepts machines side by side, with shared housekeeping CPUs and leases of their own", () => {
    expect(
      all(
        lease("web-0", [4, 5, 6, 7]),
        domain(),
        domain({ vcpuPins: [8, 9, 10, 11] }, "web-1"),
        lease("web-1", [8, 9, 10, 11]),
      ).flat(),
    ).to.deep.equal([]);
  });

  it("refuses a CPU twice within a machine", () => {
    expect(all(domain({ vcpuPins: [4, 5, 5, 7] }))[0]?.[0]).to.include("CPU 5 for more than one vCPU");
  });

  it("refuses a CPU in two machines of a host, in the same words whichever comes second", () => {
    const [a, b] = [domain({}, "a"), domain({ vcpuPins: [6, 7, 8, 9] }, "b")];
    const found = "CPU 6-7 of 192.0.2.10 claimed by a and b";
    expect(all(a, b)[1]?.[0]).to.include(found);
    expect(all(b, a)[1]?.[0]).to.include(found);
  });

  it("takes the same numbers on another host for other CPUs", () => {
    const elsewhere = { address: "192.0.2.10", hostKey: OTHER_HOST_KEY };
    expect(all(domain({}, "a"), domain({ host: elsewhere }, "b")).flat()).to.deep.equal([]);
  });

  it("refuses vCPUs on the housekeeping CPUs of any machine", () => {
    expect(all(domain({}, "a"), domain({ vcpuPins: [1, 8, 9, 10] }, "b"))[1]?.[0]).to.include(
      "a (emulator or I/O threads) and b",
    );
  });

  it("refuses a machine on CPUs that another's lease holds", () => {
    expect(all(lease("a", [4, 5]), domain({}, "b"))[1]?.[0]).to.include("claimed by a and b");
  });

  it("judges a resource again without colliding with itself", () => {
    expect(all(domain(), domain(), domain({ vcpuPins: [6, 7, 8, 9] })).flat()).to.deep.equal([]);
  });

  it("gives no verdict on unknown pins or an unknown host", () => {
    expect(judge(coreOverlapPolicy(), domain({ vcpuPins: unknown.array })).unknown).to.equal("vcpuPins");
    expect(judge(coreOverlapPolicy(), domain({ host: { hostKey: unknown.string } })).unknown).to.equal("host.hostKey");
  });
});

describe("SSH policies", () => {
  const remote = (connection: object): Subject => ({ type: "command:remote:Command", props: { connection } });

  it("ssh-host-key: pinned on hosts, machines, bastions and remote commands", () => {
    const bastion = { address: "b", hostKey: HOST_KEY };
    expect(judge(sshHostKey, domain()).violations).to.deep.equal([]);
    expect(judge(sshHostKey, machine({ endpoint: { hostKey: `${HOST_KEY} note`, bastion } })).violations).to.deep.equal(
      [],
    );
    expect(judge(sshHostKey, remote({ hostKey: HOST_KEY })).violations).to.deep.equal([]);
    expect(judge(sshHostKey, domain({ host: { address: "a" } })).violations[0]).to.include("no host.hostKey");
    expect(
      judge(sshHostKey, machine({ endpoint: { hostKey: HOST_KEY, bastion: { address: "b" } } })).violations[0],
    ).to.include("no endpoint.bastion.hostKey");
    expect(judge(sshHostKey, remote({ hostKey: "SHA256:abc" })).violations[0]).to.include("no public key");
    expect(judge(sshHostKey, remote({ hostKey: HOST_KEY, proxy: {} })).violations[0]).to.include("proxy");
  });

  it("ssh-host-key: a key that is made in the same run counts as declared, and nothing else does", () => {
    const later = { hostKey: unknown.string };
    expect(judge(sshHostKey, machine({ endpoint: later }))).to.deep.equal({ violations: [] });
    expect(judge(sshHostKey, machine({ endpoint: { ...later, bastion: later } }))).to.deep.equal({ violations: [] });
    expect(judge(sshHostKey, remote({ hostKey: unknown.string }))).to.deep.equal({ violations: [] });
    // The rest is judged as ever.
    expect(judge(sshHostKey, machine({ endpoint: { ...later, bastion: {} } })).violations[0]).to.include(
      "no endpoint.bastion.hostKey",
    );
    expect(judge(sshHostKey, machine({ endpoint: { hostKey: "" } })).violations[0]).to.include("no endpoint.hostKey");
    expect(judge(sshHostKey, machine({ endpoint: { hostKey: null } })).violations[0]).to.include("no endpoint.hostKey");
    // Whether a connection that is not known itself has a key can't be told.
    expect(judge(sshHostKey, machine({ endpoint: unknown.string })).unknown).to.equal("endpoint");
    expect(judge(sshHostKey, machine({ endpoint: { ...later, bastion: unknown.string } })).unknown).to.equal(
      "endpoint.bastion",
    );
  });

  it("ssh-key-only: no password, and none in the message", () => {
    expect(judge(sshKeyOnly, domain()).violations).to.deep.equal([]);
    const verdict = judge(sshKeyOnly, remote({ hostKey: HOST_KEY, password: "hunter2" }));
    expect(verdict.violations[0]).to.include("a password in connection").and.not.include("hunter2");
    expect(judge(sshKeyOnly, remote({ password: unknown.string })).unknown).to.equal("connection.password");
  });
});
