import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { checkout, EngineProject } from "../support/engine";

describe("a stack file of nonsense, under the real CLI", function () {
  let project: EngineProject;
  before(async () => {
    const program = `module.exports = require(${JSON.stringify(path.join(checkout, "bin/program.cjs"))});`;
    project = new EngineProject({ name: "kvmesh", program });
    await project.run(["stack", "init", project.stack]);
  });
  after(() => {
    project.dispose();
  });

  for (const [what, text, expected] of [
    ["no YAML", "config: [1,\n", /invalid YAML file/],
    ["a text", "kvmesh:pools\n", /expected project to be an object/],
    ["a number for its configuration", "config: 5\n", /invalid YAML file/],
    ["a number for its pools", "config:\n  kvmesh:pools: 5\n", /pools: found "?5"?; give a map/],
    [
      "a list of hosts, an unknown key",
      "config:\n  kvmesh:hosts: [a]\n  kvmesh:poools: {}\n",
      /poools: no such key.*Did you mean "?pools/,
    ],
    ["nothing", "", /2 problems in the configuration[^]*pools: missing/],
  ] as const) {
    it(`${what}: a preview says so, without a stack trace`, async () => {
      fs.writeFileSync(path.join(project.folder, `Pulumi.${project.stack}.yaml`), text);
      const result = await project.preview();
      expect(result.code).not.to.equal(0);
      expect(result.text).to.match(expected);
      expect(result.text, "a stack trace").not.to.match(/\n\s+at .+:\d+/);
      expect(result.text).not.to.contain("a fault of kvmesh");
    });
  }
});

describe("a mistake of ours, under the real CLI", () => {
  const program = (when: string): string => `
    require(${JSON.stringify(path.join(checkout, "bin/lean-sdk.cjs"))});
    const broken = () => undefined.x;
    ${when === "later" ? "pulumi.output(1).apply(broken)" : "broken()"};`;

  for (const when of ["at once", "later"]) {
    it(`${when}: is one line; KVMESH_DEBUG=1 shows where`, async () => {
      const project = new EngineProject({ program: program(when) });
      try {
        await project.run(["stack", "init", project.stack]);
        const result = await project.preview();
        expect(result.code).not.to.equal(0);
        expect(result.text).to.contain("Cannot read properties of undefined");
        expect(result.text, "a stack trace").not.to.match(/\n\s+at .+:\d+/);
        const shown = await project.preview({ env: { ...project.env, KVMESH_DEBUG: "1" } });
        expect(shown.text).to.match(/\n\s+at .*index\.js:\d+/);
      } finally {
        project.dispose();
      }
    });
  }
});
