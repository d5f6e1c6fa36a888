/** Our definitions against libvirt's own schema, as the emulated host's libvirt has it. Nothing is started; the host's root is only read. */
import { spawnSync } from "node:child_process";
import { expect } from "chai";
import fc from "fast-check";
import { domainXml } from "../../provider/domain/xml";
import { ensureRoot, hostRecipe } from "../../tools/site/roots";
import { anyDomain } from "../support/any-domain";
import { domainInputs } from "../support/domain-inputs";

const mark = { project: "p", stack: "s", cluster: "c", environment: "production", urn: "urn:pulumi:s::p::t::n" };
const possible = process.platform === "linux" && process.getuid?.() === 0;

(possible ? describe : describe.skip)("libvirt's schema (needs root on Linux for the emulated host's files)", () => {
  let root: string;
  before(async () => {
    root = await ensureRoot(hostRecipe, (line) => void process.stdout.write(`    ${line}\n`));
  });
  /** What xmllint says; "" of a valid definition. */
  const faults = (xml: string): string => {
    const args = [root, "xmllint", "--noout", "--nonet", "--relaxng", "/usr/share/libvirt/schemas/domain.rng", "-"];
    const { status, stderr } = spawnSync("chroot", args, { input: xml, encoding: "utf8" });
    return status === 0 ? "" : stderr;
  };
  const write = (inputs: Parameters<typeof domainXml>[0]): string =>
    domainXml(inputs, { uuid: "6f0c1a52-0006-4c6e-9c11-000000000006", mark, seedDigest: "sha256:1" });

  it("takes every definition that we write", () => {
    const machines = [
      domainInputs({ hugepageBytes: 2 ** 30, numaNode: 1, autostart: false }),
      ...fc.sample(anyDomain, { numRuns: 15, seed: 1 }),
    ];
    for (const machine of machines) expect(faults(write(machine)), JSON.stringify(machine)).to.equal("");
  });

  it("refuses what it does not know", () => {
    const xml = write(domainInputs());
    expect(faults(xml.replace('cache="none"', 'cache="sometimes"'))).to.contain("fails to validate");
    expect(faults(xml.replace("<cputune>", "<cputune><quote>1</quote>"))).to.contain("fails to validate");
  });
});
