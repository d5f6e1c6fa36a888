import { expect } from "chai";
import fc from "fast-check";
import { canonicalJson, digestOf } from "../../provider/evidence/digest";
import { describe as inWords, judgeDisk, judgeInside } from "../../provider/evidence/judge";
import { judgeHost, judgeWaiting } from "../../provider/evidence/judge-host";
import type { HostThread, SeenHost } from "../../provider/evidence/host";
import { evidenceKind, outdated } from "../../provider/evidence/kind";
import { fsyncScript, insideScript, parseFsync, parseInside, type SeenDisk } from "../../provider/evidence/machine";
import type { EvidenceInputs, EvidenceOutputs, Value } from "../../provider/evidence/schema";
import type { SeenXml } from "../../provider/domain/seen";
import { evidenceIn, evidenceTable } from "../../tools/evidence";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

const production = { ...owner, environment: "production" };

function inputs(changes: Record<string, unknown> = {}): EvidenceInputs {
  const checked = evidenceKind.check({
    endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() },
    owner,
    name: "m1",
    role: "control-plane",
    plan: "dedicated",
    vcpus: 2,
    hypervisors: ["kvm"],
    maxStealPercent: 1,
    maxFsyncMs: 10,
    directory: "/var/lib/etcd",
    windowSeconds: 1,
    fsyncSeconds: 1,
    ...changes,
  });
  expect(checked.failures).to.deep.equal([]);
  return checked.inputs;
}

const verdicts = (values: readonly Value[]): Record<string, string> =>
  Object.fromEntries(values.map(({ id, verdict }) => [id, verdict]));

/** fio's report, with what it also holds left out; latencies in milliseconds. */
const report = (p50: number, p99: number, count = 800): string =>
  JSON.stringify({
    "fio version": "fio-3.39",
    jobs: [{ sync: { lat_ns: { N: count, percentile: { "50.000000": p50 * 1e6, "99.000000": p99 * 1e6 } } } }],
  });

describe("evidence: digest", () => {
  it("is of the one canonical form, whatever the order of fields", () => {
    expect(canonicalJson({ b: [1, "ø", null], a: { d: 0.1, c: true } })).to.equal(
      '{"a":{"c":true,"d":0.1},"b":[1,"ø",null]}',
    );
    expect(digestOf({ b: 2, a: 1 })).to.equal(
      // printf '{"a":1,"b":2}' | sha256sum
      "sha256:43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777",
    );
  });

  it("survives what a state does to a record, and no change of it", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (record) => {
        const shuffled = Object.fromEntries(Object.entries(record).reverse());
        expect(digestOf(JSON.parse(JSON.stringify(shuffled)) as object)).to.equal(
          digestOf(JSON.parse(JSON.stringify(record)) as object),
        );
        expect(digestOf({ ...record, added: 1 })).not.to.equal(digestOf({ ...record, added: 2 }));
      }),
    );
  });
});

