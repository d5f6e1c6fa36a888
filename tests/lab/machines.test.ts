import { expect } from "chai";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UnreachableError } from "../../provider/core/kind";
import { isAlive } from "../../tools/site/processes";
import { LabMachines, type LabRecord } from "../support/machines";
import { InsideTransport } from "../support/machines/inside";
import { simulatedMachine } from "../support/machines/simulated";

const isRoot = process.getuid?.() === 0 && process.platform === "linux";

/** The faults that the cluster's tests build on, seen on machines themselves. */
(isRoot ? describe : describe.skip)(`machines of the lab${isRoot ? "" : " (needs root on Linux)"}`, function () {
  this.timeout(10 * 60_000);
  let lab: LabMachines;
  let transport: InsideTransport;

  before(async () => {
    lab = await LabMachines.open(await simulatedMachine(() => undefined));
    transport = new InsideTransport(lab);
    await Promise.all(["cp1", "cp2"].map((name) => lab.start(name)));
  });
  after(() => lab.close());

  const inside = async (name: string, script: string): Promise<string> =>
    (await transport.script(await lab.endpoint(name), script)).stdout.trim();

  const banner = (name: string): Promise<string> =>
    inside("cp1", `timeout 2 bash -c 'exec 3<>/dev/tcp/${lab.address(name)}/22 && head -c 4 <&3'`);

  it("reach each other by their cables, and not when one is pulled", async () => {
    expect(await inside("cp1", "hostname")).to.equal("cp1");
    await lab.ready(["cp1", "cp2"], () => undefined);
    expect(await banner("cp2")).to.equal("SSH-");
    await lab.cable("cp2", false);
    expect(await banner("cp2")).to.equal("");
    await lab.cable("cp2", true);
    expect(await banner("cp2")).to.equal("SSH-");
  });

  it("keep their disks when the power fails, and lose what was in memory", async () => {
    await inside("cp2", "echo a >/etc/kubernetes/a; echo b >/var/lib/etcd/b; echo c >/run/c; sync");
    const pid = lab.pid("cp2");
    await lab.kill("cp2");
    // Its parent takes note of the end in its own time.
    for (let tries = 0; fs.existsSync(`/proc/${pid}`) && tries < 50; tries += 1) await sleep(100);
    expect(fs.existsSync(`/proc/${pid}`)).to.equal(false);
    const broken = await transport.script(await lab.endpoint("cp2"), "true").catch((error: unknown) => error);
    expect(broken).to.be.instanceOf(UnreachableError);
    await lab.start("cp2");
    expect(await inside("cp2", "cat /etc/kubernetes/a /var/lib/etcd/b; ls /run/c 2>&1")).to.match(
      /^a\nb\n.*No such file/,
    );
  });

  it("come up without etcd's disk, which has everything when it is back", async () => {
    await lab.kill("cp2");
    await lab.start("cp2", { etcdDisk: false });
    expect(await inside("cp2", "ls -A /var/lib/etcd; cat /etc/kubernetes/a")).to.equal("a");
    await lab.kill("cp2");
    await lab.start("cp2");
    expect(await inside("cp2", "cat /var/lib/etcd/b")).to.equal("b");
  });

  it("are others once they were scrapped: blank, with another host key", async () => {
    const before = await lab.endpoint("cp2");
    await lab.scrap("cp2");
    await lab.start("cp2");
    expect(await inside("cp2", "ls -A /var/lib/etcd /etc/kubernetes/manifests")).not.to.contain("b\n");
    expect((await lab.endpoint("cp2")).hostKey).not.to.equal(before.hostKey);
  });

  it("end with the tests that have them, also when they are killed", async () => {
    const program = `const support = ${JSON.stringify(path.resolve(__dirname, "../support/machines"))};
const { LabMachines } = require(support), { simulatedMachine } = require(support + "/simulated");
(async () => {
  const lab = await LabMachines.open(await simulatedMachine(() => undefined));
  await lab.start("cp1");
  console.log(lab.data);
})();
process.stdin.resume();`;
    const tests = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = (await once(tests.stdout, "data")) as [Buffer];
    const folder = line.toString().trim();
    const record = JSON.parse(fs.readFileSync(path.join(folder, "site/lab.json"), "utf8")) as LabRecord;
    expect(record.processes.filter(isAlive)).to.have.length(3);
    tests.kill("SIGKILL");
    for (let waited = 0; fs.existsSync(folder) && waited < 30_000; waited += 100) await sleep(100);
    expect(record.processes.filter(isAlive)).to.deep.equal([]);
    expect(spawnSync("ip", ["link", "show", record.device!]).status).to.not.equal(0);
    expect(fs.existsSync(folder)).to.equal(false);
    expect(
      spawnSync("find", ["/sys/fs/cgroup", "-maxdepth", "2", "-name", record.cgroups[0]!]).stdout.toString(),
    ).to.equal("");
  });
});
