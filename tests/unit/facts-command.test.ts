import { expect } from "chai";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { stringify } from "yaml";
import { parseFacts } from "../../config/facts";
import { factsCommand } from "../../tools/facts/command";
import { SimulatedHost } from "../support/simulated-host";

const FOREIGN =
  '<domain type="kvm"><name>db</name><uuid>0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e</uuid><memory unit="GiB">4</memory>' +
  '<vcpu cpuset="4-5">2</vcpu><os><type arch="x86_64">hvm</type></os><devices/></domain>';

/** What a host has that has only sshd: nothing of these, whatever this computer has. */
const SOFTWARE = ["virsh", "libvirtd", "virtqemud", "qemu-system-x86_64", "qemu-kvm"];
const GONE = "#!/bin/sh\nexit 127\n";

describe("npm run facts, over SSH", () => {
  let host: SimulatedHost;
  let checkout: string;
  let said: string[];
  const file = (): string => path.join(checkout, "facts/a.json");
  const run = (...args: string[]): Promise<number> => {
    said = [];
    return factsCommand(args, checkout, (line) => said.push(line));
  };
  const declare = (hosts: Record<string, unknown>): void => {
    const config = { "kvmesh:ssh": { identityFile: host.identityFile }, "kvmesh:hosts": hosts };
    fs.writeFileSync(path.join(checkout, "Pulumi.test.yaml"), stringify({ config }));
  };

  before(async () => {
    host = await SimulatedHost.start();
    checkout = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-facts-"));
    declare({ a: { endpoint: host.endpoint, location: { country: "NO" } } });
  });
  after(async () => {
    fs.rmSync(checkout, { recursive: true, force: true });
    await host.stop();
  });

  it("--check finds a file that is not there, and writes nothing", async () => {
    expect(await run("--check")).to.equal(1);
    expect(said.join("\n")).to.match(/^a: facts\/a\.json is not there \(8 CPUs, /);
    expect(fs.existsSync(file())).to.equal(false);
  });

  it("writes the file, whole, and leaves nothing beside it", async () => {
    expect(await run()).to.equal(0);
    const facts = parseFacts(JSON.parse(fs.readFileSync(file(), "utf8")), "facts/a.json");
    expect(facts.cpus).to.have.length(8);
    expect(facts.storage.path).to.equal("/var/lib/kvmesh");
    expect(facts.foreign).to.deep.equal([]);
    expect(fs.readdirSync(path.dirname(file()))).to.deep.equal(["a.json"]);
    expect(await run("--check")).to.equal(0);
    expect(said.join("\n")).to.contain("nothing has changed since");
  });

  it("names what changed; --check fails on it, the next refresh takes it", async () => {
    host.write("tmp/db.xml", FOREIGN);
    await host.shell("virsh define $KVMESH_SIMULATED_ROOT/tmp/db.xml");
    const before = fs.readFileSync(file(), "utf8");
    expect(await run("--check")).to.equal(1);
    expect(said.join("\n")).to.contain(
      "machine db (0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e): absent → 2 vCPUs on CPUs 4-5, 4.0 GiB",
    );
    expect(said.join("\n")).to.contain("1 of 1 facts files are out of date");
    expect(fs.readFileSync(file(), "utf8")).to.equal(before);
    expect(await run()).to.equal(0);
    expect(await run("--check")).to.equal(0);
  });

  it("replaces a file that can't be read, and says why it could not", async () => {
    fs.writeFileSync(file(), '{ "schema": 2, "cpus": [] }');
    expect(await run()).to.equal(0);
    expect(said.join("\n")).to.match(/facts\/a\.json could not be read .*cpus/s);
    expect(await run("--check")).to.equal(0);
  });

  it("probes a host on which nothing is installed yet, and refuses one whose libvirt is gone and left machines", async () => {
    const bare = await SimulatedHost.start({ commands: Object.fromEntries(SOFTWARE.map((name) => [name, GONE])) });
    const config = { "kvmesh:ssh": { identityFile: bare.identityFile } };
    try {
      fs.writeFileSync(
        path.join(checkout, "Pulumi.bare.yaml"),
        stringify({
          config: { ...config, "kvmesh:hosts": { c: { endpoint: bare.endpoint, location: { country: "NO" } } } },
        }),
      );
      expect(await run("--stack", "bare"), said.join("\n")).to.equal(0);
      expect(said.join("\n")).to.contain("no libvirt and QEMU: prepare.packages installs it");
      const facts = parseFacts(
        JSON.parse(fs.readFileSync(path.join(checkout, "facts/c.json"), "utf8")),
        "facts/c.json",
      );
      expect(facts).to.deep.include({ libvirtVersion: null, qemuVersion: null, foreign: [] });
      expect(facts.cpus).to.have.length(8);

      bare.write("etc/libvirt/qemu/db.xml", FOREIGN);
      expect(await run("--stack", "bare")).to.equal(3);
      expect(said.join("\n")).to.contain(
        "its machines can't be listed: libvirt is gone and left /etc/libvirt/qemu/db.xml",
      );
    } finally {
      fs.rmSync(path.join(checkout, "Pulumi.bare.yaml"), { force: true });
      await bare.stop();
    }
  });

  it("says below a host's line what is odd on it, and refuses nothing for that", async () => {
    const words = "#!/bin/sh\n";
    const odd = await SimulatedHost.start({
      commands: {
        // Two CPUs, of which the second is on no NUMA node that is online.
        lscpu: `${words}case "$*" in *-p*) printf '0,0,0,0\\n1,1,0,\\n' ;; *) echo 'Model name: Example' ;; esac\n`,
        lsblk: `${words}echo 'lsblk: failed to initialize sysfs handler'\n`,
        df: `${words}printf 'Size Avail\\n- -\\n'\n`,
      },
    });
    const hosts = { d: { endpoint: odd.endpoint, location: { country: "NO" } } };
    const config = { "kvmesh:ssh": { identityFile: odd.identityFile }, "kvmesh:hosts": hosts };
    fs.writeFileSync(path.join(checkout, "Pulumi.odd.yaml"), stringify({ config }));
    try {
      expect(await run("--stack", "odd"), said.join("\n")).to.equal(0);
      expect(said[0]).to.match(/^d: facts\/d\.json is not there; it is written now \(2 CPUs/);
      expect(said.slice(1)).to.include.members([
        "  warning: 1 of 2 CPUs are on no NUMA node that is online: they count as node 1",
        '  warning: its disks are unknown: lsblk says "lsblk: failed to initialize sysfs handler"',
        '  warning: the size of the file system of its storage folder is unknown: df says "- -"',
      ]);
      const facts = parseFacts(JSON.parse(fs.readFileSync(path.join(checkout, "facts/d.json"), "utf8")), "d.json");
      expect(facts.disks).to.deep.equal([]);
      expect(facts.memory.map(({ node }) => node)).to.deep.equal([0]);
    } finally {
      fs.rmSync(path.join(checkout, "Pulumi.odd.yaml"), { force: true });
      await odd.stop();
    }
  });

  it("goes on with the other hosts when one fails, and ends with 3", async () => {
    const endpoint = { ...host.endpoint, port: 1 };
    declare({
      a: { endpoint: host.endpoint, location: { country: "NO" } },
      "0-dead": { endpoint, location: { country: "NO" } },
    });
    expect(await run("--check")).to.equal(3);
    expect(said.join("\n"))
      .to.match(/0-dead: .*can't be reached.*attempt 2 of 2/)
      .and.contain("a: nothing has changed");
    expect(fs.existsSync(path.join(checkout, "facts/0-dead.json"))).to.equal(false);
  });
});
