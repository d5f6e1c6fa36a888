import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";

const folder = path.resolve(__dirname, "../../../examples/pull-requests/github");

interface Workflow {
  readonly permissions: object;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly permissions?: Readonly<Record<string, string>>;
        readonly steps: readonly { readonly uses?: string; readonly run?: string; readonly with?: object }[];
      }
    >
  >;
}

const read = (file: string): Workflow => parse(fs.readFileSync(path.join(folder, file), "utf8")) as Workflow;

describe("workflows for pull requests", () => {
  for (const file of fs.readdirSync(folder)) {
    it(`${file} pins every action by its commit, and names the version`, () => {
      const lines = fs.readFileSync(path.join(folder, file), "utf8").split("\n");
      const uses = lines.filter((line) => /^\s*(- )?uses:/.test(line));
      expect(uses).to.not.be.empty;
      for (const line of uses) expect(line).to.match(/uses: [\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    });

    it(`${file} grants nothing as a whole, and puts no text of a pull request into a script`, () => {
      const { permissions, jobs } = read(file);
      expect(permissions).to.deep.equal({});
      for (const { steps } of Object.values(jobs)) for (const { run = "" } of steps) expect(run).to.not.include("${{");
    });
  }

  it("what runs a pull request's code can only read", () => {
    for (const job of Object.values(read("kvmesh-preview.yml").jobs)) {
      expect(job.permissions).to.deep.equal({ contents: "read" });
      const checkout = job.steps.find(({ uses }) => uses?.startsWith("actions/checkout@"));
      expect(checkout?.with).to.include({ "persist-credentials": false });
    }
  });

  it("what may write runs no code of a pull request", () => {
    for (const { steps } of Object.values(read("kvmesh-comment.yml").jobs))
      for (const { uses = "", run = "" } of steps) {
        expect(uses).to.not.include("actions/checkout");
        expect(run).to.not.match(/\bnpm\b|\bnode\b|judge\.sh/);
      }
  });
});
