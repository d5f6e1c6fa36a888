import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { setRun, findRule, runByEnvironment, type PolicyRun } from "../../policies/run";
import { waiverJsonSchema } from "../../policies/waiver-schema";
import { covers, NO_WAIVERS, readWaivers, reviewWaivers, waiverFor, type WaiverFile } from "../../policies/waivers";
import { readSaid, sayVerdict, type Said } from "../../policies/verdict";
import { peerAuthentication } from "./fixtures";
import { fresh, judge } from "./harness";

const now = new Date("2026-11-28T12:00:00Z");
const read = (text: string): WaiverFile => readWaivers(text, { file: "waivers.yaml", now, rule: findRule });

function entry(changes: Record<string, string> = {}): string {
  const fields = {
    rule: "mesh-strict",
    resource: "PeerAuthentication shop/legacy",
    owner: "team-shop",
    reason: "The old till speaks plain text; the firewall lets in nobody else.",
    ticket: "SHOP-12",
    expires: "2027-01-31",
    ...changes,
  };
  const lines = Object.entries(fields).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return `  - ${lines.join("\n    ")}\n`;
}
const file = (...entries: string[]): string => `version: 1\nwaivers:\n${entries.join("")}`;

describe("waivers", () => {
  it("hold until their day, for the rule and the resource that they name", () => {
    const waivers = read(file(entry()));
    expect(waivers.findings).to.deep.equal([]);
    expect(waivers.digest).to.match(/^sha256:[0-9a-f]{64}$/);
    expect(waiverFor(waivers, "mesh-strict", "PeerAuthentication shop/legacy")).to.deep.include({
      owner: "team-shop",
      ticket: "SHOP-12",
      where: "waivers.yaml:3",
    });
    expect(waiverFor(waivers, "mesh-strict", "PeerAuthentication shop/legacy-2")).to.equal(undefined);
    expect(waiverFor(waivers, "mtls-exception", "PeerAuthentication shop/legacy")).to.equal(undefined);
  });

  it("patterns: * is any text, everything else is itself", () => {
    expect(covers("Domain web-*", "Domain web-12")).to.equal(true);
    expect(covers("Domain web.1", "Domain webx1")).to.equal(false);
    expect(covers("Domain web-*", "Domain web-1\nx")).to.equal(true);
    expect(covers("Domain web", "xDomain web")).to.equal(false);
  });

  const problems: readonly (readonly [string, string, Record<string, string>])[] = [
    ["expired", "the day before", { expires: "2026-11-27" }],
    ["too-long", "over 90 days for a critical rule", { expires: "2027-02-27" }],
    ["too-long", "over a year for any", { rule: "gateway-tls", resource: "Gateway shop/app", expires: "2027-12-01" }],
    ["too-broad", "any resource", { resource: "*" }],
    ["too-broad", "any resource of a kind", { resource: "Domain *" }],
    ["too-broad", "any resource of a namespace of one letter", { resource: "Gateway a/*" }],
    ["too-broad", "any kind", { resource: "* web-0" }],
    ["unknown-rule", "a rule that isn't there", { rule: "mesh-stricter" }],
    ["unreadable", "a day that isn't there", { expires: "2026-02-30" }],
    ["unreadable", "no owner", { owner: "" }],
    ["unreadable", "no reason worth the name", { reason: "because" }],
    ["unreadable", "no day", { expires: "soon" }],
  ];
  for (const [problem, what, changes] of problems) {
    it(`${problem}: ${what} is a finding, and does not hold`, () => {
      const { waivers, findings } = read(
        file(entry({ rule: "gateway-tls", resource: "Gateway x/ok" }), entry(changes)),
      );
      expect(findings.map((one) => one.problem)).to.deep.equal([problem]);
      expect(findings[0]?.where).to.equal("waivers.yaml:9");
      // The other one still holds.
      expect(waivers.map(({ rule }) => rule)).to.deep.equal(["gateway-tls"]);
    });
  }

  it("the last day still holds, and 90 days of a critical rule", () => {
    expect(read(file(entry({ expires: "2026-11-28" }))).waivers).to.have.length(1);
    expect(read(file(entry({ expires: "2027-02-26" }))).waivers).to.have.length(1);
  });

  it("the same one twice is a finding", () => {
    const { waivers, findings } = read(file(entry(), entry()));
    expect(waivers).to.have.length(1);
    expect(findings[0]).to.include({ problem: "repeated" });
  });

  it("a file that is no YAML, has unknown keys, or is of another version holds nothing", () => {
    for (const text of [
      "version: 1\nwaivers: [",
      "waivers: []",
      "version: 2\nwaivers: []",
      "",
      "- a",
      "version: 1\nwaivers: {}",
    ]) {
      const { waivers, findings } = read(text);
      expect(waivers, text).to.deep.equal([]);
      expect(findings[0]?.problem, text).to.equal("unreadable");
    }
    expect(read(`${file(entry())}more: 1\n`).waivers).to.deep.equal([]);
  });

  it("after a run: unused, of an unknown resource, and covering too much", () => {
    const waivers = read(file(entry({ resource: "PeerAuthentication shop/*" })));
    const subject = (name: number | string) => ({ rule: "mesh-strict", subject: `PeerAuthentication shop/${name}` });
    const problem = (violations: readonly ReturnType<typeof subject>[], subjects?: readonly string[]) =>
      reviewWaivers(waivers, { violations, ...(subjects && { subjects }) }).map((one) => one.problem);
    expect(problem([subject(1)])).to.deep.equal([]);
    expect(problem([])).to.deep.equal(["unused"]);
    expect(problem([], ["PeerAuthentication shop/1"])).to.deep.equal(["unused"]);
    expect(problem([], ["PeerAuthentication pay/1"])).to.deep.equal(["unknown-resource"]);
    expect(problem(Array.from({ length: 11 }, (_, index) => subject(index)))).to.deep.equal(["too-broad"]);
  });

  it("the schema for editors is the one that the reader uses", () => {
    const page = fs.readFileSync(path.resolve(__dirname, "../../../policies/waivers.schema.json"), "utf8");
    expect(JSON.parse(page)).to.deep.equal(JSON.parse(waiverJsonSchema()));
  });

  it("a named file that isn't there is said; the checkout has none", () => {
    expect(() => runByEnvironment({ KVMESH_WAIVERS: "/nowhere/waivers.yaml" })).to.throw("there is no file");
    expect(runByEnvironment({}).waivers).to.equal(NO_WAIVERS);
    expect(() => runByEnvironment({ KVMESH_EVALUATION_TIME: "yesterday" })).to.throw("ISO 8601");
    const day = runByEnvironment({ KVMESH_EVALUATION_TIME: "2026-11-28" }).now;
    expect(day.toISOString()).to.equal("2026-11-28T00:00:00.000Z");
  });

  describe("in a policy", () => {
    let before: PolicyRun | undefined;
    beforeEach(() => {
      before = setRun({ now, waivers: read(file(entry({ resource: "PeerAuthentication shop/default" }))) });
    });
    afterEach(() => {
      setRun(before);
    });

    it("the violation is still named, as waived, with owner, ticket and day", () => {
      const off = { mtls: { mode: "DISABLE" } };
      const [waived] = judge(fresh("mesh-strict"), peerAuthentication("shop", off)).violations;
      expect(readSaid(waived ?? "")).to.deep.include({ outcome: "waived", found: "mtls DISABLE" });
      expect(waived).to.include("waived: until 2027-01-31 by team-shop (SHOP-12): The old till");
      const [other] = judge(fresh("mesh-strict"), peerAuthentication("pay", off)).violations;
      expect(readSaid(other ?? "")?.outcome).to.equal("fail");
    });
  });
});

describe("what a policy says", () => {
  it("is read again as it was said", () => {
    const said: Said[] = [
      { outcome: "fail", subject: "Domain web: 0", found: "a: found b", required: "c", remedy: "Do it." },
      {
        outcome: "waived",
        subject: "mesh",
        found: "x",
        required: "y",
        remedy: "Do it.",
        waiver: { owner: "team a", ticket: "https://t.example/1", reason: "Because (yes): so", expires: "2027-01-01" },
        evidence: { what: "fsync: 4 ms", on: "machine cp-0", takenAt: "2026-11-28T00:00:00Z", digest: "sha256:ab" },
      },
      {
        outcome: "not-evaluated",
        subject: "Release a/b",
        reason: "not seen: c",
        rules: ["mesh-strict", "ns-injected"],
      },
    ];
    for (const one of said) expect(readSaid(`A title\n${sayVerdict(one)}`)).to.deep.equal(one);
  });

  it("never takes more than its line, whatever is in it", () => {
    const text = sayVerdict({ outcome: "fail", subject: "Pod a", found: "x\nwaived: until", required: "y" });
    expect(text.split("\n")).to.have.length(2);
    expect(readSaid("can't run policy 'x' from policy pack 'y': z")).to.equal(undefined);
  });
});
