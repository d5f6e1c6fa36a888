import { expect } from "chai";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { stringify } from "yaml";
import { capacityCommand } from "../../tools/capacity/command";
import type { Capacity } from "../../tools/capacity/capacity";
import { formatFacts } from "../../tools/facts";
import { exampleHostKey, factsOf } from "../support/hosts";

const GIB = 2 ** 30;

describe("npm run capacity", () => {
  let checkout: string;
  let notes: string[];
  const pool = { role: "control-plane", vcpus: 4, memory: "8GiB", disk: "40GiB", addresses: "10.0.10.11-10.0.10.19" };
  const foreign = {
    name: "db",
    uuid: "0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e",
    vcpus: 2,
    cpus: [4, 12],
    floating: 0,
    memoryBytes: 16 * GIB,
    nodes: [0],
  };
  const declare = (count: number, ofPool: object = {}, ofHost: object = {}): void => {
    const endpoint = { address: "192.0.2.1", hostKey: exampleHostKey() };
    const config = {
      "kvmesh:environment": "development",
      "kvmesh:ssh": { authorizedKeys: [`${exampleHostKey()} ops`] },
      "kvmesh:hosts": { a: { endpoint, location: { country: "NO", site: "Oslo" }, ...ofHost } },
      "kvmesh:image": { name: "b.qcow2", file: "b.qcow2", digest: `sha256:${"0".repeat(64)}` },
      "kvmesh:network": { bridge: "br0", cidr: "10.0.10.0/24" },
      "kvmesh:pools": { control: { ...pool, ...ofPool, count } },
      "kvmesh:kubernetes": { version: "1.34.2", endpoint: "10.0.10.10:6443" },
    };
    fs.writeFileSync(path.join(checkout, "Pulumi.test.yaml"), stringify({ config }));
  };
  const run = (...args: string[]): { readonly code: number; readonly text: string } => {
    notes = [];
    let text = "";
    const code = capacityCommand(args, checkout, { out: (out) => (text = out), note: (line) => notes.push(line) });
    return { code, text };
  };
  const state = (): string => {
    const file = path.join(checkout, "state.json");
    const lease = (machine: string, cpus: readonly number[]) => ({
      urn: `urn:${machine}`,
      type: "kvmesh:index:CoreLease",
      outputs: { host: { address: "192.0.2.1", port: 22 }, machine, cpus },
    });
    const resources = [lease("test-control-0", [1, 2, 9, 10]), lease("test-old-0", [6, 7, 14, 15])];
    fs.writeFileSync(file, JSON.stringify({ version: 3, deployment: { resources } }));
    return file;
  };

  before(() => {
    checkout = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-capacity-"));
    fs.mkdirSync(path.join(checkout, "facts"));
    const facts = factsOf({ nodes: 1, coresPerNode: 8, threadsPerCore: 2, gibPerNode: 64 });
    fs.writeFileSync(path.join(checkout, "facts/a.json"), formatFacts({ ...facts, foreign: [foreign] }));
  });
  after(() => {
    fs.rmSync(checkout, { recursive: true, force: true });
  });

  it("counts cores, memory and disk that are free and taken, and by whom, in JSON", () => {
    declare(2);
    const { code, text } = run("--json", "--state", state());
    const [host] = (JSON.parse(text) as Capacity).hosts;
    expect(code).to.equal(0);
    // 8 cores: one the host's, one of db; two for each of two machines; two of them leave nothing in the way.
    expect(host!.cores).to.deep.equal({ total: 8, housekeeping: 1, foreign: 1, offered: 6, taken: 4, free: 2 });
    expect(host!.memory.offered).to.equal(Math.floor(64 * GIB * 0.95) - 16 * GIB);
    expect(host!.memory.taken).to.equal(16 * GIB);
    expect(host!.storage).to.deep.include({ available: 900 * GIB, planned: 40 * GIB });
    expect(host!.takers.map(({ name, kind, cpus }) => [name, kind, cpus])).to.deep.equal([
      ["(the host itself)", "housekeeping", "0,8"],
      ["db", "foreign", "4,12"],
      ["test-control-0", "runs", "1-2,9-10"],
      ["test-control-1", "planned", "3,5,11,13"],
      ["test-old-0", "leaves", "6-7,14-15"],
    ]);
  });

  it("is a table that reads without a host and without a state", () => {
    declare(2);
    const { code, text } = run("--state", "none");
    expect(code).to.equal(0);
    expect(text).to.match(/^a +NO Oslo +2 +6 +28\.8 GiB +44\.8 GiB +820 GiB +1000 GiB +0: 2 cores, 28\.8 GiB$/m);
    expect(text).to.match(/^ {2}test-control-1 +planned +3,5,11,13 +8\.0 GiB +40\.0 GiB$/m);
    expect(Math.max(...text.split("\n").map((line) => line.length))).to.be.at.most(130);
  });

  it("says which machines have no place, and ends with 1", () => {
    declare(9);
    const { code, text } = run("--state", "none");
    expect(code).to.equal(1);
    expect(text).to.contain("No place for 6:").and.contain("test-control-8 (pool control) fits on no host");
  });

  it("compares thin pools with the disks that are declared for them, and these are no part of the folder", () => {
    const thinPools = [
      {
        ...{ volumeGroup: "nvme", name: "machines", bytes: 100 * GIB, metadataBytes: GIB, foreignBytes: 10 * GIB },
        ...{ dataPercent: 12.5, metadataPercent: 3.1 },
      },
    ];
    const facts = factsOf({ nodes: 1, coresPerNode: 8, threadsPerCore: 2, gibPerNode: 64 });
    fs.writeFileSync(path.join(checkout, "facts/a.json"), formatFacts({ ...facts, thinPools }));
    declare(2, { storage: "lvm-thin" }, { lvm: { volumeGroup: "nvme", thinPool: "machines" } });
    const [host] = (JSON.parse(run("--json", "--state", "none").text) as Capacity).hosts;
    expect(host!.thinPool).to.deep.equal({
      ...{ name: "nvme/machines", total: 100 * GIB, dataPercent: 12.5, metadataPercent: 3.1 },
      ...{ offered: 90 * GIB, taken: 80 * GIB, free: 10 * GIB },
    });
    expect(host!.storage.planned).to.equal(0);
    expect(run("--state", "none").text).to.contain(
      "thin pool nvme/machines, 100 GiB: disks of 80.0 GiB of 90.0 GiB, 10.0 GiB free; when probed, 12.5 % of data and 3.1 % of metadata written",
    );
    expect(run("--state", "none").code).to.equal(0);
    declare(2, { storage: "lvm-thin", disk: "50GiB" }, { lvm: { volumeGroup: "nvme", thinPool: "machines" } });
    const over = run("--state", "none");
    expect(over.text).to.contain("disks of 100 GiB of 90.0 GiB, 10.0 GiB too little");
    expect(over.code, "a preview refuses it").to.equal(1);
  });
});
