import * as fs from "node:fs";
import * as path from "node:path";
import { expect } from "chai";
import { parse } from "yaml";
import {
  compareVersions,
  istioCharts,
  kubeadmImages,
  maintainedMinors,
  minorOf,
  pairProblem,
  staleness,
  supportProblem,
  versionData,
} from "../../rules/versions";
import { checkoutRoot } from "../../tools/toolchain/cache";
import { versions, versionsWith } from "../../tools/toolchain/versions";

interface Part {
  readonly source?: readonly string[];
  readonly minors?: Readonly<Record<string, { released: string; endOfLife?: string; latest: string }>>;
}

const file = path.join(checkoutRoot(), "rules/versions.json");
const { sources, ...data } = JSON.parse(fs.readFileSync(file, "utf8")) as { sources: Record<string, string> };
const parts = Object.entries(data as Readonly<Record<string, Part>>).filter(
  ([name]) => !["asOf", "warnAfterDays", "run", "runNotes"].includes(name),
);

describe("the file of versions", () => {
  it("says where each part is from", () => {
    for (const [name, part] of parts) {
      expect(part.source, name).to.be.an("array").that.is.not.empty;
      for (const source of part.source!) expect(sources, `${name}: ${source}`).to.have.property(source);
    }
  });

  it("has days that are days, minors in order, and a latest patch of the very minor", () => {
    for (const [name, part] of parts) {
      const minors = Object.entries(part.minors ?? {});
      for (const [minor, { released, endOfLife, latest }] of minors) {
        for (const day of [released, endOfLife].filter((text) => text !== undefined)) {
          expect(new Date(day).toISOString().slice(0, 10), `${name} ${minor}`).to.equal(day);
        }
        expect(minorOf(latest), `${name} ${minor}`).to.equal(minor);
      }
      const names = minors.map(([minor]) => minor);
      expect(names, name).to.deep.equal([...names].sort(compareVersions));
    }
  });

  it("runs a supported pair in the quickstart, whose kubeadm it knows", () => {
    expect(pairProblem(versions.kubernetes, versions.istio)).to.equal(undefined);
    expect(kubeadmImages(versions.kubernetes).etcd).to.equal(versions.etcdImage);
    expect(versions.etcdImage).to.match(new RegExp(`^${versions.etcd.replaceAll(".", "\\.")}-\\d+$`));
  });

  it("has versions that go with another Kubernetes, for upgrades in the lab", () => {
    expect(versionsWith("1.34.2")).to.include({ kubernetes: "1.34.2", etcd: "3.6.5", coredns: "1.12.1" });
    expect(versionsWith("1.36.3")).to.include({ etcd: "3.6.8", coredns: "1.14.2", pause: "3.10.2" });
    expect(() => versionsWith("1.20.0")).to.throw("rules/versions.json does not say");
  });

  it("finds what the examples name maintained and free of known holes on its day", () => {
    for (const file of ["Pulumi.prod.yaml", "Pulumi.staging.yaml"]) {
      const { config } = parse(fs.readFileSync(path.join(checkoutRoot(), file), "utf8")) as {
        config: Record<"kvmesh:kubernetes" | "kvmesh:mesh", { version: string }>;
      };
      const [kubernetes, istio] = [config["kvmesh:kubernetes"].version, config["kvmesh:mesh"].version];
      expect(supportProblem("kubernetes", kubernetes, versionData.asOf), file).to.equal(undefined);
      expect(supportProblem("istio", istio, versionData.asOf), file).to.equal(undefined);
      expect(pairProblem(kubernetes, istio), file).to.equal(undefined);
    }
  });
});

describe("support of a version", () => {
  it("depends on the day: the last day counts", () => {
    expect(supportProblem("kubernetes", "v1.34.2", "2026-10-27")).to.equal(undefined);
    expect(supportProblem("kubernetes", "1.34.2", "2026-10-28")).to.include("ended on 2026-10-27");
    expect(maintainedMinors("kubernetes", "2026-11-28")).to.deep.equal(["1.35", "1.36", "1.37"]);
    expect(maintainedMinors("istio", "2026-11-28")).to.deep.equal(["1.30", "1.31"]);
  });

  it("asks for security fixes, by number and not by text", () => {
    expect(supportProblem("istio", "1.30.3", "2026-11-01")).to.include("lacks the security fixes of 1.30.4");
    expect(supportProblem("istio", "1.30.10", "2026-11-01")).to.equal(undefined);
  });

  it("does not refuse the next minor for the file's age, and refuses what nobody released", () => {
    expect(supportProblem("istio", "1.32.0", "2026-11-28")).to.equal(undefined);
    expect(supportProblem("istio", "1.40.0", "2026-11-28")).to.equal("Istio 1.40.0");
    expect(supportProblem("istio", "", "2026-11-28")).to.equal("Istio without a version");
  });

  it("warns of an old file, and only then", () => {
    expect(staleness("2026-11-28")).to.equal(undefined);
    expect(staleness("2027-03-08")).to.equal(undefined);
    expect(staleness("2027-03-09")).to.include("101 days old (2026-11-28)");
    expect(staleness("2020-01-01"), "a clock that is wrong").to.equal(undefined);
  });
});

describe("Istio's charts", () => {
  it("come from the host that publishes that version", () => {
    expect(istioCharts("1.31.0")).to.equal("https://blob.istio.io/istio-release/charts");
    expect(istioCharts("1.32.1")).to.equal("https://blob.istio.io/istio-release/charts");
    expect(istioCharts("1.30.8")).to.equal("https://istio-release.storage.googleapis.com/charts");
    expect(istioCharts("1.9.0")).to.equal("https://istio-release.storage.googleapis.com/charts");
  });
});
