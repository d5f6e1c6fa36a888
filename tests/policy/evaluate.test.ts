import { expect } from "chai";
import { catalogue } from "../../policies/catalogue";
import { evaluateState, type EvaluateOptions, type StateResource } from "../../policies/evaluate";
import { findRule } from "../../policies/run";
import type { Verdict } from "../../policies/verdict";
import { NO_WAIVERS, readWaivers } from "../../policies/waivers";
import { domain, machine } from "./fixtures";
import type { Subject } from "./harness";

const options: EvaluateOptions = {
  environment: "production",
  now: new Date("2026-11-28T12:00:00Z"),
  waivers: NO_WAIVERS,
};

function inState({ type, name = "r", props }: Subject): StateResource {
  return {
    type,
    urn: `urn:pulumi:test::kvmesh::${type}::${name}`,
    custom: true,
    inputs: props as Record<string, unknown>,
  };
}

describe("the pack over a state, without Pulumi", () => {
  const verdicts = (
    id: string,
    subjects: readonly Subject[],
    more: Partial<EvaluateOptions> = {},
  ): readonly Verdict[] =>
    evaluateState(subjects.map(inState), { ...options, ...more }).filter(({ rule }) => rule === id);

  it("says what passed, failed and had nothing to judge, for every rule", () => {
    const all = evaluateState([inState(domain()), inState(domain({ vcpuPins: [], name: "web-1" }, "web-1"))], options);
    expect([...new Set(all.map(({ rule }) => rule))]).to.deep.equal(catalogue.map(({ id }) => id));
    const dedicated = all.filter(({ rule }) => rule === "node-dedicated-cpu");
    expect(dedicated.map(({ outcome, subject }) => [outcome, subject])).to.deep.equal([
      ["pass", "Domain web-0"],
      ["fail", "Domain web-1"],
    ]);
    expect(dedicated[1]).to.include({ level: "mandatory", severity: "critical" });
    expect(dedicated[1]?.urn).to.include("::web-1");
    expect(all.find(({ rule }) => rule === "gateway-tls")?.outcome).to.equal("not-applicable");
  });

  it("says planned of a planned rule, and counts nothing", () => {
    for (const { id } of catalogue.filter(({ status }) => status === "planned"))
      expect(verdicts(id, [domain()]).map(({ outcome }) => outcome)).to.deep.equal(["planned"]);
  });

  it("an encrypted value is no verdict, and never in one", () => {
    const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "v1:abc" };
    const [verdict, ...more] = verdicts("location-allowed", [machine({ country: secret })]);
    expect(more).to.deep.equal([]);
    expect(verdict?.outcome).to.equal("not-evaluated");
    expect(JSON.stringify(verdict)).to.not.include("v1:abc");
  });

  it("takes settings and waivers", () => {
    const danish = machine({ country: "DK" });
    expect(verdicts("location-allowed", [danish])[0]?.outcome).to.equal("fail");
    const settings = { "location-allowed": { countries: ["DK"] } };
    expect(verdicts("location-allowed", [danish], { settings })[0]?.outcome).to.equal("pass");
    const text = `version: 1
waivers:
  - rule: location-allowed
    resource: Machine rented-0
    owner: legal
    reason: The move to Norway is ordered for December.
    ticket: LEGAL-3
    expires: 2026-12-31
`;
    const waivers = readWaivers(text, { file: "waivers.yaml", now: options.now, rule: findRule });
    const [waived] = verdicts("location-allowed", [danish], { waivers });
    expect(waived).to.deep.include({ outcome: "waived", subject: "Machine rented-0" });
    expect(waived?.waiver).to.include({ expires: "2026-12-31" });
  });

  it("two evaluations don't remember each other's machines", () => {
    for (let run = 0; run < 2; run += 1) {
      const [verdict] = verdicts("node-core-overlap", [domain()]);
      expect(verdict?.outcome).to.equal("pass");
    }
  });
});
