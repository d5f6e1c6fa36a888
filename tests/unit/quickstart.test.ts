import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { mountLine, parseMount } from "../../tools/measure/mount";
import { declaredMounts } from "../../tools/quickstart/data-disks";
import { parseOptions } from "../../tools/quickstart/options";
import { Phases, seconds } from "../../tools/quickstart/phases";
import { removeWritten } from "../../tools/quickstart/take-down";

describe("quickstart options", () => {
  it("brings everything up, asking first, when nothing is said", () => {
    expect(parseOptions([])).to.deep.equal({ action: "up", canary: undefined, yes: false });
  });
  it("takes a share in both spellings", () => {
    expect(parseOptions(["--canary", "0"])?.canary).to.equal(0);
    expect(parseOptions(["--canary=50", "-y"])).to.include({ canary: 50, yes: true });
  });
  for (const bad of [
    ["--canary", ""],
    ["--canary", "101"],
    ["--canary", "-1"],
    ["--canary", "ten"],
    ["--canary=1.5"],
  ]) {
    it(`refuses ${bad.join(" ")}, saying what was found`, () => {
      expect(() => parseOptions(bad)).to.throw("whole number from 0 to 100");
    });
  }
  it("refuses an unknown option and names the nearest one", () => {
    expect(() => parseOptions(["--destory"])).to.throw(/unknown option '--destory'.*did you mean --destroy\?/);
  });
  it("refuses a share together with destroy", () => {
    expect(() => parseOptions(["--destroy", "--canary", "5"])).to.throw("don't go together");
  });
});

describe("quickstart phases", () => {
  it("keeps the time of a phase that fails, and sums up", async () => {
    let clock = 0;
    const phases = new Phases(
      () => undefined,
      () => clock,
    );
    await phases.run("toolchain", async () => Promise.resolve((clock += 4_000)));
    let caught: unknown;
    await phases
      .run("site", async () => {
        clock += 130_000;
        return Promise.reject(new Error("no root"));
      })
      .catch((error: unknown) => (caught = error));
    expect(caught).to.be.an("error");
    expect(phases.table()).to.deep.equal(["toolchain     4.0 s", "site       2 m 10 s", "total      2 m 14 s"]);
  });
  it("writes short times with a decimal and long ones in minutes", () => {
    expect([seconds(420), seconds(12_400), seconds(119_700), seconds(125_000)]).to.deep.equal([
      "0.4 s",
      "12 s",
      "2 m 00 s",
      "2 m 05 s",
    ]);
  });
});

describe("quickstart, taken down", () => {
  it("leaves what other stacks have in the checkout, and no empty folder", () => {
    const checkout = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-quickstart-"));
    const write = (file: string): void => {
      fs.mkdirSync(path.dirname(path.join(checkout, file)), { recursive: true });
      fs.writeFileSync(path.join(checkout, file), "");
    };
    try {
      const own = ["facts-local.json", "reports/local-analyze.md", "evidence/local/cp1.json"].map(
        (name) => `.kvmesh/${name}`,
      );
      own.forEach(write);
      write(".kvmesh/reports/prod-preview.html");
      removeWritten(checkout);
      expect(fs.readdirSync(path.join(checkout, ".kvmesh"), { recursive: true })).to.have.members([
        "reports",
        path.join("reports", "prod-preview.html"),
      ]);
      fs.rmSync(path.join(checkout, ".kvmesh"), { recursive: true });
      own.forEach(write);
      removeWritten(checkout);
      expect(fs.readdirSync(checkout)).to.deep.equal([]);
    } finally {
      fs.rmSync(checkout, { recursive: true, force: true });
    }
  });
});

describe("quickstart data disks", () => {
  const endpoint = { address: "10.89.0.21", port: 22, user: "root", hostKey: "ssh-ed25519 AAAA" };

  it("are those that the stack file declares, on the machines that the state has", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-quickstart-"));
    try {
      const file = path.join(folder, "Pulumi.local.yaml");
      const pools = { workers: { disks: [{ name: "data", mount: { path: "/data" } }, { name: "raw" }] }, control: {} };
      fs.writeFileSync(file, JSON.stringify({ config: { "kvmesh:pools": pools } }));
      const resources = [
        { type: "kvmesh:index:Machine", inputs: { name: "w-0", endpoint } },
        { type: "kvmesh:index:Domain", inputs: { name: "w-0" } },
        { type: "pulumi:pulumi:Stack" },
      ];
      const node = (name: string, pool: string) => ({ name, pool, role: "worker", address: "", location: "NO" });
      const state = JSON.stringify({ deployment: { resources } });
      const nodes = [node("cp", "control"), node("w-0", "workers")];
      expect(declaredMounts(file, state, nodes)).to.deep.equal([{ machine: "w-0", path: "/data", endpoint }]);
      expect(() => declaredMounts(file, state, [...nodes, node("w-1", "workers")])).to.throw(
        "w-1 declares a disk mounted on /data, and the stack's state has no machine w-1",
      );
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  });

  it("are told as the machine sees them", () => {
    const dumpe2fs = "Filesystem created:       Sun Nov 22 09:59:17 2026\nMount count:              3\n";
    const seen = parseMount("w-0", "/data", `/dev/vdb ext4 1020702720\n${dumpe2fs}`);
    expect(mountLine(seen)).to.equal(
      "w-0: /data is ext4 of 973 MiB on /dev/vdb, made Sun Nov 22 09:59:17 2026, mounted 3 times since",
    );
    expect(mountLine(parseMount("w-0", "/data", "/dev/vdb xfs 1020702720\n"))).to.equal(
      "w-0: /data is xfs of 973 MiB on /dev/vdb",
    );
    expect(mountLine(parseMount("w-0", "/data", ""))).to.equal("w-0: NOTHING is mounted on /data");
  });
});
