import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import type { ForeignMachine, HostFacts } from "../../config/facts";
import { ConfigError, parseStack, refuseUnfitProduction } from "../../config";

const checkout = path.resolve(__dirname, "../../..");
const read = (file: string): string => fs.readFileSync(path.join(checkout, file), "utf8");

/** Paths that production refuses, of the example stack file changed by `change`. */
function refused(change: (text: string) => string, foreign: readonly ForeignMachine[] = []): readonly string[] {
  const text = change(read("Pulumi.prod.yaml"));
  const { config } = parse(text) as { config: Record<string, unknown> };
  const raw = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace("kvmesh:", ""), value]));
  const readFacts = (file: string): unknown => {
    const facts = JSON.parse(read(file)) as HostFacts;
    return file === "facts/osl1-a.json" ? { ...facts, foreign } : facts;
  };
  const spec = parseStack(raw, { stack: "prod", readFacts });
  try {
    refuseUnfitProduction(spec, "prod");
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((one) => one.path);
    throw error;
  }
}

describe("what production refuses on up, whatever the policies", () => {
  it("nothing of the example", () => {
    expect(refused((text) => text)).to.deep.equal([]);
  });

  it("emulation, shared and few vCPUs, an unsafe control plane and the demo profile", () => {
    const replace = (from: string, to: string) => (text: string) => {
      expect(text).to.include(from);
      return text.replace(from, to);
    };
    expect(refused(replace("role: worker", "role: worker\n      cpu: shared"))).to.deep.equal(["pools.worker.cpu"]);
    expect(refused(replace("vcpus: 4", "vcpus: 2"))).to.deep.equal(["pools.control.vcpus"]);
    expect(refused(replace("count: 3", "count: 2"))).to.deep.equal(["pools"]);
    expect(refused(replace("hugepages: 1GiB", "hugepages: 1GiB\n      accelerator: qemu"))).to.deep.equal([
      "hosts.osl1-a.accelerator",
    ]);
    expect(refused(replace("version: 1.31.4", "version: 1.31.4\n    profile: demo"))).to.deep.equal(["mesh.profile"]);
  });

  it("a machine of others that floats over a host's CPUs, unless it is allowed by its name", () => {
    const uuid = "0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e";
    const legacy = { name: "legacy", uuid, vcpus: 4, cpus: [], floating: 4, memoryBytes: 2 ** 30, nodes: [] };
    const allow = (text: string) => text.replace("hugepages: 1GiB", "hugepages: 1GiB\n      tolerate: [legacy]");
    expect(refused((text) => text, [legacy])).to.deep.equal(["hosts.osl1-a.facts"]);
    expect(refused((text) => text, [{ ...legacy, cpus: [9], floating: 0 }])).to.deep.equal([]);
    expect(refused(allow, [legacy])).to.deep.equal([]);
    expect(refused(allow, [legacy, { ...legacy, name: "other" }])).to.deep.equal(["hosts.osl1-a.facts"]);
  });

  it("none of it in staging", () => {
    expect(
      refused((text) =>
        text.replace("environment: production", "environment: staging").replace("vcpus: 4", "vcpus: 2"),
      ),
    ).to.deep.equal([]);
  });
});
