import * as fs from "node:fs";
import * as path from "node:path";
import { expect } from "chai";
import { UNKNOWN } from "../../provider/core/kind";
import { CHANGE_RULES, diffDomain } from "../../provider/domain/changes";
import { domainArgs } from "../../provider/domain/schema";
import { pluggingOf } from "../../provider/domain/plugging";
import { parseDomainXml } from "../../provider/domain/seen";
import { domainXml } from "../../provider/domain/xml";
import { domainInputs } from "../support/domain-inputs";
import { checkout } from "../support/engine";
import { exampleHostKey } from "../support/hosts";

const GIB = 2 ** 30;
const disk = { type: "file", path: "/srv/b.img", format: "raw", target: "vdb" };
const nic = { type: "network", network: "default", mac: "52:54:00:ab:00:12" };

/** "property effect" of each change, and the reasons. */
function changes(before: object, after: object): [string[], string[]] {
  const found = diffDomain(
    { ...domainInputs(before), uuid: "u", running: true, unmodelled: [] },
    { ...domainInputs(after) },
  );
  return [found.map(({ property, effect }) => `${property} ${effect}`), found.map(({ reason }) => reason ?? "")];
}

describe("what a change of a machine does", () => {
  it("is said for every argument, with a rule for whatever no special one is about", () => {
    for (const argument of Object.keys(domainArgs.shape)) {
      const rules = CHANGE_RULES.filter((rule) => rule.argument === argument);
      expect(rules, argument).not.to.be.empty;
      expect(rules.at(-1), argument).not.to.have.any.keys("when", "applies");
    }
  });

  it("is said in docs/machines.md in the same words", () => {
    const text = fs.readFileSync(path.join(checkout, "docs/machines.md"), "utf8");
    const rows = /<!-- changes:[^\n]*\n\|[^\n]*\n\|---[^\n]*\n([\s\S]*?)<!-- end/.exec(text)?.[1]?.trim().split("\n");
    const several = (argument: string): boolean => CHANGE_RULES.filter((rule) => rule.argument === argument).length > 1;
    expect(rows).to.deep.equal(
      CHANGE_RULES.map(
        ({ argument, when, effect, reason }) =>
          `| ${argument} | ${when ?? (several(argument) ? "any other" : "any")} | ${effect} | ${reason} |`,
      ),
    );
  });

  it("host: another address or another key is the same host, both are another one", () => {
    const { host } = domainInputs();
    const [address, hostKey] = ["192.0.2.99", exampleHostKey(8)];
    expect(changes({}, { host: { ...host, address } })[0]).to.deep.equal(["host.address record"]);
    expect(changes({}, { host: { ...host, hostKey } })[0]).to.deep.equal(["host.hostKey record"]);
    expect(changes({}, { host: { ...host, hostKey: UNKNOWN, address } })[0]).to.deep.equal([
      "host.address record",
      "host.hostKey record",
    ]);
    expect(changes({}, { host: { ...host, address, hostKey } })).to.deep.equal([
      ["host.address replace", "host.hostKey replace"],
      Array(2).fill("another host: nothing is copied to it"),
    ]);
  });

  it("memory: live within the balloon, else at the next start", () => {
    const eight = { memoryBytes: 8 * GIB };
    expect(changes({}, eight)).to.deep.equal([
      ["memoryBytes reboot"],
      ["QEMU gets its memory at start (no maxMemoryBytes)"],
    ]);
    expect(changes({ maxMemoryBytes: 8 * GIB }, { ...eight, maxMemoryBytes: 8 * GIB })[0]).to.deep.equal([
      "memoryBytes live",
    ]);
    expect(changes({ maxMemoryBytes: 4 * GIB }, { ...eight, maxMemoryBytes: 8 * GIB })[0]).to.deep.equal([
      "memoryBytes reboot",
      "maxMemoryBytes reboot",
    ]);
  });

  it("disks and interfaces: live when they come and go, whatever their place in the list", () => {
    const { disks, interfaces } = domainInputs();
    expect(changes({}, { disks: [disk, ...disks] })[0]).to.deep.equal(["disks[0] live"]);
    expect(changes({ disks: [...disks, disk] }, { disks: [disk, ...disks] })[0]).to.deep.equal([]);
    expect(changes({ disks: [...disks, disk] }, {})[0]).to.deep.equal(["disks[1] live"]);
    expect(changes({}, { disks: [{ ...disks[0], cache: "directsync" }] })[0]).to.deep.equal(["disks[0].cache reboot"]);
    expect(changes({}, { disks: [{ ...disks[0], path: UNKNOWN }] })[0]).to.deep.equal(["disks[0].path replace"]);
    expect(changes({}, { disks: [...disks, { ...disk, path: UNKNOWN }] })[0]).to.deep.equal(["disks[1] live"]);
    expect(changes({}, { interfaces: [...interfaces, nic] })[0]).to.deep.equal(["interfaces[1] live"]);
    expect(changes({ interfaces: [nic] }, { interfaces: [{ ...nic, network: "lan" }] })[0]).to.deep.equal([
      "interfaces[0].network reboot",
    ]);
  });

  it("pins: live, but taking them away changes no running thread", () => {
    expect(changes({}, { vcpuPins: [4, 6] })[0]).to.deep.equal(["vcpuPins[1] live"]);
    expect(changes({}, { emulatorPin: [], ioThreadPin: [] })[0]).to.deep.equal([
      "emulatorPin[0] reboot",
      "emulatorPin[1] reboot",
      "ioThreadPin[0] reboot",
    ]);
  });

  it("cloud-init: says that it runs once per instance-id", () => {
    const cloudInit = domainInputs().cloudInit;
    const [effects, reasons] = changes({}, { cloudInit: { ...cloudInit, userData: "other" } });
    expect(effects).to.deep.equal(["cloudInit.userData reboot"]);
    expect(reasons[0]).to.contain("once per instance-id, which stays");
    const renamed = changes({}, { cloudInit: { ...cloudInit, metaData: "instance-id: web-0-2\n" } });
    expect(renamed[1][0]).to.contain("takes the next start for a first boot");
  });

  it("what somebody else wrote into the definition is repaired", () => {
    const olds = { ...domainInputs(), uuid: "u", running: false, unmodelled: ["cputune/quota 50000"] };
    expect(diffDomain(olds, domainInputs()).map(({ property, effect }) => `${property} ${effect}`)).to.deep.equal([
      "running live",
      "unmodelled reboot",
    ]);
  });
});

describe("what a running machine gets and loses", () => {
  it("is what it has not, and what is not declared; another form of the same waits", () => {
    const before = domainInputs({ interfaces: [nic] });
    const mark = { project: "p", stack: "s", cluster: "c", environment: "development", urn: "u" };
    const live = parseDomainXml(domainXml(before, { uuid: "u", mark, seedDigest: "" }));
    const plugging = pluggingOf(
      domainInputs({ disks: [disk, { ...before.disks[0], cache: "directsync" }], interfaces: [] }),
      live,
    );
    expect(plugging.attach).to.have.length(1);
    expect(plugging.attach[0]).to.include({ key: "vdb" });
    expect(plugging.attach[0]?.xml).to.match(
      /^<disk type="file" device="disk">.*<target dev="vdb" bus="virtio"\/><\/disk>$/,
    );
    expect(plugging.detachDisks).to.deep.equal([]);
    expect(plugging.detachInterfaces).to.deep.equal([nic]);
    expect(pluggingOf(before, live)).to.deep.equal({ attach: [], detachDisks: [], detachInterfaces: [] });
  });
});
