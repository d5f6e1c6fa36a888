import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { withLock } from "../../../tools/toolchain/lock";

describe("toolchain: withLock", () => {
  let dir: string;
  let file: string;
  const quiet = (): void => undefined;

  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-lock-"));
    file = path.join(dir, "deeper", "x.lock");
  });
  afterEach(() => fs.rmSync(dir, { recursive: true }));

  it("lets one in at a time, and says once who is waited for", async () => {
    let inside = 0;
    let most = 0;
    const waits: string[] = [];
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 30));
      inside -= 1;
    };
    await Promise.all([1, 2, 3].map(() => withLock(file, (holder) => waits.push(holder), work)));
    expect(most).to.equal(1);
    expect(waits).to.have.length(2);
    expect(waits[0]).to.contain(String(process.pid));
    expect(fs.existsSync(file)).to.equal(false);
  });

  it("is free again after work that failed", async () => {
    const failed = await withLock(file, quiet, () => Promise.reject(new Error("no"))).catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(Error);
    expect(await withLock(file, quiet, () => Promise.resolve("yes"))).to.equal("yes");
  });

  it("breaks the lock of a process of this host that is gone", async () => {
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, JSON.stringify({ host: os.hostname(), pid: 2 ** 30 }));
    expect(await withLock(file, quiet, () => Promise.resolve(1))).to.equal(1);
  });

  it("breaks a lock that nobody has touched for long, whoever had it", async () => {
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, JSON.stringify({ host: "another-host", pid: 1 }));
    const long = new Date(Date.now() - 60_000);
    fs.utimesSync(file, long, long);
    expect(await withLock(file, quiet, () => Promise.resolve(1))).to.equal(1);
  });

  it("respects a fresh lock of another host", async () => {
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, JSON.stringify({ host: "another-host", pid: 1 }));
    let entered = false;
    const waiting = withLock(file, quiet, () => {
      entered = true;
      return Promise.resolve();
    });
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(entered).to.equal(false);
    fs.rmSync(file);
    await waiting;
    expect(entered).to.equal(true);
  });
});
