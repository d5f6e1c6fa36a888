import { expect } from "chai";
import fc from "fast-check";
import { formatCpus, parseCpus } from "../../provider/libvirt/cpulist";
import { diffDomain } from "../../provider/domain/changes";
import { checkDomain } from "../../provider/domain/schema";
import type { DomainInputs } from "../../provider/domain/schema";
import { parseDomainXml } from "../../provider/domain/seen";
import { domainXml } from "../../provider/domain/xml";
import { UNKNOWN } from "../../provider/core/kind";

const MIB = 1024 * 1024;
const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOPpmlHRpFsdwP2IbTQXqwoFdb9ZeINJ/5yQhgMJMuTx";
const raw = {
  host: { address: "203.0.113.7", hostKey },
  owner: { project: "p", stack: "s", cluster: "c", environment: "production" },
  name: "web-0",
  type: "kvm",
  vcpus: 2,
  vcpuPins: [4, 5],
  emulatorPin: [0, 1],
  ioThreadPin: [1],
  memoryBytes: 4096 * MIB,
  numaNode: 0,
  hugepageBytes: 2 * MIB,
  disks: [{ type: "file", path: "/var/lib/kvmesh/web-0.qcow2", format: "qcow2", target: "vda" }],
  interfaces: [{ type: "bridge", bridge: "br0", mac: "52:54:00:AB:00:11" }],
  cloudInit: { userData: "u", metaData: "m", networkConfig: "n" },
  storage: "/var/lib/kvmesh",
};
const good = checkDomain(raw).inputs;
const mark = { project: "p", stack: "s", cluster: "c", environment: "production", urn: "urn:pulumi:s::p::t::n" };

describe("a domain's XML", () => {
  it("says back everything that was declared", () => {
    const seen = parseDomainXml(domainXml(good, { uuid: "u-1", mark, seedDigest: "sha256:1" }));
    expect(seen).to.deep.include({
      name: "web-0",
      uuid: "u-1",
      type: "kvm",
      vcpus: 2,
      emulatorPin: [0, 1],
      ioThreads: 1,
      memoryBytes: 4096 * MIB,
      numaNode: 0,
      hugepageBytes: 2 * MIB,
      firmware: "bios",
      disks: good.disks,
      interfaces: [{ type: "bridge", bridge: "br0", mac: "52:54:00:ab:00:11" }],
      mark,
      seedDigest: "sha256:1",
    });
    expect([...seen.ioThreadPins]).to.deep.equal([[1, [1]]]);
    expect([...seen.vcpuPins]).to.deep.equal([
      [0, [4]],
      [1, [5]],
    ]);
  });

  it("bypasses the host's cache, spreads queues over vCPUs, and caps no CPU", () => {
    const xml = domainXml(good, { uuid: "u", mark, seedDigest: "" });
    expect(xml).to.contain('cache="none" io="native" discard="unmap" iothread="1" queues="2"');
    expect(xml).to.contain('<cpu mode="host-passthrough" check="none"/>');
    expect(xml).not.to.match(/<(quota|shares|period)>/);
    expect(domainXml({ ...good, type: "qemu" }, { uuid: "u", mark, seedDigest: "" })).to.contain(
      '<cpu mode="maximum"/>',
    );
  });

  it("keeps any text in its place: no value ends an element or starts another", () => {
    const hostile = fc.string({
      unit: fc.constantFrom("<", ">", "&", '"', "'", "]]>", "</name>", "a", " ", "é", "\n", "$(id)", ";"),
      minLength: 1,
    });
    fc.assert(
      fc.property(hostile, hostile, hostile, (name, path, urn) => {
        const domain = { ...good, name, disks: [{ type: "file", path, format: "raw", target: "vda" }] } as DomainInputs;
        const seen = parseDomainXml(domainXml(domain, { uuid: "u", mark: { ...mark, urn }, seedDigest: "d" }));
        expect(seen.name).to.equal(name.trim());
        expect(seen.disks).to.have.length(1);
        expect(seen.disks[0]?.path).to.equal(path);
        expect(seen.mark?.urn).to.equal(urn);
        expect(seen.interfaces).to.deep.equal(good.interfaces);
      }),
    );
  });
});

describe("a domain's check", () => {
  const reasons = (change: object): string[] =>
    checkDomain({ ...raw, ...change }).failures.map((failure) => `${failure.property}: ${failure.reason}`);

  it("takes values that are not known before up", () => {
    expect(reasons({ cloudInit: UNKNOWN, host: { ...raw.host, hostKey: UNKNOWN } })).to.deep.equal([]);
    expect(reasons({ disks: [{ ...raw.disks[0], path: UNKNOWN }] })).to.deep.equal([]);
  });

  it("names what is wrong, where, and what was found", () => {
    expect(reasons({ vcpuPins: [4] })).to.deep.equal([
      "vcpuPins: needs one host CPU for each of 2 vCPUs, or none at all; found 1",
    ]);
    expect(reasons({ vcpuPins: [4, 4] })).to.deep.equal(["vcpuPins[1]: CPU 4 is already vCPU 0's"]);
    expect(reasons({ vcpuPins: [0, 4] })[0]).to.contain("CPU 0 is the emulator's");
    expect(reasons({ memoryBytes: 4096 * MIB + 1 })[0]).to.match(
      /^memoryBytes: must be a whole number of MiB.*found 4294967297/,
    );
    expect(reasons({ hugepageBytes: 1024 * MIB, memoryBytes: 4097 * MIB })[0]).to.contain(
      "no multiple of the hugepage size",
    );
    expect(reasons({ name: "a;b" })[0]).to.match(/^name: .*found "a;b"/);
    expect(reasons({ disks: [{ ...raw.disks[0], path: "/var/../etc/x" }] })[0]).to.match(
      /^disks\[0\]\.path: must be an absolute path/,
    );
    expect(reasons({ wrong: 1 })[0]).to.contain('Unrecognized key: "wrong"');
  });

  it("never repeats what may be a secret", () => {
    const text = reasons({ cloudInit: { userData: 7, metaData: "m", networkConfig: "s3cret".repeat(20) } }).join();
    expect(text).not.to.contain("s3cret");
  });
});

describe("a domain's diff", () => {
  const state = { ...good, uuid: "u", running: true, unmodelled: [] };
  const effects = (news: Partial<DomainInputs>): string[] =>
    diffDomain(state, { ...good, ...news }).map((change) => `${change.property} ${change.effect}`);

  it("says live, reboot, replace or record", () => {
    expect(effects({})).to.deep.equal([]);
    expect(effects({ vcpuPins: [4, 6] })).to.deep.equal(["vcpuPins[1] live"]);
    expect(effects({ memoryBytes: 8192 * MIB })).to.deep.equal(["memoryBytes reboot"]);
    expect(effects({ name: "web-1" })).to.deep.equal(["name replace"]);
    expect(effects({ host: { ...good.host, port: 2222 } })).to.deep.equal(["host.port record"]);
    const off = diffDomain({ ...state, running: false }, good);
    expect(off).to.deep.equal([
      { property: "running", effect: "live", reason: "it is off or paused, and is started or goes on" },
    ]);
  });
});

describe("CPU lists", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(300)), (cpus) => {
        expect(parseCpus(formatCpus(cpus))).to.deep.equal([...cpus].sort((a, b) => a - b));
      }),
    );
    expect(formatCpus([0, 1, 2, 5])).to.equal("0-2,5");
    expect(parseCpus("0-4,^2")).to.deep.equal([0, 1, 3, 4]);
  });
});
