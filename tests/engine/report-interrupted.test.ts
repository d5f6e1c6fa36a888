import { expect } from "chai";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { EXIT } from "../../report/conclusion";
import { checkout, EngineProject } from "../support/engine";

/** Declares a namespace that is judged, then waits as a slow program would. */
const SLOW = `
class Namespace extends pulumi.ComponentResource {
  constructor(name) { super("kubernetes:core/v1:Namespace", name, { metadata: { name } }); }
}
new Namespace("shop");
require("fs").writeFileSync("begun", "");
setTimeout(() => {}, 120_000);
`;

describe("a report of a run that is ended in its middle, with the real CLI", function () {
  let project: EngineProject;

  beforeEach(async () => {
    project = new EngineProject({ program: SLOW, config: { "kvmesh:environment": "production" } });
    await project.run(["stack", "init", project.stack]);
  });
  afterEach(() => {
    project.dispose();
  });

  const report = (extension: string): string =>
    fs.readFileSync(path.join(project.folder, ".kvmesh/reports", `test-preview.${extension}`), "utf8");

  /** Runs the command until the program has begun, and does this to it then. */
  const interrupted = async (act: (command: ChildProcess) => void): Promise<number | null> => {
    const command = spawn(
      process.execPath,
      [
        ...[path.join(checkout, "dist/report/cli.js"), "--stack", project.stack, "--cwd", project.folder],
        ...["--", "preview", "--non-interactive", "--color=never"],
      ],
      { cwd: checkout, env: project.env, detached: true, stdio: "ignore" },
    );
    const begun = path.join(project.folder, "begun");
    for (let tries = 0; !fs.existsSync(begun) && tries < 600; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(fs.existsSync(begun), "the program was begun").to.equal(true);
    const ended = once(command, "close") as Promise<[number | null]>;
    act(command);
    const [code] = await ended;
    endLeftovers(project.folder);
    return code;
  };

  const expectBroken = (reason: RegExp): void => {
    expect(report("md").split("\n")[0]).to.match(/^## ⛔ No verdict/);
    expect(report("md").split("\n")[2]).to.match(reason);
    expect(report("html")).to.include('class="verdict broken"');
  };

  it("says that Pulumi was killed", async () => {
    expect(await interrupted((command) => process.kill(pulumiOf(command), "SIGKILL"))).to.equal(EXIT.broken);
    expectBroken(/SIGKILL killed Pulumi/);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`says that it was interrupted (${signal})`, async () => {
      expect(await interrupted((command) => process.kill(command.pid!, signal))).to.equal(EXIT.broken);
      expectBroken(new RegExp(`interrupted.*${signal}|killed Pulumi`));
    });
  }

  it("leaves a report that is not of an older run when it is killed itself", async () => {
    await interrupted((command) => process.kill(-command.pid!, "SIGKILL"));
    expectBroken(/has not ended, or was killed/);
  });
});

/** The CLI that a command has started. */
function pulumiOf(command: ChildProcess): number {
  const found = processes().find(({ parent, words }) => parent === command.pid && words.includes("--event-log"));
  if (!found) throw new Error("there is no running Pulumi");
  return found.pid;
}

/** What a killed CLI leaves: the language host, the program, the policy pack. */
function endLeftovers(folder: string): void {
  for (const { pid } of processes()) {
    try {
      if (fs.readFileSync(`/proc/${pid}/environ`, "utf8").includes(`file://${folder}`)) process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

function processes(): { readonly pid: number; readonly parent: number; readonly words: readonly string[] }[] {
  return fs.readdirSync("/proc").flatMap((entry) => {
    try {
      if (!/^\d+$/.test(entry)) return [];
      const parent = Number(fs.readFileSync(`/proc/${entry}/stat`, "utf8").split(") ").at(-1)!.split(" ")[1]);
      return [{ pid: Number(entry), parent, words: fs.readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0") }];
    } catch {
      return []; // It has ended meanwhile.
    }
  });
}
