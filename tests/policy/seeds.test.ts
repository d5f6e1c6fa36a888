import { expect } from "chai";
import { catalogue } from "../../policies/catalogue";
import { evaluateState } from "../../policies/evaluate";
import type { Outcome, Verdict } from "../../policies/verdict";
import { NO_WAIVERS } from "../../policies/waivers";
import { checkovSeeds } from "./seeds/checkov";
import { harmless } from "./seeds/harmless";
import { istioSeeds } from "./seeds/istio";
import { kyvernoSeeds } from "./seeds/kyverno";
import { ownSeeds } from "./seeds/own";
import type { Seed } from "./seeds/seed";
import { baseStack, NOW, type Stack } from "./seeds/stack";

const seeds: readonly Seed[] = [...istioSeeds, ...kyvernoSeeds, ...checkovSeeds, ...ownSeeds];

function judge(stack: Stack): readonly Verdict[] {
  const options = { environment: "production", now: NOW, waivers: NO_WAIVERS } as const;
  return evaluateState([...stack.resources.values()], options);
}

function rulesWith(outcome: Outcome, verdicts: readonly Verdict[]): readonly string[] {
  return [...new Set(verdicts.filter((verdict) => verdict.outcome === outcome).map(({ rule }) => rule))].sort();
}

function changed(seed: Pick<Seed, "change">): readonly Verdict[] {
  const stack = baseStack();
  seed.change(stack);
  return judge(stack);
}

describe("the proof of the rules", () => {
  it("the stack without a seed breaks no rule, and every active rule has something to judge in it", () => {
    const verdicts = judge(baseStack());
    expect(verdicts.filter(({ outcome }) => outcome === "fail")).to.deep.equal([]);
    expect(rulesWith("not-evaluated", verdicts)).to.deep.equal([]);
    const idle = rulesWith("not-applicable", verdicts);
    // What can't be looked into is only there with a seed.
    expect(idle).to.deep.equal(["objects-seen"]);
  });

  it("has 120 seeds or more, at least half of them of others' tests, and one of every active rule", () => {
    expect(seeds.length).to.be.at.least(120);
    expect(seeds.filter(({ origin }) => origin !== undefined).length).to.be.at.least(seeds.length / 2);
    const names = seeds.map(({ what, origin }) => `${what} ${origin ?? ""}`);
    expect(new Set(names).size).to.equal(names.length);
    const caught = new Set(seeds.flatMap(({ fails = [], unseen = [] }) => [...fails, ...unseen]));
    const active = catalogue.filter(({ status }) => status === "active").map(({ id }) => id);
    expect(active.filter((id) => !caught.has(id))).to.deep.equal([]);
  });

  for (const seed of seeds) {
    it(`${seed.what}${seed.origin === undefined ? "" : ` (${seed.origin})`}`, () => {
      const verdicts = changed(seed);
      expect(rulesWith("fail", verdicts)).to.deep.equal([...(seed.fails ?? [])].sort());
      expect(rulesWith("not-evaluated", verdicts)).to.deep.equal([...(seed.unseen ?? [])].sort());
      for (const verdict of verdicts.filter(({ outcome }) => outcome === "fail"))
        expect(verdict, verdict.rule).to.include.all.keys("subject", "found", "required", "remedy");
      expect(JSON.stringify(verdicts)).to.not.include("hunter2");
    });
  }

  for (const { what, change } of harmless) {
    it(`no finding: ${what}`, () => {
      const verdicts = changed({ change });
      expect(verdicts.filter(({ outcome }) => outcome === "fail")).to.deep.equal([]);
      expect(rulesWith("not-evaluated", verdicts)).to.deep.equal([]);
    });
  }
});
