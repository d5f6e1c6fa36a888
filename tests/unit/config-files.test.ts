import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { parseStack, type Problem } from "../../config";
import { withKeyTables } from "../../config/key-tables";
import { stackFileSchema } from "../../config/stack-file-schema";
import { type Tree } from "../support/stack";

const checkout = path.resolve(__dirname, "../../..");
const read = (file: string) => fs.readFileSync(path.join(checkout, file), "utf8");

/** Stack files as their authors wrote them: in the checkout and in the documentation. */
function stackFiles(): readonly [string, string][] {
  const example = /```yaml stack\n([\s\S]*?)```/.exec(read("docs/configuration.md"))![1]!;
  return [
    ["Pulumi.prod.yaml", read("Pulumi.prod.yaml")],
    ["Pulumi.staging.yaml", read("Pulumi.staging.yaml")],
    ["docs/configuration.md", example],
  ];
}

describe("stack files", () => {
  for (const [name, text] of stackFiles()) {
    it(`${name} is valid, without a warning`, () => {
      const config = (parse(text) as { config: Tree }).config;
      const keys = Object.entries(config).map(([key, value]) => [key.replace(/^kvmesh:/, ""), value]);
      const warnings: Problem[] = [];
      const spec = parseStack(Object.fromEntries(keys) as Tree, {
        stack: "example",
        readFacts: (file) => JSON.parse(read(file)) as unknown,
        warn: (warning) => warnings.push(warning),
      });
      expect(spec.pools.length).to.be.greaterThan(0);
      expect(warnings).to.deep.equal([]);
    });
  }
});

describe("config/schema.json", () => {
  it("is what the parser reads with (npm run schema)", () => {
    expect(JSON.parse(read("config/schema.json"))).to.deep.equal(JSON.parse(JSON.stringify(stackFileSchema())));
  });

  it("and so are the key tables of docs/configuration.md", () => {
    const docs = read("docs/configuration.md");
    expect(docs).to.equal(withKeyTables(docs));
  });

  it("every key of it is in docs/configuration.md", () => {
    const docs = read("docs/configuration.md");
    const keys = new Set<string>();
    const walk = (node: unknown): void => {
      if (typeof node !== "object" || node === null) return;
      const { properties, ...rest } = node as { properties?: Tree };
      for (const key of Object.keys(properties ?? {})) keys.add(key);
      Object.values(properties ?? {}).forEach(walk);
      Object.values(rest).forEach(walk);
    };
    walk(stackFileSchema());
    const missing = [...keys].map((key) => key.replace(/^kvmesh:/, "")).filter((key) => !docs.includes(key));
    expect(missing).to.deep.equal([]);
  });
});