describe("evidence: inside a machine", () => {
  let machine: LocalMachine;
  beforeEach(() => (machine = new LocalMachine()));
  afterEach(() => machine.close());

  it("keeps every vCPU busy for the window and leaves nothing running", async () => {
    machine.command("nproc", "echo 2");
    machine.command("nice", 'echo busy >>"$0.log"; shift 2; exec "$@"');
    const started = Date.now();
    const result = await machine.script(machine.endpoint, insideScript(inputs()));
    expect(result.code, result.stderr).to.equal(0);
    expect(Date.now() - started).to.be.within(1000, 8000);
    const seen = parseInside("m1", result.stdout, Date.now());
    expect(seen.vcpus).to.equal(2);
    expect(seen.stealPercent).to.be.within(0, 100);
    expect(Math.abs(seen.clockOffsetSeconds)).to.be.lessThan(3);
    expect(machine.read("bin/nice.log")).to.equal("busy\nbusy\n");
    const left = await machine.script(machine.endpoint, "sleep 0.2; pgrep -f '^sh -c while :; do :; don[e]$' || true");
    expect(left.stdout).to.equal("");
  });

  it("does not load CPUs that others share", () => {
    expect(insideScript(inputs({ plan: "shared" }))).not.to.include("while :");
  });

  it("writes as etcd does, above a data folder that is not there yet, and removes everything", async () => {
    machine.command(
      "fio",
      `[ "$1" = --version ] && { echo fio-3.39; exit; }\necho "$@" >>/run/kvmesh.args\ntouch "\${2#--directory=}/kvmesh.0.0"\necho '${report(0.1, 2)}'`,
    );
    const script = fsyncScript(inputs());
    const result = await machine.script(machine.endpoint, script);
    expect(result.code, result.stderr).to.equal(0);
    const seen = parseFsync("m1", result.stdout, inputs());
    expect(seen.folder).to.equal(machine.path("var/lib"));
    expect(seen.fio).to.equal("fio-3.39");
    expect(seen.fsyncs).to.deep.equal([1, 2, 4].map((writers) => ({ writers, syncs: 800, p50Ms: 0.1, p99Ms: 2 })));
    const [first] = machine.read("run/kvmesh.args")!.split("\n");
    expect(first).to.match(
      /--rw=write --ioengine=sync --fdatasync=1 --bs=2300 --size=23068672 --numjobs=1 .*--runtime=1/,
    );
    expect((await machine.script(machine.endpoint, `ls -A ${machine.path("var/lib")}`)).stdout).to.equal("");
  });

  it("measures in the data folder where it is there, and removes what a killed measurement left", async () => {
    machine.write("var/lib/etcd/.kvmesh-fsync-dead/kvmesh.0.0", "x");
    machine.write("var/lib/etcd/member/wal", "x");
    machine.command("fio", "echo fio: no space left >&2; exit 1");
    const result = await machine.script(machine.endpoint, fsyncScript(inputs()));
    const seen = parseFsync("m1", result.stdout, inputs());
    expect(seen.folder).to.equal(machine.path("var/lib/etcd"));
    expect(seen.reason).to.include("no space left");
    expect((await machine.script(machine.endpoint, "ls -A /var/lib/etcd")).stdout).to.equal("member\n");
  });

  it("says what is missing: fio, room on the disk, latencies of an old fio", async () => {
    machine.command("fio", "exit 127");
    machine.command("command", "exit 1");
    const without = await machine.script(machine.endpoint, fsyncScript(inputs()).replace("command -v fio", "false"));
    expect(parseFsync("m1", without.stdout, inputs())).to.deep.include({ fsyncs: [], reason: "fio is not installed" });
    machine.command("fio", "echo fio-2.1");
    const full = await machine.script(machine.endpoint, fsyncScript(inputs({ fsyncBytes: 2 ** 50 })));
    expect(parseFsync("m1", full.stdout, inputs()).reason).to.match(/less than \d+ KiB are free/);
    machine.command("fio", `echo '{"jobs":[{}]}'`);
    const old = await machine.script(machine.endpoint, fsyncScript(inputs()));
    expect(parseFsync("m1", old.stdout, inputs()).reason).to.include("install fio 3.5 or later");
  });

  it("gets fio by apt-get where it is asked to; what can't be fetched is said, and dpkg is not touched", async () => {
    const wanted = inputs({ installFio: true });
    const script = fsyncScript(wanted).replaceAll("command -v fio", "[ -e /run/kvmesh.fio ]");
    machine.command("fio", `[ "$1" = --version ] && { echo fio-3.39; exit; }\necho '${report(0.1, 2)}'`);
    machine.command("apt-get", `echo "$*" >>/run/kvmesh.apt; echo 'E: Unable to locate package fio'; exit 100`);
    const offline = await machine.script(machine.endpoint, script);
    const seen = parseFsync("m1", offline.stdout, wanted);
    expect(seen.reason).to.equal(
      "fio is not installed, and apt-get can't install it (E: Unable to locate package fio)",
    );
    const refused = judgeDisk(inputs({ owner: production }), seen).map(inWords)[1];
    expect(refused).to.include("not measured: fio is not installed, and apt-get can't install it");
    expect(machine.read("run/kvmesh.apt")).not.to.include("--no-download");

    // As in a fresh image: no lists, so the first fetch fails.
    machine.command(
      "apt-get",
      'case "$*" in *update*) : >/run/kvmesh.lists ;; *--download-only*) [ -e /run/kvmesh.lists ] ;; *--no-download*) : >/run/kvmesh.fio ;; esac',
    );
    const online = await machine.script(machine.endpoint, script);
    expect(parseFsync("m1", online.stdout, wanted).fsyncs, online.stdout).to.have.length(3);
    expect(fsyncScript(inputs())).not.to.include("apt-get");
  });
});

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
    expect(verdicts(judgeDisk(inputs(), run(9)))).to.deep.equal({
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
    const plane = inputs({ owner: production });
    for (const [who, verdict] of [
      [plane, "fail"],
      [inputs({ owner: production, role: "worker" }), "warn"],
      [inputs(), "warn"],
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
    expect(judgeInside(inputs(), seen).map(inWords)).to.deep.equal([
      "hypervisor: lxc; required: kvm",
      "vCPUs: 1; required: at least 2",
      "steal over 1 s with every vCPU busy: 7.5 %; required: at most 1 %",
      "clock against the one of the computer that measured: -90 s; required: at most 60 s",
    ]);
    expect(new Set(Object.values(verdicts(judgeInside(inputs(), seen))))).to.deep.equal(new Set(["fail"]));
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
    ranNs: 0,
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
  const faults = (changes: Partial<SeenHost>, who = inputs()): string[] =>
    judgeHost(who, domain, { ...seen, ...changes })
      .filter(({ verdict }) => verdict === "fail")
      .map(inWords);

  it("pass a machine that is as declared", () => {
    expect(faults({})).to.deep.equal([]);
    const values = new Map(judgeHost(inputs(), domain, seen).map((value) => [value.id, value.measured]));
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
    const shared = inputs({ plan: "shared" });
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
    const [value] = judgeWaiting(inputs(), seen, after);
    expect(value).to.deep.include({ measured: 5, limit: 1, verdict: "fail" });
  });
});

describe("evidence: its age", () => {
  const taken = "2026-10-01T12:00:00.000Z";
  const old = { takenAt: taken, contradictions: [] } as unknown as EvidenceOutputs;
  const after = (days: number): number => Date.parse(taken) + days * 86_400_000;

  it("is a change only beyond the limit, and says since when", () => {
    expect(outdated(old, inputs(), after(30))).to.deep.equal([]);
    expect(outdated(old, inputs(), after(30.1))).to.deep.equal([
      {
        property: "takenAt",
        effect: "live",
        reason: `evidence of ${taken} is older than 30 d: measured again by up`,
      },
    ]);
    expect(outdated(old, inputs({ maxAgeSeconds: 5400 }), after(1))[0]?.reason).to.include("older than 1.5 h");
  });

  it("does not matter where a refresh saw that it no longer holds", () => {
    const [change] = outdated({ ...old, contradictions: ["vCPU → CPU: …"] }, inputs(), after(0));
    expect(change).to.deep.include({ property: "contradictions", effect: "live" });
  });

  it("is the only reason besides what the record speaks of", () => {
    const known = { ...inputs(), ...old, takenAt: new Date().toISOString() };
    expect(
      evidenceKind.diff(known, inputs({ windowSeconds: 20, fsyncWriters: [1] })).map(({ effect }) => effect),
    ).to.not.include("live");
    expect(evidenceKind.diff(known, inputs({ maxFsyncMs: 5 }))).to.deep.equal([
      { property: "maxFsyncMs", effect: "live" },
    ]);
  });
});

describe("evidence: of an existing machine", () => {
  it("is refused in production with all numbers, and leaves nothing recorded; warned of elsewhere", async () => {
    const machine = new LocalMachine();
    try {
      machine.command("nproc", "echo 2");
      machine.command("systemd-detect-virt", '[ "$1" = --container ] && { echo none; exit 1; }; echo kvm');
      machine.command("fio", `[ "$1" = --version ] && { echo fio-3.39; exit; }\necho '${report(20.1, 24.5, 49)}'`);
      const plan = { maxStealPercent: 100, vcpus: 2 };
      const ctx = testContext(machine);
      const error = await evidenceKind.create(ctx, inputs({ ...plan, owner: production, vcpus: 4 })).then(
        () => expect.fail("accepted"),
        (reason: unknown) => reason as Error,
      );
      expect(error.message.split("\n")).to.deep.equal([
        "machine m1 (192.0.2.1) was measured and is not fit; nothing was installed on it:",
        "  - vCPUs: 2; required: at least 4; resize the machine, or lower its declared vcpus",
        `  - fdatasync in ${machine.path("var/lib")} by 1 writer, 99th percentile: 24.5 ms; required: at most 10 ms; ` +
          "give the control planes a faster disk; the limit is `maxFsync` of their pool",
      ]);
      const { outputs } = await evidenceKind.create(ctx, inputs(plan));
      expect(ctx.warned[0]).to.include("99th percentile: 24.5 ms; required: at most 10 ms");
      expect(outputs.record).to.deep.include({ machine: "m1", verdict: "warn", role: "control-plane" });
      expect(outputs.digest).to.equal(digestOf(outputs.record));
      expect(outputs.takenAt).to.equal(outputs.record.takenAt);
    } finally {
      machine.close();
    }
  });
});

describe("npm run evidence", () => {
  const record = {
    machine: "m1",
    address: "192.0.2.1",
    host: "192.0.2.9",
    takenAt: "2026-11-22T06:00:00.000Z",
    verdict: "warn",
    tools: { fio: "fio-3.39" },
    values: [
      { id: "steal", what: "steal over 10 s", measured: 0.1, unit: "%", limit: 1, verdict: "pass" },
      {
        id: "fsync-p99-1",
        what: "fdatasync",
        measured: null,
        unit: "ms",
        limit: 10,
        verdict: "warn",
        note: "not measured: install fio",
      },
    ],
  };
  const state = (outputs: object): string =>
    JSON.stringify({ deployment: { resources: [{ type: "kvmesh:index:Evidence", outputs }, { type: "other" }] } });

  it("shows every value with its limit, and that the digest is the record's", () => {
    const [found] = evidenceIn(state({ record, digest: digestOf(record), contradictions: [] }));
    const text = evidenceTable(found!).join("\n");
    expect(text).to.match(/m1 \(192\.0\.2\.1 on host 192\.0\.2\.9\): warn, 2026-11-22/);
    expect(text).to.match(/pass +steal over 10 s +0\.1 % +1 %/);
    expect(text).to.match(/warn +fdatasync +not measured: install fio +10 ms/);
    expect(text).to.include("computed again: the same");
  });

  it("shouts when a record was changed, or a refresh saw otherwise", () => {
    const changed = { ...record, verdict: "pass" };
    const [found] = evidenceIn(
      state({ record: changed, digest: digestOf(record), contradictions: ["vCPU → CPU: 0→1"] }),
    );
    const text = evidenceTable(found!).join("\n");
    expect(text).to.include("IS NOT ITS RECORD'S");
    expect(text).to.include("NO LONGER TRUE, a refresh saw: vCPU → CPU: 0→1");
  });
});
