import { expect } from "chai";
import { describe as inWords, judgeDisk } from "../../provider/evidence/judge";
import { fsyncScript, insideScript, parseFsync, parseInside } from "../../provider/evidence/machine";
import { evidenceInputs, fioReport, production } from "../support/evidence-inputs";
import { LocalMachine } from "../support/local-machine";

describe("evidence: inside a machine", () => {
  let machine: LocalMachine;
  beforeEach(() => (machine = new LocalMachine()));
  afterEach(() => machine.close());

  it("keeps every vCPU busy for the window and leaves nothing running", async () => {
    machine.command("getconf", "echo 2");
    machine.command("nice", 'echo $$ >>"$0.log"; shift 2; exec "$@"');
    const started = Date.now();
    const result = await machine.script(machine.endpoint, insideScript(evidenceInputs()));
    expect(result.code, result.stderr).to.equal(0);
    expect(Date.now() - started).to.be.within(1000, 8000);
    const seen = parseInside("m1", result.stdout, Date.now());
    expect(seen.vcpus).to.equal(2);
    expect(seen.stealPercent).to.be.within(0, 100);
    expect(Math.abs(seen.clockOffsetSeconds)).to.be.lessThan(3);
    const busy = machine.read("bin/nice.log")!.trim().split("\n");
    expect(busy).to.have.length(2);
    const left = await machine.script(machine.endpoint, `sleep 0.2; ps -o pid=,args= -p ${busy.join(",")} || true`);
    expect(left.stdout).to.equal("");
  });

  it("does not load CPUs that others share", () => {
    expect(insideScript(evidenceInputs({ plan: "shared" }))).not.to.include("while :");
  });

  it("writes as etcd does, above a data folder that is not there yet, and removes everything", async () => {
    machine.command(
      "fio",
      `[ "$1" = --version ] && { echo fio-3.39; exit; }\necho "$@" >>/run/kvmesh.args\ntouch "\${2#--directory=}/kvmesh.0.0"\necho '${fioReport(0.1, 2)}'`,
    );
    const script = fsyncScript(evidenceInputs());
    const result = await machine.script(machine.endpoint, script);
    expect(result.code, result.stderr).to.equal(0);
    const seen = parseFsync("m1", result.stdout, evidenceInputs());
    expect(seen.folder).to.equal(machine.path("var/lib"));
    expect(seen.fio).to.equal("fio-3.39");
    expect(seen.fsyncs).to.deep.equal([1, 2, 4].map((writers) => ({ writers, syncs: 800, p50Ms: 0.1, p99Ms: 2 })));
    const [first] = machine.read("run/kvmesh.args")!.split("\n");
    expect(first).to.match(
      /--rw=write --ioengine=sync --fdatasync=1 --bs=2300 --size=23068672 --numjobs=1 .*--runtime=1/,
    );
    expect((await machine.script(machine.endpoint, `ls -A ${machine.path("var/lib")}`)).stdout).to.equal("");
  });

  it("says that it could not measure where fio's report is cut off", () => {
    const answers = { folder: "/var/lib", source: "/dev/vda", fio: "fio-3.39", "writers-1": '{ "jobs": [ { "sync"' };
    const stdout = Object.entries(answers).map(([name, answer]) => `@@ ${name}\n${answer}\n`);
    const seen = parseFsync("m1", stdout.join("\n"), evidenceInputs());
    expect(seen).to.deep.include({
      fsyncs: [],
      reason: "fio-3.39 reports no sync latencies: install fio 3.5 or later",
    });
  });

  it("measures in the data folder where it is there, and removes what a killed measurement left", async () => {
    machine.write("var/lib/etcd/.kvmesh-fsync-dead/kvmesh.0.0", "x");
    machine.write("var/lib/etcd/member/wal", "x");
    machine.command("fio", "echo fio: no space left >&2; exit 1");
    const result = await machine.script(machine.endpoint, fsyncScript(evidenceInputs()));
    const seen = parseFsync("m1", result.stdout, evidenceInputs());
    expect(seen.folder).to.equal(machine.path("var/lib/etcd"));
    expect(seen.reason).to.include("no space left");
    expect((await machine.script(machine.endpoint, "ls -A /var/lib/etcd")).stdout).to.equal("member\n");
  });

  it("says what is missing: fio, room on the disk, latencies of an old fio", async () => {
    machine.command("fio", "exit 127");
    machine.command("command", "exit 1");
    const without = await machine.script(
      machine.endpoint,
      fsyncScript(evidenceInputs()).replace("command -v fio", "false"),
    );
    expect(parseFsync("m1", without.stdout, evidenceInputs())).to.deep.include({
      fsyncs: [],
      reason: "fio is not installed",
    });
    machine.command("fio", "echo fio-2.1");
    const full = await machine.script(machine.endpoint, fsyncScript(evidenceInputs({ fsyncBytes: 2 ** 50 })));
    expect(parseFsync("m1", full.stdout, evidenceInputs()).reason).to.match(/less than \d+ KiB are free/);
    machine.command("fio", `echo '{"jobs":[{}]}'`);
    const old = await machine.script(machine.endpoint, fsyncScript(evidenceInputs()));
    expect(parseFsync("m1", old.stdout, evidenceInputs()).reason).to.include("install fio 3.5 or later");
  });

  it("gets fio by apt-get where it is asked to; what can't be fetched is said, and dpkg is not touched", async () => {
    const wanted = evidenceInputs({ installFio: true });
    const script = fsyncScript(wanted).replaceAll("command -v fio", "[ -e /run/kvmesh.fio ]");
    machine.command("fio", `[ "$1" = --version ] && { echo fio-3.39; exit; }\necho '${fioReport(0.1, 2)}'`);
    machine.command("apt-get", `echo "$*" >>/run/kvmesh.apt; echo 'E: Unable to locate package fio'; exit 100`);
    const offline = await machine.script(machine.endpoint, script);
    const seen = parseFsync("m1", offline.stdout, wanted);
    expect(seen.reason).to.equal(
      "fio is not installed, and apt-get can't install it (E: Unable to locate package fio)",
    );
    const refused = judgeDisk(evidenceInputs({ owner: production }), seen).map(inWords)[1];
    expect(refused).to.include("not measured: fio is not installed, and apt-get can't install it");
    expect(machine.read("run/kvmesh.apt")).not.to.include("--no-download");

    // As in a fresh image: no lists, so the first fetch fails.
    machine.command(
      "apt-get",
      'case "$*" in *update*) : >/run/kvmesh.lists ;; *--download-only*) [ -e /run/kvmesh.lists ] ;; *--no-download*) : >/run/kvmesh.fio ;; esac',
    );
    const online = await machine.script(machine.endpoint, script);
    expect(parseFsync("m1", online.stdout, wanted).fsyncs, online.stdout).to.have.length(3);
    expect(fsyncScript(evidenceInputs())).not.to.include("apt-get");
  });
});
