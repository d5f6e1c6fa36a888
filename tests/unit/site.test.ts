import { expect } from "chai";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import * as fc from "fast-check";
import { decide, type Machine } from "../../tools/site/choose";
import { freePort, networkXml, sshdConfig } from "../../tools/site/hardware";
import { withoutComment } from "../../tools/site/keys";
import { verdict } from "../../tools/site/kvm-probe";
import { freeSubnet, parseRange, siteNetwork } from "../../tools/site/network";
import { findSha512 } from "../../tools/site/official-image";
import { removeOwnPolicy } from "../../tools/site/packages";
import { dataDir } from "../../tools/site/paths";
import { identify, isAlive, parseStat } from "../../tools/site/processes";
import { run } from "../../tools/site/run";
import { emulatedKernelArguments, emulatedSettings, hardwareSettings } from "../../tools/site/settings";
import { knownHostsLine } from "../../tools/site/ssh";
import { SiteError } from "../../tools/site/types";
import { failure } from "../support/failure";

const capable: Machine = {
  platform: "linux",
  arch: "x64",
  uid: 0,
  hasApt: true,
  hasNamespaces: true,
  memoryBytes: 16 * 2 ** 30,
  cpus: 8,
  kvmProblem: undefined,
};

describe("the choice of a site", () => {
  it("is hardware virtualization where a guest booted with it", () => {
    expect(decide(capable).kind).to.equal("kvm");
  });

  it("is emulation where none did, and says what went wrong", () => {
    const choice = decide({ ...capable, kvmProblem: "a guest hangs on /dev/kvm" });
    expect(choice.kind).to.equal("emulated");
    expect(choice.reasons[0]).to.equal("a guest hangs on /dev/kvm");
  });

  it("is emulated where the machines' CPUs would not be their own", () => {
    const choice = decide({ ...capable, cpus: 3 });
    expect(choice.kind).to.equal("emulated");
    expect(choice.reasons[0]).to.equal("3 CPUs are too few for two machines with CPUs of their own (4)");
  });

  it("is none elsewhere, with every reason at once", () => {
    const mac = decide({ ...capable, platform: "darwin", uid: 501, hasApt: false, kvmProblem: "not tried" });
    expect(mac).to.deep.equal({ kind: "none", reasons: ["this is darwin: namespaces and KVM are Linux's"] });
    const user = decide({ ...capable, uid: 1000, hasApt: false, arch: "arm64" });
    expect(user.kind).to.equal("none");
    expect(user.reasons).to.have.length(3);
  });

  it("is none in a container without privileges or with too little memory", () => {
    expect(decide({ ...capable, kvmProblem: "no /dev/kvm", hasNamespaces: false }).kind).to.equal("none");
    expect(decide({ ...capable, memoryBytes: 4 * 2 ** 30 }).kind).to.equal("none");
  });

  it("takes a kernel for booted only when it looked for its root file system and QEMU ended by itself", () => {
    expect(verdict(0, "Linux version 6.12\nVFS: Cannot open root device", "")).to.equal(undefined);
    expect(verdict(0, "", "")).to.match(/does not boot/);
    expect(verdict(124, "Linux version 6.12", "")).to.match(/hangs/);
    expect(verdict(137, "", "KVM internal error. Suberror: 1\n")).to.contain("KVM internal error");
    expect(verdict(1, "", "Could not access KVM kernel module: Permission denied")).to.contain("Permission denied");
  });
});

describe("the site's network", () => {
  it("is the first that nothing overlaps", () => {
    expect(freeSubnet([], [])).to.deep.equal({ prefix: "10.89.0", device: "kvmesh0" });
    expect(freeSubnet(["10.89.0.7", "10.89.1.0/24", "10.89.2.128/25"], ["kvmesh3"])).to.deep.equal({
      prefix: "10.89.4",
      device: "kvmesh4",
    });
    expect(freeSubnet(["10.88.0.0/13"], [])).to.equal(undefined);
  });

  it("never overlaps a used range, whatever is used", () => {
    const range = fc
      .tuple(fc.nat(255), fc.nat(255), fc.integer({ min: 12, max: 32 }))
      .map(([third, last, bits]) => `10.89.${third}.${last}/${bits}`);
    fc.assert(
      fc.property(fc.array(range, { maxLength: 20 }), (used) => {
        const found = freeSubnet(used, []);
        if (found === undefined) return;
        const own = parseRange(`${found.prefix}.0/24`);
        for (const other of used.map(parseRange))
          expect(other.last < own.first || other.first > own.last).to.equal(true);
      }),
    );
  });

  it("leaves addresses for machines above its own", () => {
    const network = siteNetwork({ prefix: "10.89.4", device: "kvmesh0" }, "br0");
    expect(network).to.include({ cidr: "10.89.4.0/24", gateway: "10.89.4.1", firstWorkerAddress: "10.89.4.21" });
  });

  it("is a NAT network with a resolver on a real host", () => {
    const xml = networkXml({ prefix: "10.89.4", device: "kvmesh0" });
    expect(xml).to.contain('<forward mode="nat"/>').and.contain('name="kvmesh0"').and.contain('address="10.89.4.1"');
  });
});

