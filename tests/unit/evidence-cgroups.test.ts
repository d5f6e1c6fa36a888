import { expect } from "chai";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { LINE, QUOTAS } from "../../provider/evidence/host";
import { recordedHosts } from "../support/recorded-hosts";

const recorded = [...recordedHosts().values()].filter(({ cgroup }) => cgroup.length > 0);

/** Where a process's CPU limit stands, by cgroups(7): in the hierarchy of v1 that has `cpu`, else in that of v2. */
const WHERE: readonly (readonly [name: string, file: string])[] = [
  ["128arm-2pa2n8cluster4co", "cpu/user.slice/cpu.cfs_quota_us"],
  ["20em64t-hybrid-1p6c2t+2ca4co1t", "user.slice/user-1001.slice/session-2.scope/cpu.max"],
  ["2pa-pcidomain32bits", "cpu/cpu.cfs_quota_us"],
  ["32intel64-2p8co2t+8ve", "cpu/system.slice/sshd.service/cpu.cfs_quota_us"],
  ["fakecpuid1f-64intel64-2p4d2n2c2t", "cpu/cpu.cfs_quota_us"],
  ["fakeheteromemtiers", "user.slice/user-0.slice/session-1.scope/cpu.max"],
  ["fakememinitiators-1np2c+1npp+gi", "cpu/cpu.cfs_quota_us"],
  ["memorysidecaches", "cpu/cpu.cfs_quota_us"],
  ["nvidia-dgx-gb10", "user.slice/user-61469.slice/session-3210.scope/cpu.max"],
  ["nvidiagpunumanodes", "cpu/cpu.cfs_quota_us"],
  ["offline-cpu0-node0", "cpu/user.slice/cpu.cfs_quota_us"],
];

describe("limits of CPU time in recorded cgroups of v1, v2 and both; the limits themselves are synthetic", () => {
  let root: string;
  beforeEach(() => (root = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-cgroup-"))));
  afterEach(() => {
    fs.rmSync(root, { recursive: true, force: true });
  });
  const write = (name: string, content: string): void => {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), content);
  };
  const found = (cgroup: readonly string[]): string[] => {
    write("proc/7/task/9/comm", "CPU 0/KVM\n");
    write("proc/7/task/9/cgroup", `${cgroup.join("\n")}\n`);
    const script = `set -eu\npid=7\n${LINE}\n${QUOTAS}`.replace(/\/(proc|sys)\//g, `${root}/$1/`);
    const said = execFileSync("sh", ["-c", script], { encoding: "utf8" });
    return said.replaceAll(`${root}/sys/fs/cgroup/`, "").replaceAll("//", "/").split("\n").filter(Boolean);
  };

  it("are of every recording that there is", () => {
    expect(recorded.map(({ name }) => name)).to.have.members(WHERE.map(([name]) => name));
  });

  for (const [name, file] of WHERE) {
    it(`${name}: ${file}`, () => {
      const limit = file.endsWith("cpu.max") ? "50000 100000" : "50000";
      write(`sys/fs/cgroup/${file}`, `${limit}\n`);
      expect(found(recorded.find((host) => host.name === name)!.cgroup)).to.deep.equal([`${file}\t${limit}`]);
    });
  }

  it("are found above the thread's own cgroup, too", () => {
    write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    const { cgroup } = recorded.find(({ name }) => name === "fakeheteromemtiers")!;
    expect(found(cgroup)).to.deep.equal(["user.slice/cpu.max\tmax 100000"]);
  });

  it("are none where no cgroup can be read", () => {
    for (const { cgroup } of recorded) expect(found(cgroup)).to.deep.equal([]);
  });
});
