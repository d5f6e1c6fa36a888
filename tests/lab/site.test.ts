import { expect } from "chai";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { hostUp, siteDown, siteStatus, type HostOnly } from "../../tools/site";
import { readState, type SiteState } from "../../tools/site/state";
import { isAlive, type ProcessRecord } from "../../tools/site/processes";
import { emulatedHost, type EmulatedHost } from "../support/emulated-host";

/** Namespaces, bridges and mounts take root on Linux. */
const isRoot = process.getuid?.() === 0 && process.platform === "linux";

/** What of a site is on this computer. */
function traces(data: string, state: SiteState): Record<string, unknown> {
  const groups = state.cgroups.flatMap((name) => ["-o", "-name", name]).slice(1);
  return {
    link: spawnSync("ip", ["link", "show", state.subnet!.device]).status === 0,
    mounts: fs
      .readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(data)),
    cgroups: execFileSync("find", ["/sys/fs/cgroup", "-maxdepth", "2", ...groups], { encoding: "utf8" }),
    processes: fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && holds(name, data)),
    files: fs.existsSync(data) ? fs.readdirSync(data) : [],
  };
}

const NOTHING = { link: false, mounts: [], cgroups: "", processes: [], files: [] };

/** Whether a process has a mount of the site: it is one of the site's, wherever it was moved to. */
function holds(pid: string, data: string): boolean {
  try {
    return fs.readFileSync(`/proc/${pid}/mounts`, "utf8").includes(data);
  } catch {
    return false;
  }
}

(isRoot ? describe : describe.skip)(`an emulated KVM host${isRoot ? "" : " (needs root on Linux)"}`, function () {
  // The host's root is made of Debian packages when the cache has none: minutes.
  this.timeout(15 * 60_000);
  const lines: string[] = [];
  const report = (line: string): void => void lines.push(line);
  let emulated: EmulatedHost;
  let data: string;
  let site: HostOnly;
  let processes: readonly ProcessRecord[];

  before(async () => {
    emulated = await emulatedHost(report);
    data = emulated.data;
    site = await hostUp(report);
    processes = [...readState()!.processes];
  });

  after(() => emulated.stop());

  /** One command over OpenSSH with the given host key and no other. */
  function ssh(
    hostKey: string,
    command: string,
  ): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
    const knownHosts = path.join(data, "known_hosts");
    fs.writeFileSync(knownHosts, `${site.host.address} ${hostKey}\n`);
    const options = [
      "BatchMode=yes",
      "StrictHostKeyChecking=yes",
      `UserKnownHostsFile=${knownHosts}`,
      "IdentitiesOnly=yes",
    ];
    const args = [...options.flatMap((option) => ["-o", option]), "-F", "none", "-i", site.identityFile];
    const { status, stdout, stderr } = spawnSync("ssh", [...args, `${site.host.user}@${site.host.address}`, command], {
      encoding: "utf8",
      timeout: 30_000,
    });
    return { code: status, stdout, stderr };
  }

  it("runs a real libvirt and QEMU, reached over SSH with its pinned key", () => {
    const answer = ssh(site.host.hostKey, "virsh -c qemu:///system version");
    expect(answer.stderr).to.equal("");
    expect(answer.stdout)
      .to.match(/Using library: libvirt 11\./)
      .and.match(/Running hypervisor: QEMU 10\./);
  });

  it("is refused with another host key", () => {
    const other = site.host.hostKey.slice(0, -8) + "AAAAAAAA";
    expect(ssh(other, "true")).to.include({ code: 255 });
  });

  it("has its bridge and no hardware virtualization", () => {
    const answer = ssh(
      site.host.hostKey,
      `cat /sys/class/net/${site.host.bridge}/operstate; ls -d ${site.host.storage}; ls /dev/kvm`,
    );
    expect(answer.stdout.split("\n").slice(0, 2)).to.deep.equal(["up", site.host.storage]);
    expect(answer.stderr).to.contain("/dev/kvm");
  });

  it("is the same at the second call, and starts again on its disks after its end", async () => {
    expect(await hostUp(report)).to.deep.equal(site);
    expect(readState()!.processes).to.deep.equal(processes);
    ssh(site.host.hostKey, `echo kept > ${site.host.storage}/note`);
    process.kill(processes[0]!.pid, "SIGKILL");
    while (isAlive(processes[0]!)) await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await siteStatus()).state).to.equal("broken");
    expect(await hostUp(report)).to.deep.equal(site);
    expect(lines.join("\n")).to.contain("starting it again on its disks");
    expect(ssh(site.host.hostKey, `cat ${site.host.storage}/note`).stdout).to.equal("kept\n");
  });

  it("leaves nothing when it is taken down", async () => {
    const state = readState()!;
    expect(traces(data, state)).to.deep.include({ link: true });
    await siteDown(report);
    expect(state.processes.filter(isAlive)).to.deep.equal([]);
    fs.rmSync(path.join(data, "known_hosts"));
    expect(traces(data, state)).to.deep.equal(NOTHING);
    expect((await siteStatus()).state).to.equal("down");
  });

  it("ends with the tests that have it, also when they are killed", async () => {
    const module = JSON.stringify(require.resolve("../support/emulated-host"));
    const program = `require(${module}).emulatedHost(() => {}).then(({ data }) => console.log(data)); process.stdin.resume();`;
    const tests = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = (await once(tests.stdout, "data")) as [Buffer];
    const folder = line.toString().trim();
    const state = JSON.parse(fs.readFileSync(path.join(folder, "site/site.json"), "utf8")) as SiteState;
    expect(state.processes.filter(isAlive)).to.have.length(2);
    tests.kill("SIGKILL");
    for (let waited = 0; fs.existsSync(folder) && waited < 30_000; waited += 100)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(traces(folder, state)).to.deep.equal(NOTHING);
  });
});
