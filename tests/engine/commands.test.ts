import { expect } from "chai";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { exitCodes } from "../../command/exit-codes";
import { checkoutRoot } from "../../tools/toolchain/cache";
import { ended, expectNoTrace, programs, runScript, type Ended } from "../support/command";

describe("every command", function () {
  // Two dozen processes that load much before they say little.
  this.slow(5_000);

  for (const name of programs().keys()) {
    // `npm run lab` is `npm test` with an option.
    it(`npm run ${name}: names an unknown option, and shows its help`, async () => {
      const [wrong, help] = await Promise.all([runScript(name, ["--nonsense"]), runScript(name, ["--help"])]);
      expectNoTrace(wrong);
      expect(wrong.code, wrong.stderr).to.equal(exitCodes.usage);
      expect(wrong.stderr)
        .to.contain("unknown option '--nonsense'")
        .and.match(/`(npm|node) .*--help` shows/);
      expect(wrong.stdout).to.equal("");
      expect(help.code, help.stderr).to.equal(exitCodes.done);
      expect(help.stderr).to.equal("");
      expect(help.stdout)
        .to.match(/^Usage: npm/)
        .and.contain("-h, --help")
        .and.contain("Example: npm")
        .and.contain("Exit code 2");
    });
  }

  for (const [line, expected] of [
    ["quickstart --destory", "did you mean --destroy?"],
    ["quickstart --canary 101", "--canary takes a whole number from 0 to 100"],
    ["quickstart --destroy --canary 5", "don't go together"],
    ["quickstart prod", "too many arguments"],
    ["env prod", "too many arguments"],
    ["schema prod", "too many arguments"],
    ["test unti", "no level unti; there are lint"],
    ["test --gerp x", "did you mean --grep?"],
    ["adopt --stak prod osl1-a db", "did you mean --stack?"],
    ["adopt --stack prod osl1-a", "missing required argument 'MACHINE'"],
    ["adopt osl1-a db", "--stack NAME is missing"],
    ["adopt --stack nowhere osl1-a db", "there is no Pulumi.nowhere.yaml"],
    ["adopt --stack prod nohost db", "has no host nohost; it has "],
    ["facts --chek", "did you mean --check?"],
    ["facts --stack nowhere", "there is no Pulumi.nowhere.yaml"],
    ["facts --stack prod nohost", "does not have nohost"],
    ["capacity --stack nowhere", "there is no Pulumi.nowhere.yaml"],
    ["capacity --stack prod --state README.md", "the state is no JSON"],
    ["capacity --stack prod --state /nowhere", "the state can't be read"],
    ["evidence", "missing required argument 'STACK'"],
    ["evidence prod --file /nowhere", "/nowhere is not there"],
    ["evidence prod --file README.md", "the state is no JSON"],
    ["evidence prod --file package.json", "the state is not as Pulumi writes it, at deployment"],
    ["report --stack prod preview", "`--` in front of what to run is missing"],
    ["report --stack prod -- preveiw", "can run preview, up, analyze"],
    ["report -- preview", "--stack is missing"],
    ["measure", "say what is to be done"],
    ["measure canry", "did you mean canary?"],
    ["measure canary", "--weights SHARES is missing"],
    ["measure canary --weights v1=90,v2=20", "sums to 110, not 100"],
    ["measure canary --weights v1=100 --requests none", '"none" is no whole number'],
    ["measure canary --weights v1=100", "say --kubeconfig, or set KUBECONFIG"],
    ["measure canary --weights v1=100 --kubeconfig /nowhere", "/nowhere"],
    ["measure canary --weights v1=100 --url nonsense", '"nonsense" is no URL'],
  ] as const) {
    it(`npm run ${line}: says what is wrong`, async () => {
      const [name = "", ...args] = line.split(" ");
      const result = await runScript(name, args, { env: { ...process.env, KUBECONFIG: "" } });
      expectNoTrace(result);
      expect(result.stderr)
        .to.match(/^kvmesh: /m)
        .and.contain(expected);
      expect([exitCodes.usage, exitCodes.failed], result.stderr).to.include(result.code);
    });
  }
});

describe("a stack file", () => {
  const name = `nonsense-${process.pid}`;
  const file = path.join(checkoutRoot(), `Pulumi.${name}.yaml`);
  after(() => {
    fs.rmSync(file, { force: true });
  });

  for (const [what, text, expected] of [
    ["that is no YAML", "config:\n  kvmesh:hosts: [1,\n", `${path.basename(file)}, line 3, column 1: no YAML`],
    ["that is a list", "- a\n", "found a list"],
    ["that is a text", "config", 'found the string "config"'],
    ["of zeros", "\0\0\0", path.basename(file)],
    ["with nonsense for its hosts", "config:\n  kvmesh:hosts: 5\n", path.basename(file)],
  ] as const) {
    it(`${what} is named by every command that reads one`, async () => {
      fs.writeFileSync(file, text);
      const runs = [
        runScript("facts", ["--stack", name]),
        runScript("capacity", ["--stack", name, "--state", "none"]),
        runScript("adopt", ["--stack", name, "host", "db"]),
      ];
      for (const { code, stdout, stderr } of await Promise.all(runs)) {
        expectNoTrace({ code, stdout, stderr });
        expect(code, stderr).to.equal(exitCodes.usage);
        const known = [expected, "problems in", "problem in"].some((words) => stderr.includes(words));
        expect(known, stderr).to.equal(true);
      }
    });
  }
});

describe("an error that nobody has foreseen", () => {
  const program = `
    require(${JSON.stringify(path.resolve(__dirname, "../../command/end.js"))}).runCommand(() => {
      if (process.argv[2] === "later") setTimeout(() => undefined.x, 1);
      else if (process.argv[2] === "promise") void Promise.reject(new Error("outer", { cause: new Error("inner") }));
      else if (process.argv[2] === "string") throw "text";
      else undefined.x;
      return new Promise((resolve) => setTimeout(resolve, 50, 0));
    });`;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-ending-"));
  const file = path.join(folder, "program.js");
  before(() => {
    fs.writeFileSync(file, program);
  });
  after(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });
  const run = (how: string, debug: string): Promise<Ended> =>
    ended([process.execPath, file, how], { env: { ...process.env, KVMESH_DEBUG: debug } });

  for (const how of ["at once", "later", "string"]) {
    it(`thrown ${how}: is said to be our fault, with the way to its trace`, async () => {
      const { code, stderr } = await run(how, "");
      expect(code).to.equal(exitCodes.fault);
      expect(stderr)
        .to.match(/^kvmesh: a fault of kvmesh itself: /)
        .and.contain("KVMESH_DEBUG=1");
      expect(stderr).not.to.match(/\n\s+at /);
    });
  }

  it("KVMESH_DEBUG=1 shows the trace, and those of its causes", async () => {
    expect((await run("later", "1")).stderr).to.match(/\n\s+at .*program\.js/);
    expect((await run("promise", "1")).stderr).to.match(
      /^kvmesh: outer\nError: outer\n\s+at [^]*caused by: Error: inner\n\s+at /,
    );
  });
});

describe("the table of exit codes", () => {
  it("in docs/commands.md has every code, and no other", () => {
    const text = fs.readFileSync(path.join(checkoutRoot(), "docs/commands.md"), "utf8");
    const codes = [...text.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
    expect(codes).to.deep.equal(Object.values(exitCodes));
  });
});
