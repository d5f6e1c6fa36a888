import { expect } from "chai";
import * as fc from "fast-check";
import { judge, type Diagnosis } from "../../tools/doctor/judge";
import type { Look } from "../../tools/doctor/look";
import { defaultRoutes } from "../../tools/doctor/network";
import { parseMounts, type Place } from "../../tools/doctor/places";
import type { PlannedTool } from "../../tools/doctor/plan";
import { conclusion, diagnosisText, wrap } from "../../tools/doctor/text";
import { kinds } from "../../tools/site";

const GIB = 2 ** 30;

const place = (name: Place["name"], changes: Partial<Place> = {}): Place => ({
  name,
  path: `/home/ops/${name}`,
  problem: undefined,
  freeBytes: 100 * GIB,
  freeInodes: 1e6,
  device: 1,
  fileSystem: "ext4",
  options: ["rw"],
  ...changes,
});

const machine: Look["machine"] = {
  platform: "linux",
  arch: "x64",
  uid: 0,
  hasApt: true,
  hasNamespaces: true,
  memoryBytes: 24 * GIB,
  cpus: 2,
};

/** A machine where all is well and everything is in the cache. */
const well: Look = {
  machine,
  availableBytes: 20 * GIB,
  sudo: "root",
  kind: "emulated",
  kinds: kinds(machine, false),
  site: undefined,
  places: [place("cache"), place("data"), place("checkout")],
  overlay: undefined,
  routes: { v4: true, v6: false },
  reached: [],
  plan: { tools: [], roots: [] },
  packages: new Map(),
  hasGo: true,
  hasGit: true,
  hasPython: true,
  networkProblem: undefined,
  servers: [],
  other: undefined,
};

const kubelet: PlannedTool = {
  name: "kubelet",
  version: "1.36.3",
  from: "missing",
  ways: ["releases", "go"],
  release: "https://releases.example/kubelet",
};

const stops = ({ checks }: Diagnosis): string[] =>
  checks.filter(({ verdict }) => verdict === "fail").map(({ name }) => name);
const next = ({ checks }: Diagnosis, name: string): string => checks.find((check) => check.name === name)?.next ?? "";

