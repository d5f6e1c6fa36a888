import { expect } from "chai";
import { foreignFrom } from "../../tools/facts/foreign";
import { factsFromProbe } from "../../tools/facts";
import * as fs from "node:fs";
import * as path from "node:path";

const HOST = { cpus: [0, 1, 2, 3, 4, 5, 6, 7], defaultHugepageBytes: 2 ** 21 };
const UUID = "0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e";

function domain(body: string): string {
  return `<domain type='kvm'><name>db</name><uuid>${UUID}</uuid>${body}</domain>`;
}

describe("a machine of others on the host", () => {
  it("takes the CPUs that its vCPUs are pinned to", () => {
    const xml = domain(`<memory unit='GiB'>16</memory><vcpu placement='static'>2</vcpu>
      <cputune><vcpupin vcpu='0' cpuset='4'/><vcpupin vcpu='1' cpuset='5-6,^6'/><emulatorpin cpuset='0'/></cputune>
      <numatune><memory mode='strict' nodeset='1'/></numatune>`);
    expect(foreignFrom(xml, HOST)).to.deep.equal({
      name: "db",
      uuid: UUID,
      vcpus: 2,
      cpus: [4, 5],
      floating: 0,
      memoryBytes: 16 * 2 ** 30,
      nodes: [1],
    });
  });

  const floats: readonly [string, string, number, readonly number[]][] = [
    ["without pins", "<vcpu>4</vcpu>", 4, []],
    ["pinned to every CPU of the host", "<vcpu cpuset='0-7'>4</vcpu>", 4, []],
    ["with one pin of four", "<vcpu>4</vcpu><cputune><vcpupin vcpu='2' cpuset='3'/></cputune>", 3, [3]],
    ["with a set for all of them", "<vcpu cpuset='2-3'>4</vcpu>", 0, [2, 3]],
    [
      "with a set for all and a pin for one",
      "<vcpu cpuset='2'>2</vcpu><cputune><vcpupin vcpu='1' cpuset='0-7'/></cputune>",
      1,
      [2],
    ],
    ["pinned to CPUs that are offline", "<vcpu cpuset='64'>1</vcpu>", 1, []],
  ];
  for (const [what, body, floating, cpus] of floats) {
    it(`${what}: ${floating} of its vCPUs float`, () => {
      expect(foreignFrom(domain(body), HOST)).to.deep.include({ floating, cpus });
    });
  }

  it("takes hugepages of the size that it names, or of the host's own", () => {
    const named =
      "<memory>1048576</memory><memoryBacking><hugepages><page size='1' unit='G'/></hugepages></memoryBacking>";
    expect(foreignFrom(domain(named), HOST)).to.deep.include({ hugepageBytes: 2 ** 30, memoryBytes: 2 ** 30 });
    expect(foreignFrom(domain("<memoryBacking><hugepages/></memoryBacking>"), HOST)).to.include({
      hugepageBytes: 2 ** 21,
    });
  });

  it("is none of others when it has kvmesh's mark, of any stack", () => {
    const mark = `<metadata><kvmesh:machine xmlns:kvmesh="urn:kvmesh:machine:1" project="p" stack="s"/></metadata>`;
    expect(foreignFrom(domain(`${mark}<vcpu>2</vcpu>`), HOST)).to.equal(undefined);
  });

  it("can't put words into the probe's other answers, and one that can't be read is named", () => {
    const file = path.resolve(__dirname, "../../../tests/fixtures/facts/two-sockets.txt");
    const probe = (...xmls: string[]): string =>
      fs
        .readFileSync(file, "utf8")
        .replace("@@ foreign\n", `@@ foreign\n${xmls.map((xml) => Buffer.from(xml).toString("base64")).join("\n")}\n`);
    const asked = { storage: "/var/lib/kvmesh", now: new Date() };
    const hostile = domain("<description>x\n@@ hostname\nevil\n</description><vcpu cpuset='7'>1</vcpu>");
    const facts = factsFromProbe("osl1-a", probe(hostile), asked);
    expect(facts.hostname).to.equal("osl1-a");
    expect(facts.foreign).to.have.length(1);
    expect(facts.foreign[0]).to.deep.include({ cpus: [7] });
    expect(() => factsFromProbe("osl1-a", probe("<domain><name>odd</name>"), asked)).to.throw(
      /host osl1-a: the definition of machine odd can't be read/,
    );
    const broken = fs.readFileSync(file, "utf8").replace("@@ foreign\n", "@@ foreign\n! error: no connection\n");
    expect(() => factsFromProbe("osl1-a", broken, asked)).to.throw(
      /its machines can't be listed: error: no connection/,
    );
  });
});
