import { expect } from "chai";
import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Diagnosis } from "../../tools/doctor/judge";
import { exitCodes } from "../../command/exit-codes";
import { checkoutRoot } from "../../tools/toolchain/cache";
import { expectNoTrace, runScript, type Ended } from "../support/command";

/** Namespaces and mounts take root on Linux. */
const isRoot = process.getuid?.() === 0 && process.platform === "linux";

interface Situation {
  readonly env?: NodeJS.ProcessEnv;
  /** Shell commands before the program. */
  readonly before?: string;
  /** Namespaces that it is put into, beside one without a network. */
  readonly unshare?: readonly string[];
}

(isRoot ? describe : describe.skip)(`a machine with a fault${isRoot ? "" : " (needs root on Linux)"}`, function () {
  this.timeout(60_000);
  this.slow(5_000);
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-faults-"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** Cache and data are in the test's folder, so that nothing is there yet. */
  function run(
    name: string,
    args: readonly string[],
    { env, before = "true", unshare = [] }: Situation,
  ): Promise<Ended> {
    const script = `${before} && exec "$@"`;
    // Without a network no test waits for servers far away.
    const wrapper = ["unshare", ...new Set(["--net", ...unshare]), "sh", "-c", script, "sh"];
    const places = { KVMESH_CACHE: path.join(folder, "cache"), KVMESH_DATA: path.join(folder, "data"), FOLDER: folder };
    return runScript(name, args, { wrapper, env: { ...process.env, ...places, ...env } });
  }

  async function doctor(
    situation: Situation,
  ): Promise<Diagnosis & { readonly code: number; readonly stops: string[] }> {
    const ended = await run("doctor", ["--json"], situation);
    expectNoTrace(ended);
    expect(ended.stdout, ended.stderr).to.match(/^\{/);
    const diagnosis = JSON.parse(ended.stdout) as Diagnosis;
    const stops = diagnosis.checks.filter(({ verdict }) => verdict === "fail").map(({ name }) => name);
    return { ...diagnosis, code: ended.code, stops };
  }

  const found = ({ checks }: Diagnosis, name: string): string =>
    checks
      .flatMap((check) => (check.name === name ? [`${check.verdict}: ${check.found} → ${check.next ?? ""}`] : []))
      .join("\n");

  /** The quickstart refuses in its first seconds, and has begun nothing. */
  async function refused(situation: Situation, expected: RegExp): Promise<void> {
    const ended = await run("quickstart", ["--yes"], situation);
    expectNoTrace(ended);
    expect(ended.code, ended.stderr).to.equal(exitCodes.failed);
    expect(ended.stderr)
      .to.match(/^kvmesh: the quickstart can't run here; nothing was begun:/)
      .and.match(expected);
    expect(fs.readdirSync(folder).filter((name) => name === "data")).to.deep.equal([]);
  }

  it("no network: what can't be had is named, before anything is begun", async () => {
    const diagnosis = await doctor({});
    expect(diagnosis.code).to.equal(exitCodes.no);
    expect(diagnosis.stops).to.include.members(["tools", "roots"]);
    expect(found(diagnosis, "network")).to.match(/^warn: no default route; no answer: .*Go modules/);
    expect(found(diagnosis, "tools")).to.match(/no way to get .*kubelet.*HTTPS_PROXY/s);
    await refused({}, /tools: no way to get .*→ .*HTTPS_PROXY/s);
  });

  it("no default route, IPv6 only: said, and judged by what answers", async () => {
    const link =
      "ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d1 up && ip link set d0 up && ";
    const local = await doctor({ before: `${link} ip addr add 192.0.2.7/24 dev d0` });
    expect(found(local, "network")).to.match(/^warn: no default route; no answer/);
    const six = await doctor({
      before: `${link} ip -6 addr add 2001:db8::7/64 dev d0 nodad && ip -6 route add default via 2001:db8::1 dev d0`,
    });
    expect(found(six, "network")).to.match(/^warn: no answer: .*\(IPv6 only\)/);
  });

  const full = 'mount -t tmpfs -o size=64k tmpfs "$FOLDER" && cat /dev/zero >"$FOLDER/zeros" 2>/dev/null; true';

  it("disk full: doctor and quickstart say which place, and what is needed", async () => {
    const situation = { unshare: ["--mount"], before: full };
    const diagnosis = await doctor(situation);
    expect(diagnosis.code).to.equal(exitCodes.no);
    expect(diagnosis.stops).to.include.members(["cache folder", "data folder", "disk"]);
    expect(found(diagnosis, "cache folder")).to.match(/fail: .*cache: no free space → free some; KVMESH_CACHE=/);
    expect(found(diagnosis, "disk")).to.match(
      /fail: 0\.0 GiB free for cache folder, data folder → about \d+ GiB are needed/,
    );
    await refused(situation, /cache folder: .*no free space/);
  });

  it("disk full in the middle of a command: one line with the places and what they have", async () => {
    const ended = await run("quickstart", ["--destroy"], { unshare: ["--mount"], before: full });
    expectNoTrace(ended);
    expect(ended.code).to.equal(exitCodes.failed);
    expect(ended.stderr).to.match(/^kvmesh: no space left.*: free some, then run it again\.\n\s+\/.*: \d+ MiB free/);
  });

  it("a read-only cache: said with the way out", async () => {
    const situation = {
      unshare: ["--mount"],
      before:
        'mkdir -p "$FOLDER/cache" && mount --bind "$FOLDER/cache" "$FOLDER/cache" && mount -o remount,bind,ro "$FOLDER/cache"',
    };
    const diagnosis = await doctor(situation);
    expect(found(diagnosis, "cache folder")).to.match(/fail: .* read-only file system → KVMESH_CACHE=/);
    await refused(situation, /cache folder: .*read-only/);
  });

  it("noexec: /tmp does not matter, a cache that programs can't run from does", async () => {
    const noexec = (place: string): string => `mount -t tmpfs -o noexec,size=64g tmpfs ${place}`;
    const data = path.join(checkoutRoot(), "node_modules/.cache/kvmesh-faults");
    fs.mkdirSync(data, { recursive: true });
    const elsewhere = { KVMESH_CACHE: path.join(data, "cache"), KVMESH_DATA: path.join(data, "data") };
    // A checkout below /tmp would be hidden with it: then a folder for temporary files of its own is.
    const hidden = checkoutRoot().startsWith("/tmp/");
    const [place, env] = hidden ? ['"$FOLDER"', { ...elsewhere, TMPDIR: folder }] : ["/tmp", elsewhere];
    const harmless = await doctor({ unshare: ["--mount"], before: noexec(place), env });
    fs.rmSync(data, { recursive: true, force: true });
    expect(harmless.stops.filter((name) => name.endsWith("folder"))).to.deep.equal([]);
    const harmful = { unshare: ["--mount"], before: noexec('"$FOLDER"') };
    expect(found(await doctor(harmful), "cache folder")).to.match(/fail: .*mounted noexec/);
    await refused(harmful, /cache folder: .*mounted noexec/);
  });

  it("a data folder that no overlay can stand on: said before anything is made", async () => {
    const situation = {
      unshare: ["--mount"],
      before:
        'for part in a b w; do mkdir "$FOLDER/$part"; done; ' +
        'mount -t overlay overlay -o "lowerdir=$FOLDER/a,upperdir=$FOLDER/b,workdir=$FOLDER/w" "$FOLDER" && mkdir "$FOLDER/data"',
    };
    const diagnosis = await doctor(situation);
    expect(found(diagnosis, "overlay")).to.match(/fail: no overlay can be mounted on .* → .*KVMESH_DATA=/);
  });

  it("half-written files in the cache: taken for missing", async () => {
    const file = path.join(folder, "cache/bin/echo-1/source.json");
    fs.mkdirSync(path.dirname(file), { recursive: true });
    for (const half of ["", '{ "how": "go", "ke', "null", '{ "how": "go", "key": "another" }']) {
      fs.writeFileSync(file, half);
      fs.writeFileSync(path.join(path.dirname(file), "echo"), "", { mode: 0o755 });
      fs.mkdirSync(path.join(folder, "cache/roots/host-0.partial"), { recursive: true });
      const diagnosis = await doctor({});
      // There is no network here: what is missing can't be had.
      expect(found(diagnosis, "tools"), half).to.match(/no way to get .*\becho\b/s);
    }
  });

  it("a site's record that is half-written: said, and nothing is touched", async () => {
    fs.mkdirSync(path.join(folder, "data/site"), { recursive: true });
    fs.writeFileSync(path.join(folder, "data/site/site.json"), '{ "schema": 1, "proc');
    for (const args of [["--yes"], ["--destroy"]]) {
      const ended = await run("quickstart", args, {});
      expectNoTrace(ended);
      expect(ended.code).to.equal(exitCodes.failed);
      expect(ended.stderr).to.match(/^kvmesh: .*site\.json is no JSON.*pgrep/);
      expect(fs.existsSync(path.join(folder, "data/site/site.json"))).to.equal(true);
    }
  });

  it("no git, no Go, no Python: what needs them is named, the rest goes on", async () => {
    const bin = path.join(folder, "bin");
    fs.mkdirSync(bin);
    for (const tool of ["sh", "unshare", "mount", "true", "ip", "ssh", "ssh-keygen", "apt-get", "mmdebstrap"]) {
      const there = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .map((dir) => path.join(dir, tool))
        .find((file) => fs.existsSync(file));
      if (there !== undefined) fs.symlinkSync(there, path.join(bin, tool));
    }
    const diagnosis = await doctor({ env: { PATH: bin } });
    if (fs.existsSync("/usr/local/go/bin/go")) expect(diagnosis.stops).not.to.include("site");
    else expect(found(diagnosis, "tools")).to.match(/no way to get .*install Go/s);
  });

  for (const [what, env] of [
    ["HOME unset", { HOME: undefined }],
    ["HOME empty", { HOME: "" }],
  ] as const) {
    it(`${what}: the home folder of the user's entry is taken`, async () => {
      const diagnosis = await doctor({ env: { ...env, KVMESH_CACHE: undefined, XDG_CACHE_HOME: undefined } });
      expect(found(diagnosis, "cache folder")).to.contain(path.join(os.userInfo().homedir, ".cache/kvmesh"));
    });
  }

  it("HOME that can't be written to: every place in it is named, with the way out", async () => {
    const home = path.join(folder, "home");
    fs.mkdirSync(home);
    const situation = {
      unshare: ["--mount"],
      before: 'mount --bind "$HOME" "$HOME" && mount -o remount,bind,ro "$HOME"',
      env: {
        HOME: home,
        KVMESH_CACHE: undefined,
        KVMESH_DATA: undefined,
        XDG_CACHE_HOME: undefined,
        XDG_DATA_HOME: undefined,
      },
    };
    const diagnosis = await doctor({ ...situation, env: { ...situation.env, GOCACHE: undefined, GOFLAGS: undefined } });
    expect(diagnosis.stops).to.include.members(["cache folder", "data folder"]);
    expect(found(diagnosis, "data folder")).to.match(
      /fail: .*home\/\.local\/share\/kvmesh is on a read-only .* → KVMESH_DATA=/,
    );
  });

  it("a locale that isn't English: the same words", async () => {
    const [plain, other] = await Promise.all([
      doctor({ env: { LC_ALL: "C.UTF-8" } }),
      doctor({ env: { LC_ALL: "tr_TR.UTF-8", LANG: "tr_TR.UTF-8", LANGUAGE: "tr:de" } }),
    ]);
    const words = ({ checks }: Diagnosis): unknown => checks.filter(({ name }) => !["memory", "disk"].includes(name));
    expect(words(other)).to.deep.equal(words(plain));
  });

  it("a nonsense stack file: named in the first second, with its line", async () => {
    const file = path.join(checkoutRoot(), "Pulumi.local.yaml");
    const before = fs.existsSync(file) ? fs.readFileSync(file) : undefined;
    try {
      for (const [text, expected] of [
        ["config:\n  kvmesh:hosts: [1,\n", /^kvmesh: Pulumi\.local\.yaml, line 3, column 1: no YAML/],
        ["- a\n", /^kvmesh: Pulumi\.local\.yaml: found a list/],
        ["config: 5\n", /^kvmesh: Pulumi\.local\.yaml: config: a map/],
      ] as const) {
        fs.writeFileSync(file, text);
        const ended = await run("quickstart", ["--yes"], {});
        expectNoTrace(ended);
        expect(ended.code).to.equal(exitCodes.usage);
        expect(ended.stderr).to.match(expected);
      }
    } finally {
      if (before === undefined) fs.rmSync(file, { force: true });
      else fs.writeFileSync(file, before);
    }
  });

  it("a second quickstart at the same time: the first is named", async () => {
    const first = spawn(process.execPath, ["-e", HOLD, path.join(folder, "data")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await new Promise((resolve) => first.stdout.once("data", resolve));
      for (const args of [["--yes"], ["--destroy"]]) {
        const ended = await run("quickstart", args, { env: { KVMESH_CACHE: undefined } });
        expectNoTrace(ended);
        expect(ended.code).to.equal(exitCodes.failed);
        expect(ended.stderr)
          .to.match(new RegExp(`quickstart.*\\(process ${first.pid}`))
          .and.contain("Ctrl-C");
      }
      expect(found(await doctor({}), "quickstart")).to.contain(`process ${first.pid}`);
      first.kill("SIGKILL");
      await new Promise((resolve) => first.once("exit", resolve));
      expect(found(await doctor({}), "quickstart")).to.equal("");
    } finally {
      first.kill("SIGKILL");
    }
  });

  const HOLD = `
    const { asOnlyQuickstart } = require(${JSON.stringify(path.resolve(__dirname, "../../tools/quickstart/lock.js"))});
    asOnlyQuickstart(process.argv[1], "up", () => new Promise(() => { console.log("held"); setInterval(() => {}, 1000); }));`;

  it("kubelet, containerd, libvirt and Docker already running: named, and no reason to stop", async () => {
    const running: ChildProcess[] = ["kubelet", "containerd", "libvirtd", "dockerd"].map((name) => {
      const file = path.join(folder, name);
      fs.copyFileSync("/bin/sleep", file);
      fs.chmodSync(file, 0o755);
      return spawn(file, ["60"], { stdio: "ignore" });
    });
    try {
      const diagnosis = await doctor({});
      expect(found(diagnosis, "servers")).to.match(
        /^ok: .*Docker.*containerd.*kubelet.*libvirt.* run here: .*touches none/,
      );
    } finally {
      for (const one of running) one.kill("SIGKILL");
    }
  });

  it("no root: a sudo that asks, one that doesn't, and none", async () => {
    const bin = path.join(folder, "bin");
    fs.mkdirSync(bin);
    fs.chmodSync(folder, 0o755);
    const user = ["unshare", "--net", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const asUser = async (sudo: string | undefined): Promise<Diagnosis> => {
      fs.rmSync(path.join(bin, "sudo"), { force: true });
      if (sudo !== undefined) fs.writeFileSync(path.join(bin, "sudo"), `#!/bin/sh\n${sudo}\n`, { mode: 0o755 });
      const env = {
        ...process.env,
        PATH: `${bin}:${process.env.PATH ?? ""}`,
        KVMESH_CACHE: folder,
        KVMESH_DATA: folder,
        HOME: folder,
      };
      const ended = await runScript("doctor", ["--json"], { wrapper: user, env });
      expectNoTrace(ended);
      return JSON.parse(ended.stdout) as Diagnosis;
    };
    const asks = await asUser('echo "sudo: a password is required" >&2; exit 1');
    expect(asks.site).to.equal("none");
    expect(found(asks, "privileges")).to.equal("warn: no root; sudo asks for a password → sudo npm run quickstart");
    expect(found(await asUser("exit 0"), "privileges")).to.contain("sudo works without a password");
    const refusal = 'echo "nobody is not in the sudoers file." >&2; exit 1';
    expect(found(await asUser(refusal), "privileges")).to.match(/no sudo for this user → run it as root/);
    if (
      ![..."/usr/bin /bin /usr/sbin /usr/local/bin".split(" ")].some((dir) => fs.existsSync(path.join(dir, "sudo")))
    ) {
      expect(found(await asUser(undefined), "privileges")).to.contain("no sudo");
    }
  });
});
