import { expect } from "chai";
import { describe as inWords, judgeDisk, judgeInside } from "../../provider/evidence/judge";
import { judgeHost, judgeWaiting } from "../../provider/evidence/judge-host";
import type { HostThread, SeenHost } from "../../provider/evidence/host";
import type { SeenDisk } from "../../provider/evidence/machine";
import type { SeenXml } from "../../provider/domain/seen";
import type { Value } from "../../provider/evidence/schema";
import { evidenceInputs, production } from "../support/evidence-inputs";

const verdicts = (values: readonly Value[]): Record<string, string> =>
  Object.fromEntries(values.map(({ id, verdict }) => [id, verdict]));

describe("evidence: verdicts from inside", () => {
  // virtio says so of any disk.
  const disk = { device: "/dev/vda", transport: "unknown", rotational: true };
  const run = (p99Ms: number): SeenDisk => ({
    folder: "/var/lib",
    disk,
    fio: "fio-3.39",
    fsyncs: [1, 2, 4].map((writers) => ({ writers, syncs: 500, p50Ms: 1, p99Ms: p99Ms * writers })),
  });

  it("judge one writer, tell of more", () => {
    expect(verdicts(judgeDisk(evidenceInputs(), run(9)))).to.deep.equal({
      disk: "pass",
      "fsync-p50-1": "info",
      "fsync-p99-1": "pass",
      "fsync-p50-2": "info",
      "fsync-p99-2": "info",
      "fsync-p50-4": "info",
      "fsync-p99-4": "info",
    });
  });

  it("refuse a slow disk, a rotating one and a missing fio on production's control planes, and warn elsewhere", () => {
    const missing: SeenDisk = {
      folder: "/var/lib",
      disk: { ...disk, transport: "sata", rotational: true },
      fsyncs: [],
      reason: "install fio",
    };
    const plane = evidenceInputs({ owner: production });
    for (const [who, verdict] of [
      [plane, "fail"],
      [evidenceInputs({ owner: production, role: "worker" }), "warn"],
      [evidenceInputs(), "warn"],
    ] as const) {
      expect(verdicts(judgeDisk(who, run(20)))["fsync-p99-1"]).to.equal(verdict);
      expect(verdicts(judgeDisk(who, missing))).to.deep.equal({ disk: verdict, "fsync-p99-1": verdict });
    }
    expect(judgeDisk(plane, run(20)).map(inWords)[2]).to.equal(
      "fdatasync in /var/lib by 1 writer, 99th percentile: 20 ms; required: at most 10 ms",
    );
    expect(judgeDisk(plane, missing).map(inWords)[1]).to.include("not measured: install fio; required: at most 10 ms");
  });

  it("refuse steal, another hypervisor, fewer vCPUs and a wrong clock", () => {
    const seen = { hypervisor: "lxc", vcpus: 1, kernel: "6.12", stealPercent: 7.5, clockOffsetSeconds: -90 };
    expect(judgeInside(evidenceInputs(), seen).map(inWords)).to.deep.equal([
      "hypervisor: lxc; required: kvm",
      "vCPUs: 1; required: at least 2",
      "steal over 1 s with every vCPU busy: 7.5 %; required: at most 1 %",
      "clock against the one of the computer that measured: -90 s; required: at most 60 s",
    ]);
    expect(new Set(Object.values(verdicts(judgeInside(evidenceInputs(), seen))))).to.deep.equal(new Set(["fail"]));
  });

  it("take unknown steal for no proof of dedicated cores, and for nothing where any is allowed", () => {
    const seen = { hypervisor: "kvm", vcpus: 2, kernel: "6.12", stealPercent: null, clockOffsetSeconds: 0 };
    const steal = (maxStealPercent: number) => judgeInside(evidenceInputs({ maxStealPercent }), seen)[2]!;
    expect(steal(1)).to.deep.include({ id: "steal", measured: null, verdict: "fail" });
    expect(inWords(steal(1))).to.match(
      /^steal over 1 s with every vCPU busy: not measured: .*; required: at most 1 %$/,
    );
    expect(steal(100).verdict).to.equal("not measured");
  });
});

