import { expect } from "chai";
import { parseOptions } from "../../tools/quickstart/options";
import { Phases, seconds } from "../../tools/quickstart/phases";

describe("quickstart options", () => {
  it("brings everything up, asking first, when nothing is said", () => {
    expect(parseOptions([])).to.deep.equal({ action: "up", canary: undefined, yes: false });
  });
  it("takes a share in both spellings", () => {
    expect(parseOptions(["--canary", "0"]).canary).to.equal(0);
    expect(parseOptions(["--canary=50", "-y"])).to.include({ canary: 50, yes: true });
  });
  for (const bad of [["--canary"], ["--canary", "101"], ["--canary", "-1"], ["--canary", "ten"], ["--canary=1.5"]]) {
    it(`refuses ${bad.join(" ")}, saying what was found`, () => {
      expect(() => parseOptions(bad)).to.throw("whole number from 0 to 100");
    });
  }
  it("refuses an unknown option and shows the usage", () => {
    expect(() => parseOptions(["--destory"])).to.throw(/unknown option "--destory"[\s\S]*npm run quickstart/);
  });
  it("refuses a share together with destroy", () => {
    expect(() => parseOptions(["--destroy", "--canary", "5"])).to.throw("don't go together");
  });
});

describe("quickstart phases", () => {
  it("keeps the time of a phase that fails, and sums up", async () => {
    let clock = 0;
    const phases = new Phases(
      () => undefined,
      () => clock,
    );
    await phases.run("toolchain", async () => Promise.resolve((clock += 4_000)));
    let caught: unknown;
    await phases
      .run("site", async () => {
        clock += 130_000;
        return Promise.reject(new Error("no root"));
      })
      .catch((error: unknown) => (caught = error));
    expect(caught).to.be.an("error");
    expect(phases.table()).to.deep.equal(["toolchain     4.0 s", "site       2 m 10 s", "total      2 m 14 s"]);
  });
  it("writes short times with a decimal and long ones in minutes", () => {
    expect([seconds(420), seconds(12_400), seconds(119_700), seconds(125_000)]).to.deep.equal([
      "0.4 s",
      "12 s",
      "2 m 00 s",
      "2 m 05 s",
    ]);
  });
});
