import { expect } from "chai";
import * as fc from "fast-check";
import { catalogue } from "../../policies/catalogue";
import { verdict } from "../../report/text";
import { rulesOf, type Report } from "../../report/model";
import { readPackConfig } from "../../report/pack-config";
import {
  cannotRun,
  fullReport,
  header,
  passed,
  reportOf,
  ruleIn,
  stackDone,
  URN,
  violation,
  waiverOf,
} from "../support/report";

const planned = new Set(catalogue.filter(({ status }) => status === "planned").map(({ id }) => id));

describe("policy report", () => {
  it("has every rule of the catalogue, in its order, whatever the events", () => {
    const ids = rulesOf(reportOf([])).map(({ id }) => id);
    expect(ids).to.deep.equal(catalogue.map(({ id }) => id));
  });

  it("is never green for a rule that was not evaluated", () => {
    const unknown = reportOf([passed("ssh-host-key", `${URN}2`), cannotRun("ssh-host-key"), stackDone()]);
    expect(ruleIn(unknown, "ssh-host-key")).to.include({ status: "not-evaluated", passed: 1 });
    expect(ruleIn(unknown, "ssh-host-key").gaps[0]?.reason).to.equal(
      "string value at .host can't be known during preview",
    );
    expect(unknown.conclusion).to.equal("open");
    const cut = reportOf([passed("node-min-vcpus")]);
    expect(ruleIn(cut, "node-min-vcpus").status).to.equal("not-evaluated");
    expect(cut.conclusion).to.equal("broken");
    expect(reportOf([]).counts).to.include({ pass: 0, fail: 0, "not-evaluated": catalogue.length - planned.size });
  });

  it("never counts a planned rule", () => {
    const report = reportOf([stackDone()]);
    for (const id of planned) expect(ruleIn(report, id).status).to.equal("planned");
    expect(report.planned).to.equal(planned.size);
    expect(Object.values(report.counts).reduce((a, b) => a + b, 0)).to.equal(catalogue.length - planned.size);
    expect(report.conclusion).to.equal("clear");
  });

  it("tells pass, fail and not applicable apart in a whole run", () => {
    const report = reportOf([passed("node-min-vcpus"), violation("canary-weights", "x"), stackDone("mtls-conflict")]);
    expect(ruleIn(report, "node-min-vcpus").status).to.equal("pass");
    expect(ruleIn(report, "canary-weights").status).to.equal("fail");
    expect(ruleIn(report, "mtls-conflict").status).to.equal("pass");
    expect(ruleIn(report, "gateway-tls").status).to.equal("not-applicable");
    expect(report).to.include({ blocking: 1, conclusion: "blocked" });
  });

  it("lets a violation outweigh passes and gaps", () => {
    const report = reportOf([
      passed("canary-weights"),
      cannotRun("canary-weights"),
      violation("canary-weights", "x"),
      stackDone(),
    ]);
    expect(ruleIn(report, "canary-weights").status).to.equal("fail");
  });

  it("shows a waived violation as waived, with who answers for it, and does not block", () => {
    const report = fullReport();
    const rule = ruleIn(report, "mesh-strict");
    expect(rule.status).to.equal("waived");
    expect(rule.violations).to.deep.equal([]);
    expect(rule.waived[0]?.waiver).to.include({ owner: "payments", expires: "2026-12-31", ticket: "PAY-7" });
    expect(report).to.include({ blocking: 1 });
    expect(report.waivers.entries).to.have.length(1);
    expect(report.waivers.findings).to.deep.equal([]);
  });

  it("finds a waiver that nothing needs, after a whole run only", () => {
    const waivers = waiverOf("canary-weights", "VirtualService shop/cart");
    const whole = reportOf([stackDone()], { waivers });
    expect(whole.waivers.findings.map(({ problem }) => problem)).to.deep.equal(["unused"]);
    expect(whole.conclusion).to.equal("warned");
    expect(reportOf([], { waivers }).waivers.findings).to.deep.equal([]);
  });

  it("takes what a chart hides for a gap of every rule that it could break", () => {
    const text = "t\nRelease shop: not evaluated: its chart can't be looked into\nrules: gateway-tls, mesh-strict";
    const report = reportOf([violation("mesh-strict", text, "advisory"), passed("gateway-tls"), stackDone()]);
    for (const id of ["gateway-tls", "mesh-strict"]) {
      expect(ruleIn(report, id)).to.include({ status: "not-evaluated" });
      expect(ruleIn(report, id).gaps[0]).to.include({ subject: "Release shop" });
    }
  });

  it("takes the last part of `up`, not the preview before it", () => {
    const report = reportOf([
      { preludeEvent: {} },
      violation("canary-weights", "x"),
      { preludeEvent: {} },
      stackDone(),
    ]);
    expect(ruleIn(report, "canary-weights").status).to.equal("not-applicable");
  });

  it("leaves nothing out that another pack, or a newer one, found", () => {
    const theirs = { ...violation("s3-public", "t\nBucket b: found public").policyEvent!, policyPackName: "theirs" };
    const newer = violation("a-new-rule", "t\nDomain d: found x");
    const report = reportOf([{ policyEvent: theirs }, newer, stackDone()]);
    expect(ruleIn(report, "theirs/s3-public")).to.include({ status: "fail", level: "mandatory" });
    expect(ruleIn(report, "a-new-rule").status).to.equal("fail");
    expect(report).to.include({ blocking: 2, conclusion: "blocked" });
    // A rule of the same name in another pack is another rule.
    const same = { ...violation("canary-weights", "x").policyEvent!, policyPackName: "theirs" };
    expect(ruleIn(reportOf([{ policyEvent: same }, stackDone()]), "canary-weights").violations).to.deep.equal([]);
  });

  it("has the same order for any order of events", () => {
    const events = ["c", "a", "b"].map((subject) =>
      violation("canary-weights", `t\n${subject}: found x\nrequired: y\nremedy: z`),
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(events, { minLength: 3 }), (shuffled) => {
        const { violations } = ruleIn(reportOf([...shuffled, stackDone()]), "canary-weights");
        expect(violations.map(({ subject }) => subject)).to.deep.equal(["a", "b", "c"]);
      }),
    );
  });

  it("says in one sentence whether the run is blocked, and that a failed run gives no verdict", () => {
    expect(verdict(reportOf([violation("canary-weights", "x"), stackDone()]))).to.match(
      /^1 violation of mandatory rules: blocked/,
    );
    expect(verdict(reportOf([violation("retry-budget", "x", "advisory"), stackDone()]))).to.match(
      /^1 advisory rule failed/,
    );
    expect(verdict(reportOf([])))
      .to.match(/^No verdict/)
      .and.match(/ended before all policies/);
  });

  describe("the pack's configuration", () => {
    const configured = (config: object): Report => {
      const packConfig = readPackConfig(
        "given.json",
        JSON.stringify(config),
        catalogue,
        ({ level }) => level.production,
      );
      const settings = [...packConfig.settings];
      return reportOf([passed("node-min-vcpus"), violation("canary-weights", "x", "advisory"), stackDone()], {
        packConfig,
        header: { ...header, packConfig: { digest: packConfig.digest, settings } },
      });
    };

    it("stands in the header: what it turns off, lowers, raises and sets", () => {
      const report = configured({
        "node-dedicated-cpu": "disabled",
        "canary-weights": { enforcementLevel: "advisory" },
        "retry-budget": "mandatory",
        "location-allowed": { countries: ["NO", "US"] },
        "no-such-rule": "disabled",
      });
      expect(report.header.packConfig.settings.map(({ rule, effect, text }) => [rule, effect, text])).to.deep.equal([
        ["node-dedicated-cpu", "off", "turned off (mandatory in the catalogue)"],
        ["location-allowed", "setting", 'countries = ["NO","US"]'],
        ["canary-weights", "lowered", "mandatory → advisory"],
        ["retry-budget", "raised", "advisory → mandatory"],
        ["no-such-rule", "setting", "the catalogue has no such rule"],
      ]);
      expect(report.header.packConfig.digest).to.match(/^sha256:[0-9a-f]{64}$/);
      expect(ruleIn(report, "canary-weights").level).to.equal("advisory");
      expect(ruleIn(report, "node-dedicated-cpu").status).to.equal("not-evaluated");
      expect(ruleIn(report, "node-dedicated-cpu").gaps[0]?.reason).to.include("turned off");
    });

    it("is never green when it turns everything off", () => {
      expect(configured({ all: "disabled" }).conclusion).to.equal("warned");
      expect(ruleIn(configured({ all: "disabled" }), "gateway-tls").status).to.equal("not-evaluated");
    });
  });

  describe("the place in the stack file", () => {
    const at = (id: string, urn: string, subject = "x") =>
      ruleIn(reportOf([violation(id, `t\n${subject}: found y`, "mandatory", urn), stackDone()]), id).violations[0]
        ?.location;

    it("is the key that decides the rule, the section's entry, or the file", () => {
      const cart = "urn:pulumi:prod::kvmesh::kvmesh:mesh:Canary$k:x/v1:VirtualService::shop/cart-virtual-service";
      expect(at("node-min-vcpus", URN)).to.deep.include({ line: 7, key: "kvmesh:pools.worker.vcpus" });
      expect(at("node-numa-local", URN)).to.deep.include({ line: 5, key: "kvmesh:pools.worker" });
      expect(at("canary-weights", cart)).to.deep.include({ line: 12, key: "kvmesh:canaries.cart.weights" });
      const stack = "urn:pulumi:prod::kvmesh::pulumi:pulumi:Stack::kvmesh-prod";
      expect(at("etcd-fsync", stack, "control plane nor-control-0")).to.deep.include({ line: 4 });
      expect(at("kubernetes-supported", stack)).to.deep.include({ line: 9, key: "kvmesh:kubernetes.version" });
      expect(at("gateway-tls", stack)).to.deep.equal({ file: "Pulumi.prod.yaml", line: 1, key: "" });
    });
  });

  it("gives a finding the same fingerprint whatever its value and the stack's other findings", () => {
    const text = (found: string): string => `t\nVirtualService cart: found ${found}`;
    const [one] = ruleIn(
      reportOf([violation("canary-weights", text("110")), stackDone()]),
      "canary-weights",
    ).violations;
    const many = ruleIn(
      reportOf([
        violation("canary-weights", "t\nVirtualService a: found 1"),
        violation("canary-weights", text("120")),
        violation("canary-weights", text("130")),
        stackDone(),
      ]),
      "canary-weights",
    ).violations.map(({ fingerprint }) => fingerprint);
    expect(many).to.include(one?.fingerprint);
    expect(new Set(many).size).to.equal(3);
  });
});
