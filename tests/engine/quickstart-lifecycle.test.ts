import { expect } from "chai";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { exitCodes } from "../../command/exit-codes";
import { startedOn } from "../../tools/quickstart/processes";
import { releaseStateLock } from "../../tools/quickstart/state-lock";

const compiled = (file: string): string => JSON.stringify(path.resolve(__dirname, "../..", file));

/** A run whose work starts a process that starts another, and waits. */
const PROGRAM = `
  const { spawn } = require("node:child_process");
  const fs = require("node:fs"), os = require("node:os"), path = require("node:path");
  const { runCommand } = require(${compiled("command/end.js")});
  const { asRun } = require(${compiled("tools/quickstart/lifecycle.js")});
  const [data, checkout, wait] = process.argv.slice(1);
  runCommand(() => asRun("up", { checkout, data }, console.log, async () => {
    fs.writeFileSync(path.join(os.tmpdir(), "left"), "");
    if (wait !== "wait") return 0;
    fs.mkdirSync(path.join(data, "state"));
    const child = spawn("sh", ["-c", "trap '' TERM; sleep 300 & wait"], { stdio: "ignore" });
    console.log("working " + child.pid);
    await new Promise((_, reject) => child.on("exit", () => setTimeout(reject, 10, new Error("the work was cut off"))));
  }));`;

describe("a run of the quickstart", function () {
  this.timeout(60_000);
  let folder: string;
  let data: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-lifecycle-"));
    data = path.join(folder, "data");
  });
  afterEach(() => {
    for (const { pid } of startedOn(data)) process.kill(pid, "SIGKILL");
    fs.rmSync(folder, { recursive: true, force: true });
  });

  interface Run {
    readonly process: ChildProcess;
    readonly said: () => string;
  }

  async function start(...args: string[]): Promise<Run> {
    const child = spawn(process.execPath, ["-e", PROGRAM, data, folder, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (part: string) => (text += part));
    while (args[0] === "wait" && !text.includes("working") && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { process: child, said: () => text };
  }

  const end = async ({ process: child }: Run): Promise<number | null> =>
    child.exitCode ?? ((await once(child, "close")) as [number | null])[0];

  it("that was killed leaves processes: the next one ends them, and those of no other folder", async () => {
    const other = spawn("sleep", ["300"], {
      env: { ...process.env, KVMESH_QUICKSTART: `${data}-other` },
      stdio: "ignore",
    });
    try {
      const killed = await start("wait");
      killed.process.kill("SIGKILL");
      await end(killed);
      expect(startedOn(data).map(({ name }) => name)).to.include.members(["sh", "sleep"]);
      const following = await start();
      expect(await end(following), following.said()).to.equal(0);
      expect(following.said()).to.match(/an earlier quickstart was killed: ending what still runs of it: .*sleep/);
      expect(startedOn(data)).to.deep.equal([]);
      expect(startedOn(`${data}-other`)).to.have.length(1);
      expect(fs.readdirSync(data)).to.deep.equal(["state"]);
    } finally {
      other.kill("SIGKILL");
    }
  });

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it(`${signal}: ends what it started, and says what stays`, async () => {
      const run = await start("wait");
      run.process.kill(signal);
      expect(await end(run), run.said()).to.equal(exitCodes.interrupted);
      expect(startedOn(data)).to.deep.equal([]);
      expect(run.said()).to.contain("stopping; once more ends this at once");
      expect(run.said()).to.match(
        /kvmesh: stopped\. `npm run quickstart` goes on.*--destroy` removes what stays:\n {2}the stack's state/,
      );
      expect(run.said()).not.to.contain("the work was cut off");
      expect(fs.readdirSync(data)).to.deep.equal(["state"]);
    });
  }

  it("Pulumi's lock of a killed run is taken away, a half-written one too; one of a living Pulumi is not", () => {
    const locks = path.join(data, "state/.pulumi/locks/organization/kvmesh/local");
    const file = path.join(locks, "a.json");
    fs.mkdirSync(locks, { recursive: true });
    for (const dead of [JSON.stringify({ pid: process.pid, timestamp: "t" }), '{ "pid": 1']) {
      fs.writeFileSync(file, dead);
      releaseStateLock(data);
      expect(fs.existsSync(file)).to.equal(false);
    }
    const pulumi = path.join(folder, "pulumi");
    fs.copyFileSync("/bin/sleep", pulumi);
    fs.chmodSync(pulumi, 0o755);
    const alive = spawn(pulumi, ["60"], { stdio: "ignore" });
    try {
      fs.writeFileSync(file, JSON.stringify({ pid: alive.pid, timestamp: "2026-11-28T16:00:00Z" }));
      expect(() => releaseStateLock(data)).to.throw(`Pulumi (process ${alive.pid}, since 2026-11-28T16:00:00Z)`);
      expect(fs.existsSync(file)).to.equal(true);
    } finally {
      alive.kill("SIGKILL");
    }
  });
});
