import { expect } from "chai";
import * as fc from "fast-check";
import { atMost, exactInterval } from "../../tools/measure/binomial";
import { judgeSplit } from "../../tools/measure/split";

describe("exact binomial interval", () => {
  // Computed apart from this code, with exact fractions.
  for (const [successes, trials, confidence, low, high] of [
    [0, 10, 0.95, 0, 0.3085],
    [10, 10, 0.95, 0.6915, 1],
    [5, 10, 0.95, 0.18709, 0.81291],
    [10, 100, 0.95, 0.049, 0.17622],
    [1, 20, 0.99, 0.00025, 0.31714],
  ] as const) {
    it(`is ${low} to ${high} for ${successes} of ${trials} at ${confidence}`, () => {
      const interval = exactInterval(successes, trials, confidence);
      expect(interval.low).to.be.closeTo(low, 0.00001);
      expect(interval.high).to.be.closeTo(high, 0.00001);
    });
  }

  it("stays exact where single terms underflow", () => {
    expect(atMost(1000, 20_000, 0.05)).to.be.closeTo(0.5, 0.02);
    expect(atMost(0, 20_000, 0.5)).to.equal(0);
    const { low, high } = exactInterval(2_000, 20_000, 0.999);
    expect(low).to.be.within(0.092, 0.1);
    expect(high).to.be.within(0.1, 0.108);
  });

  it("contains the observed share, widens with confidence, and mirrors", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0, max: 1, noNaN: true }), (trials, part) => {
        const successes = Math.round(trials * part);
        const narrow = exactInterval(successes, trials, 0.9);
        const wide = exactInterval(successes, trials, 0.999);
        const mirrored = exactInterval(trials - successes, trials, 0.9);
        expect(narrow.low).to.be.at.most(successes / trials);
        expect(narrow.high).to.be.at.least(successes / trials);
        expect(wide.low).to.be.at.most(narrow.low);
        expect(wide.high).to.be.at.least(narrow.high);
        expect(mirrored.low).to.be.closeTo(1 - narrow.high, 1e-9);
      }),
      { numRuns: 100 },
    );
  });

  it("refuses what is no count", () => {
    expect(() => exactInterval(11, 10, 0.95)).to.throw(RangeError, "11 of 10");
    expect(() => exactInterval(1, 0, 0.95)).to.throw(RangeError);
    expect(() => exactInterval(1, 2, 1)).to.throw(RangeError, "confidence 1");
  });
});

describe("verdict on a canary's split", () => {
  const weights = [
    { version: "v1", weight: 90 },
    { version: "v2", weight: 10 },
  ];

  it("takes what chance allows and refuses what it does not", () => {
    expect(judgeSplit({ v1: 905, v2: 95 }, 0, weights).asDeclared).to.equal(true);
    expect(judgeSplit({ v1: 930, v2: 70 }, 0, weights).asDeclared).to.equal(true);
    expect(judgeSplit({ v1: 940, v2: 60 }, 0, weights).asDeclared).to.equal(false);
    expect(judgeSplit({ v1: 500, v2: 500 }, 0, weights).asDeclared).to.equal(false);
  });

  it("lets no failed request and no unknown version pass", () => {
    expect(judgeSplit({ v1: 900, v2: 100 }, 1, weights).asDeclared).to.equal(false);
    const stranger = judgeSplit({ v1: 900, v2: 100, v3: 1 }, 0, weights);
    expect(stranger.asDeclared).to.equal(false);
    expect(stranger.unexpected).to.deep.equal({ v3: 1 });
    expect(judgeSplit({}, 0, weights).asDeclared).to.equal(false);
  });

  it("wants 0 and 100 exactly", () => {
    const reverted = [
      { version: "v1", weight: 100 },
      { version: "v2", weight: 0 },
    ];
    expect(judgeSplit({ v1: 1000 }, 0, reverted).asDeclared).to.equal(true);
    expect(judgeSplit({ v1: 999, v2: 1 }, 0, reverted).asDeclared).to.equal(false);
  });
});