describe("evidence: verdicts from the host", () => {
  const domain = { vcpuPins: [2, 3], emulatorPin: [0], ioThreadPin: [0], numaNode: 0 };
  const thread = (id: number, name: string, cpus: number[], machine = "m1", pid = 100): HostThread => ({
    machine,
    pid,
    id,
    name,
    cpus,
    ranNs: 1e9,
    waitedNs: 0,
  });
  const seen: SeenHost = {
    time: 1000,
    xml: {
      vcpuPins: new Map([
        [0, [2]],
        [1, [3]],
      ]),
      disks: [{ cache: "none" }],
    } as unknown as SeenXml,
    xmlQuotas: [],
    threads: [
      thread(100, "qemu-system-x86", [0]),
      thread(101, "IO iothread1", [0]),
      thread(102, "CPU 0/KVM", [2]),
      thread(103, "CPU 1/KVM", [3]),
    ],
    isolated: [2, 3],
    nohzFull: [],
    quotas: [],
    memory: new Map([[0, 2 ** 20]]),
    leases: new Map([2, 3].map((cpu) => [cpu, "kvmesh\ttest\tm1"])),
    disks: [{ device: "/dev/nvme0n1", transport: "nvme", rotational: false }],
    kernel: "6.12",
    libvirt: "11.3.0",
    qemu: "10.0.13",
  };
  const faults = (changes: Partial<SeenHost>, who = evidenceInputs()): string[] =>
    judgeHost(who, domain, { ...seen, ...changes })
      .filter(({ verdict }) => verdict === "fail")
      .map(inWords);

  it("pass a machine that is as declared", () => {
    expect(faults({})).to.deep.equal([]);
    const values = new Map(judgeHost(evidenceInputs(), domain, seen).map((value) => [value.id, value.measured]));
    expect(values.get("vcpu-affinity")).to.equal("0→2, 1→3");
    expect(values.get("isolated")).to.equal("isolated 2-3, nohz_full none");
    expect(values.get("host-disk")).to.equal("nvme");
    expect(values.get("host-cache")).to.equal("none");
  });

  it("name a float, an overlap, a quota, remote memory and a lease of somebody else", () => {
    const floating = seen.threads.map((one) => (one.id === 103 ? { ...one, cpus: [0, 1, 2, 3] } : one));
    expect(faults({ threads: floating })).to.deep.equal(["vCPU → CPU, in the kernel: 0→2, 1→0-3; required: 0→2, 1→3"]);
    const others = [
      thread(200, "qemu-system-x86", [0, 1, 2, 3], "other", 200),
      thread(201, "CPU 0/KVM", [1], "other", 200),
    ];
    expect(faults({ threads: [...seen.threads, ...others] })).to.deep.equal([
      "other machines that may run on the vCPUs' CPUs: other (qemu-system-x86) on CPU 2-3; required: none",
    ]);
    expect(
      faults({ xmlQuotas: ["quota"], quotas: [{ file: "/sys/fs/cgroup/x/cpu.max", limit: "50000 100000" }] }),
    ).to.deep.equal(["limit of CPU time: quota in libvirt; 50000 100000 in /sys/fs/cgroup/x/cpu.max; required: none"]);
    expect(
      faults({
        memory: new Map([
          [0, 3000],
          [1, 1000],
        ]),
      }),
    ).to.deep.equal(["the machine's memory by NUMA node: node 0: 75 %, node 1: 25 %; required: node 0: 100 %"]);
    expect(
      faults({
        leases: new Map([
          [2, "kvmesh\ttest\tm1"],
          [3, "kvmesh\tother\tm7"],
        ]),
      }),
    ).to.deep.equal(["leases on the host: CPU 3 by kvmesh/other/m7; required: CPU 2-3 by kvmesh/test/m1"]);
    expect(faults({ xml: { vcpuPins: new Map(), disks: [] } as unknown as SeenXml })).to.deep.equal([
      "vCPU → CPU, in libvirt: 0→none, 1→none; required: 0→2, 1→3",
    ]);
  });

  it("only tell of machines whose vCPUs are declared to float", () => {
    const shared = evidenceInputs({ plan: "shared" });
    const values = judgeHost(
      shared,
      { vcpuPins: [], emulatorPin: [], ioThreadPin: [] },
      { ...seen, leases: new Map() },
    );
    expect(values.filter(({ verdict }) => verdict !== "info")).to.deep.equal([]);
  });

  it("take the vCPU that waited most, over the time between two looks", () => {
    const after = {
      time: 1010,
      threads: seen.threads.map((one) => ({ ...one, waitedNs: one.id === 103 ? 0.5e9 : 1e6 })),
    };
    const [value] = judgeWaiting(evidenceInputs(), seen, after);
    expect(value).to.deep.include({ measured: 5, limit: 1, verdict: "fail" });
  });

  it("take a kernel that counts no waiting for no measurement, and not for 0 %", () => {
    const uncounted = { time: 1010, threads: seen.threads.map((one) => ({ ...one, ranNs: 0 })) };
    const [value] = judgeWaiting(evidenceInputs(), seen, uncounted);
    expect(value).to.deep.include({ id: "vcpu-wait", measured: null, verdict: "not measured" });
    expect(value?.note).to.contain("of 2 vCPUs the host's kernel counts 0");
  });

  it("demand isolated CPUs where the stack declares them: in production an error, elsewhere a warning", () => {
    const isolated = (environment: string, nohzFull: number[]): Value | undefined =>
      judgeHost(
        evidenceInputs({ owner: { ...evidenceInputs().owner, environment } }),
        { ...domain, isolated: true },
        { ...seen, nohzFull },
      ).find(({ id }) => id === "isolated");
    expect(isolated("production", [2, 3])?.verdict).to.equal("pass");
    expect(isolated("staging", [2])?.verdict).to.equal("warn");
    expect(inWords(isolated("production", [2])!)).to.equal(
      "of the vCPUs' CPUs, kept from the host's scheduler: isolated 2-3, nohz_full 2; required: isolated 2-3, nohz_full 2-3",
    );
    expect(isolated("production", [2])?.verdict).to.equal("fail");
  });
});
