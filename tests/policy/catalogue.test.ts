import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { catalogue } from "../../policies/catalogue";
import { environmentOf } from "../../policies/environment";
import { typeMatcher } from "../../policies/frame";
import { policies, policiesFor } from "../../policies/pack";
import { catalogueTables, domainPages } from "../../report/catalogue-table";

describe("the policy pack", () => {
  it("has a policy for every active rule, and none for a planned one or without a rule", () => {
    const active = catalogue.filter(({ status }) => status === "active").map(({ id }) => id);
    expect(policies.map(({ name }) => name).sort()).to.deep.equal(active.sort());
  });

  it("has one rule an id, each with a remedy that is a sentence", () => {
    const ids = catalogue.map(({ id }) => id);
    expect(new Set(ids).size).to.equal(ids.length);
    for (const { id, remedy } of catalogue) {
      expect(id).to.match(/^[a-z0-9]+(-[a-z0-9]+)+$/);
      expect(remedy, id).to.match(/\.$/);
    }
  });

  it("is what docs/policies.md says", () => {
    const page = fs.readFileSync(path.resolve(__dirname, "../../../docs/policies.md"), "utf8");
    expect(page).to.include(catalogueTables());
    for (const [name, text] of domainPages())
      expect(fs.readFileSync(path.resolve(__dirname, "../../../docs/policies", name), "utf8"), name).to.equal(text);
  });

  it("judges at the time that the catalogue says", () => {
    for (const policy of policies) {
      const kind = catalogue.find(({ id }) => id === policy.name)?.kind;
      const parts = ["validateResource", "validateStack"].filter((part) => part in policy);
      const expected = {
        resource: ["validateResource"],
        stack: ["validateStack"],
        both: ["validateResource", "validateStack"],
      };
      expect(parts, policy.name).to.deep.equal(expected[kind ?? "both"]);
    }
  });

  it("lowers levels outside production, and turns no rule off", () => {
    const levels = (environment: "production" | "staging" | "development") =>
      Object.fromEntries(policiesFor(environment).map(({ name, enforcementLevel }) => [name, enforcementLevel]));
    expect(levels("production")["node-min-vcpus"]).to.equal("mandatory");
    expect(levels("staging")["node-min-vcpus"]).to.equal("advisory");
    expect(levels("staging")["node-dedicated-cpu"]).to.equal("mandatory");
    expect(levels("development")["canary-weights"]).to.equal("mandatory");
    for (const environment of ["production", "staging", "development"] as const) {
      expect(new Set(Object.values(levels(environment)))).to.deep.equal(new Set(["mandatory", "advisory"]));
    }
  });

  it("takes the environment from the stack's configuration, and production where it is not told", () => {
    const config = (value: string) => ({ PULUMI_CONFIG: JSON.stringify({ "kvmesh:environment": value }) });
    expect(environmentOf(config("staging"))).to.equal("staging");
    expect(environmentOf(config("development"))).to.equal("development");
    expect(environmentOf(config("Staging"))).to.equal("production");
    expect(environmentOf({})).to.equal("production");
    expect(environmentOf({ PULUMI_CONFIG: "not JSON" })).to.equal("production");
    const renamed = { PULUMI_NODEJS_PROJECT: "bank", PULUMI_CONFIG: '{"bank:environment":"staging"}' };
    expect(environmentOf(renamed)).to.equal("staging");
  });

  it("matches types of any version of an API group, and no further", () => {
    const matches = typeMatcher("kubernetes:security.istio.io/*:PeerAuthentication");
    expect(matches("kubernetes:security.istio.io/v1:PeerAuthentication")).to.equal(true);
    expect(matches("kubernetes:security.istio.io/v1beta1:PeerAuthentication")).to.equal(true);
    expect(matches("kubernetes:security.istio.io/v1:X:PeerAuthentication")).to.equal(false);
    expect(matches("kubernetes:security.istio.io/v1:PeerAuthenticationList")).to.equal(false);
    expect(typeMatcher("kvmesh:index:Domain")("kvmesh:index:Domains")).to.equal(false);
  });
});