describe("the port of the site's sshd", () => {
  const listen = (port: number): Promise<net.Server> =>
    new Promise((resolve, reject) => {
      const server = net.createServer();
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => resolve(server));
    });

  it("is the next one that nobody listens on", async () => {
    const from = await freePort(32_222);
    const busy = await listen(from);
    try {
      expect(await freePort(from)).to.be.greaterThan(from);
    } finally {
      busy.close();
    }
  });

  it("where all are in use, one message says which were tried", async () => {
    const from = await freePort(33_222);
    const busy = await listen(from);
    try {
      const error = await failure(freePort(from, 1));
      expect(error).to.be.instanceOf(SiteError);
      expect(error.message).to.equal(
        `every port from ${from} to ${from} is in use on loopback: end what listens there`,
      );
    } finally {
      busy.close();
    }
  });
});

describe("the site's processes and keys", () => {
  it("reads parent and start time behind any command name", () => {
    const fields = Array.from({ length: 50 }, (_, i) => String(i + 3));
    fields[0] = "S";
    const text = `42 (a) b (c) ${fields.join(" ")}`;
    expect(parseStat(text)).to.deep.equal({ state: "S", parent: 4, startTime: "22" });
  });

  it("knows a process from another one with the same id", () => {
    const self = identify("self", process.pid);
    expect(self && isAlive(self)).to.equal(true);
    expect(isAlive({ ...self!, startTime: "1" })).to.equal(false);
    expect(isAlive({ ...self!, bootId: "another boot" })).to.equal(false);
    expect(identify("none", 2 ** 22 + 1)).to.equal(undefined);
  });

  it("writes known_hosts with a port only where it is not 22", () => {
    const at = { address: "127.0.0.1", port: 2222, user: "root", hostKey: "ssh-ed25519 AAAA" };
    expect(knownHostsLine(at)).to.equal("[127.0.0.1]:2222 ssh-ed25519 AAAA");
    expect(knownHostsLine({ ...at, port: 22 })).to.equal("127.0.0.1 ssh-ed25519 AAAA");
    expect(withoutComment("ssh-ed25519 AAAA root@here\n")).to.equal("ssh-ed25519 AAAA");
  });

  it("gives its sshd loopback, its own key and nothing else", () => {
    const lines = sshdConfig("/d", 2223).split("\n");
    expect(lines).to.include.members(["ListenAddress 127.0.0.1", "Port 2223", 'HostKey "/d/hostkeys/host"']);
    expect(lines).to.include.members(["PasswordAuthentication no", "AllowUsers root"]);
  });

  it("is kept in KVMESH_DATA, else below XDG_DATA_HOME", () => {
    expect(dataDir({ KVMESH_DATA: "/a", XDG_DATA_HOME: "/b" })).to.equal("/a");
    expect(dataDir({ XDG_DATA_HOME: "/b" })).to.equal("/b/kvmesh");
  });
});

describe("the switch for services of packages", () => {
  it("is taken away where a killed run left it, and left where it is another's", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-policy-"));
    const file = path.join(folder, "policy-rc.d");
    try {
      removeOwnPolicy(file);
      fs.writeFileSync(file, "#!/bin/sh\nexit 101\n");
      removeOwnPolicy(file);
      expect(fs.existsSync(file)).to.equal(true);
      fs.writeFileSync(file, "#!/bin/sh\n# kvmesh: there while it installs openssh-server\nexit 101\n");
      removeOwnPolicy(file);
      expect(fs.existsSync(file)).to.equal(false);
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("commands of the site", () => {
  it("fail with what was being done and the last lines", async () => {
    const failing = run("sh", ["-c", "echo one; echo two >&2; exit 3"], { what: "the work" });
    const error: unknown = await failing.catch((reason: unknown) => reason);
    expect((error as Error).message).to.equal("the work: failed with exit code 3\n  two");
  });

  it("end when their time is over or they say the word", async () => {
    const slow = await run("sleep", ["60"], { timeoutMs: 100, allowFailure: true });
    expect(slow.code).to.equal(124);
    const stuck = await run("sh", ["-c", "echo stuck >&2; exec sleep 60"], { stopOn: /stuck/, allowFailure: true });
    expect(stuck.code).to.equal(137);
  });

  it("name a command that is missing", async () => {
    const error: unknown = await run("kvmesh-no-such-command", []).catch((reason: unknown) => reason);
    expect((error as Error).message).to.contain("is not installed");
  });
});

describe("what a site asks of the stack file", () => {
  it("is emulation's settings on one and nothing on a real host with official images", () => {
    expect(emulatedSettings().accelerator).to.equal("qemu");
    expect(emulatedSettings().istiodValues).to.have.nested.property("env.PILOT_ENABLE_METADATA_EXCHANGE", "false");
    expect(hardwareSettings(false)).to.deep.include({
      accelerator: "kvm",
      kubelet: {},
      kubeProxy: {},
      istiodValues: {},
    });
  });

  it("has kernel arguments without a driver that a machine needs", () => {
    expect(emulatedKernelArguments).to.not.match(/virtio|ext4|evdev|button/);
  });

  it("finds one file's sum in a publisher's list", () => {
    const sum = "ab".repeat(64);
    expect(findSha512(`${"cd".repeat(64)}  other.qcow2\n${sum}  disk.qcow2\n`, "disk.qcow2")).to.equal(sum);
    expect(findSha512(`${sum}  disk.qcow2.sig\n`, "disk.qcow2")).to.equal(undefined);
    expect(findSha512("tooshort  disk.qcow2\n", "disk.qcow2")).to.equal(undefined);
  });
});