describe("npm run doctor, its verdict", () => {
  it("finds nothing in the way of a machine where all is well", () => {
    const diagnosis = judge(well);
    expect(stops(diagnosis)).to.deep.equal([]);
    expect(conclusion(diagnosis)).to.match(/^`npm run quickstart` makes a cluster.*every tool is here, about \d+ min/);
  });

  it("takes a download where its own host answers, a build where only modules do, and counts the time", () => {
    const reached = (releases: boolean, go: boolean): Look["reached"] => [
      { origin: "releases", asked: "releases.example", answers: releases },
      { origin: "releases", asked: "other.example", answers: true },
      { origin: "go", asked: "modules.example", answers: go },
    ];
    const of = (releases: boolean, go: boolean, hasGo = true): Diagnosis =>
      judge({ ...well, hasGo, plan: { tools: [kubelet], roots: [] }, reached: reached(releases, go) });
    expect(of(true, true).tools).to.deep.include({ name: "kubelet", version: "1.36.3", how: "download", seconds: 5 });
    const built = of(false, true);
    expect(built.tools[0]).to.include({ how: "build" });
    expect(built.seconds).to.be.greaterThan(of(true, true).seconds + 60);
    expect(stops(of(false, false))).to.deep.equal(["tools"]);
    expect(next(of(false, true, false), "tools")).to.match(/^install Go/);
  });

  it("more cores build sooner", () => {
    const of = (cpus: number): number =>
      judge({
        ...well,
        machine: { ...machine, cpus },
        plan: { tools: [kubelet], roots: [] },
        reached: [{ origin: "go", asked: "modules.example", answers: true }],
      }).tools[0]!.seconds;
    expect(of(1)).to.equal(2 * of(2));
    expect(of(4)).to.equal(of(2) / 2);
    expect(of(64)).to.equal(of(8));
  });

  it("adds up what one file system has to hold, and names what else may be put elsewhere", () => {
    const roots = { tools: [], roots: ["host", "node-debian"] };
    const split = [place("cache", { device: 1, freeBytes: 9 * GIB }), place("data", { device: 2, freeBytes: 9 * GIB })];
    expect(
      stops(judge({ ...well, places: split, plan: roots, reached: [{ origin: "debian", asked: "d", answers: true }] })),
    ).to.deep.equal([]);
    const shared = split.map((one) => ({ ...one, device: 1 }));
    const full = judge({
      ...well,
      places: shared,
      plan: roots,
      reached: [{ origin: "debian", asked: "d", answers: true }],
    });
    expect(stops(full)).to.deep.equal(["disk"]);
    expect(next(full, "disk")).to.match(/^about 13 GiB are needed.*KVMESH_CACHE/);
  });

  it("memory: less than wanted is a warning, less than half of it stops", () => {
    const of = (gib: number) =>
      judge({ ...well, availableBytes: gib * GIB }).checks.find(({ name }) => name === "memory");
    expect([of(5)?.verdict, of(3)?.verdict, of(1)?.verdict]).to.deep.equal(["ok", "warn", "fail"]);
  });

  it("needs no mirror where no root and no package is missing", () => {
    const closed: Look = { ...well, packages: new Map([["mmdebstrap", ["makes Debian roots"]]]) };
    expect(stops(judge(closed))).to.deep.equal(["packages"]);
    expect(stops(judge({ ...closed, packages: new Map() }))).to.deep.equal([]);
  });

  it("every line keeps to the width, whatever it says", () => {
    const noisy: Look = {
      ...well,
      overlay: "mount: /home/ops/data: wrong fs type, bad option, bad superblock on overlay",
      servers: ["Docker", "kubelet"],
      networkProblem: "every network from 10.89.0.0/24 to 10.89.99.0/24 is in use on this computer",
      other: { pid: 7, since: "2026-11-28T16:00:00Z" },
    };
    for (const width of [80, 120]) {
      for (const line of diagnosisText(judge(noisy), width)) expect(line.length, line).to.be.at.most(width);
    }
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, maxLength: 12 })),
        fc.integer({ min: 12, max: 60 }),
        (words, width) => {
          const text = words.map((word) => word.replace(/\s/g, "_")).join(" ");
          const lines = wrap(text, width);
          expect(lines.join(" ")).to.equal(text);
          expect(lines.every((line) => line.length <= width)).to.equal(true);
        },
      ),
    );
  });
});

describe("npm run doctor, what it reads", () => {
  it("knows a default route from one that rejects", () => {
    const of = (v4: string, v6: string) => defaultRoutes((file) => (file.endsWith("ipv6_route") ? v6 : v4));
    const head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    const route = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    const link = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const zeros = "0".repeat(32);
    const rejecting = `${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200       lo\n`;
    const real = `${zeros} 00 ${zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n`;
    expect(of(head + link, rejecting)).to.deep.equal({ v4: false, v6: false });
    expect(of(head + link + route, real)).to.deep.equal({ v4: true, v6: true });
    expect(of("", "")).to.deep.equal({ v4: false, v6: false });
  });

  it("reads mounts with blanks in their names and optional fields of any number", () => {
    const text =
      "36 35 98:0 / /mnt/a\\040b rw,noexec,nodev shared:1 master:2 - ext4 /dev/sda rw\n36 35 0:4 / / rw - overlay overlay rw\nnonsense\n";
    expect(parseMounts(text)).to.deep.equal([
      { at: "/mnt/a b", fileSystem: "ext4", options: ["rw", "noexec", "nodev"] },
      { at: "/", fileSystem: "overlay", options: ["rw"] },
    ]);
  });
});
