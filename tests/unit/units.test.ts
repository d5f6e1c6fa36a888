import { expect } from "chai";
import * as fc from "fast-check";
import {
  type Bytes,
  cpuSet,
  formatBytes,
  formatCpuSet,
  parseAge,
  parseBytes,
  parseCpuSet,
  parseDuration,
  parsePercent,
} from "../../config/units";
import { contains, expandAddresses, formatIpv4, ipv4, overlap, parseCidr } from "../../config/ipv4";

describe("units", () => {
  it("are read with their unit", () => {
    expect(parseBytes("16GiB")).to.equal(17_179_869_184);
    expect(parseBytes("0B")).to.equal(0);
    expect(parseDuration("90s")).to.equal(90_000);
    expect(parseDuration("250ms")).to.equal(250);
    expect(parsePercent(90)).to.equal(90);
    expect(parsePercent("90%")).to.equal(90);
    expect(parseCpuSet("8,0-3, 2")).to.deep.equal([0, 1, 2, 3, 8]);
    expect(parseCpuSet("none")).to.deep.equal([]);
  });

  const wrong: readonly [string, () => unknown, string][] = [
    ["a decimal unit", () => parseBytes("16GB"), "such as 16GiB"],
    ["no unit", () => parseBytes("16"), "such as 16GiB"],
    ["a fraction of bytes", () => parseBytes("1.5GiB"), "whole number"],
    ["a negative size", () => parseBytes("-1GiB"), "whole number"],
    ["more than a number holds", () => parseBytes("99999999TiB"), "larger than"],
    ["an unknown unit of time", () => parseDuration("5min"), "such as 90s"],
    ["longer than a timer holds", () => parseDuration("700h"), "596h"],
    ["a fraction of a percent", () => parsePercent(1.5), "whole number"],
    ["more than all", () => parsePercent(101), "0 to 100"],
    ["a percentage in words", () => parsePercent("many"), "0 to 100"],
    ["a backward range", () => parseCpuSet("3-0"), "write 0-3"],
    ["an empty list", () => parseCpuSet(""), "0-3,8"],
    ["a CPU that no Linux has", () => parseCpuSet("9000"), "beyond 8191"],
    ["no address", () => expandAddresses("10.0.0"), "IPv4 address"],
    ["a backward address range", () => expandAddresses("10.0.0.9-10.0.0.1"), "backwards"],
    ["an endless address range", () => expandAddresses("10.0.0.0-11.0.0.0"), "65536"],
    ["a host instead of a network", () => parseCidr("10.0.10.5/24"), "10.0.10.0/24"],
    ["a prefix beyond 32", () => parseCidr("10.0.10.0/33"), "IPv4 network"],
  ];
  for (const [what, parse, message] of wrong) {
    it(`refuse ${what} and say what to write`, () => expect(parse).to.throw(message));
  }

  it("come back from their text", () => {
    const check = <T>(values: fc.Arbitrary<T>, roundTrip: (value: T) => unknown, expected: (value: T) => unknown) =>
      fc.assert(fc.property(values, (value) => void expect(roundTrip(value)).to.deep.equal(expected(value))));
    const same = (value: number) => value;
    check(fc.maxSafeNat(), (n) => parseBytes(formatBytes(n as Bytes)), same);
    check(fc.nat(2 ** 31 - 1), (n) => parseDuration(`${n}ms`), same);
    check(fc.array(fc.nat(8191)), (cpus) => parseCpuSet(formatCpuSet(cpus)), cpuSet);
    check(fc.nat(2 ** 32 - 1), (n) => ipv4(formatIpv4(n)), same);
  });

  it("give ages in hours and days, beyond what a timer can wait", () => {
    expect(parseAge("30d")).to.equal(2_592_000_000);
    expect(parseAge("12h")).to.equal(43_200_000);
    for (const text of ["0d", "30", "5m", "1.5d"]) expect(() => parseAge(text), text).to.throw(/h, d, such as 30d/);
  });

  it("are shown in the largest unit that is exact", () => {
    expect(formatBytes(17_179_869_184 as Bytes)).to.equal("16GiB");
    expect(formatBytes(1025 as Bytes)).to.equal("1025B");
    expect(formatCpuSet([8, 0, 1, 2, 3])).to.equal("0-3,8");
  });
});

describe("IPv4", () => {
  it("takes no octet above 255, none with a leading zero, no fifth", () => {
    for (const text of ["256.0.0.1", "10.0.0.01", "10.0.0.1.2", "10.0.0", "a.b.c.d", ""]) {
      expect(ipv4(text), text).to.equal(undefined);
    }
  });

  it("expands ranges over octets", () => {
    expect(expandAddresses("10.0.0.254-10.0.1.1")).to.deep.equal(["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]);
  });

  it("knows what is inside a network and what overlaps", () => {
    const network = parseCidr("10.0.10.0/24");
    expect(contains(network, "10.0.10.255")).to.equal(true);
    expect(contains(network, "10.0.11.0")).to.equal(false);
    expect(overlap(network, parseCidr("10.0.0.0/16"))).to.equal(true);
    expect(overlap(network, parseCidr("10.0.11.0/24"))).to.equal(false);
    expect(overlap(parseCidr("0.0.0.0/0"), network)).to.equal(true);
  });
});
