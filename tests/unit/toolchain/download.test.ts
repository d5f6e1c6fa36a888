import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { DownloadError, fetchVerified, findSum, retryAfter } from "../../../tools/toolchain/download";

const content = Buffer.alloc(200_000, "kvmesh ");
const sum = createHash("sha256").update(content).digest("hex");
const limits = { connectMs: 300, idleMs: 500, retryMs: 2_000 };

describe("toolchain: findSum", () => {
  const other = "b".repeat(64);

  it("takes a file with nothing but a sum, as dl.k8s.io publishes them", () => {
    expect(findSum(`${sum}\n`, "kubectl")).to.equal(sum);
  });

  it("takes the line of the wanted name, with text and binary marks and folders", () => {
    expect(findSum(`${other}  a.tgz\n${sum}  b.tgz\n`, "b.tgz")).to.equal(sum);
    expect(findSum(`${other} *a.tgz\n${sum} *./dist/b.tgz\n`, "b.tgz")).to.equal(sum);
  });

  it("never takes another file's sum", () => {
    expect(findSum(`${sum}  b.tgz.sig\n`, "b.tgz")).to.equal(undefined);
    expect(findSum(`${other}  a.tgz\n`, "b.tgz")).to.equal(undefined);
  });

  it("takes no sum of another length, and no page", () => {
    expect(findSum(`${"a".repeat(128)}  b.tgz\n`, "b.tgz")).to.equal(undefined);
    expect(findSum("<html>not found</html>", "b.tgz")).to.equal(undefined);
    expect(findSum("", "b.tgz")).to.equal(undefined);
  });
});

describe("toolchain: retryAfter", () => {
  it("reads seconds and dates, and takes a second for anything else", () => {
    const now = Date.parse("2026-11-28T10:00:00Z");
    expect(retryAfter("120", now)).to.equal(120_000);
    expect(retryAfter("Sat, 28 Nov 2026 10:00:05 GMT", now)).to.equal(5_000);
    expect(retryAfter("Sat, 28 Nov 2026 09:00:00 GMT", now)).to.equal(0);
    expect(retryAfter("soon", now)).to.equal(1_000);
    expect(retryAfter(null, now)).to.equal(1_000);
  });
});

describe("toolchain: fetchVerified", () => {
  let server: http.Server;
  let base: string;
  let dir: string;
  let target: string;

  beforeEach(async () => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-download-"));
    target = path.join(dir, "deeper", "tool");
    server = http.createServer((request, response) => {
      switch (request.url) {
        case "/good":
          return response.end(content);
        case "/redirected":
          return response.writeHead(302, { location: "/good" }).end();
        case "/tampered":
          return response.end(Buffer.concat([content, Buffer.from("!")]));
        case "/truncated":
          response.writeHead(200, { "content-length": content.length });
          response.write(content.subarray(0, 1000));
          return setTimeout(() => response.destroy(), 20);
        case "/stalled":
          response.writeHead(200, { "content-length": content.length });
          return response.write(content.subarray(0, 1000));
        case "/sum":
          return response.end(`${sum}\n`);
        case "/no-sum":
          return response.end(`${sum}  other\n${sum}  another\n`);
        default:
          return response.writeHead(404).end("no such page");
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
    fs.rmSync(dir, { recursive: true });
  });

  async function failure(file: string, sums = "/sum", from = base): Promise<DownloadError> {
    try {
      await fetchVerified({ url: from + file, sums: from + sums }, target, limits);
    } catch (error) {
      expect(error).to.be.instanceOf(DownloadError);
      expect(fs.existsSync(target), "a file that failed is there").to.equal(false);
      expect(fs.existsSync(path.dirname(target)) ? fs.readdirSync(path.dirname(target)) : []).to.deep.equal([]);
      return error as DownloadError;
    }
    throw new Error(`${file} was taken`);
  }

  it("keeps a file whose sum is the published one", async () => {
    await fetchVerified({ url: `${base}/good`, sums: `${base}/sum` }, target, limits);
    expect(fs.readFileSync(target).equals(content)).to.equal(true);
    expect(fs.readdirSync(path.dirname(target))).to.deep.equal(["tool"]);
  });

  it("follows a redirect, as release pages answer", async () => {
    await fetchVerified({ url: `${base}/redirected`, sums: `${base}/sum` }, target, limits);
    expect(fs.readFileSync(target).equals(content)).to.equal(true);
  });

  it("throws away a file with another sum and names both", async () => {
    const error = await failure("/tampered");
    expect(error.kind).to.equal("wrong digest");
    expect(error.message).to.contain(sum).and.to.contain(`${base}/tampered`);
  });

  it("throws away half a file", async () => {
    expect((await failure("/truncated")).kind).to.equal("incomplete");
  });

  it("doesn't wait for a server that stopped sending", async () => {
    const started = Date.now();
    expect((await failure("/stalled")).kind).to.equal("incomplete");
    expect(Date.now() - started).to.be.below(5_000);
  });

  it("tells a missing page from a missing network", async () => {
    const error = await failure("/nothing-here");
    expect(error.kind).to.equal("incomplete");
    expect(error.message).to.contain("404");
  });

  it("takes nothing without a published sum", async () => {
    expect((await failure("/good", "/no-sum")).kind).to.equal("incomplete");
    expect((await failure("/good", "/missing-sums")).kind).to.equal("incomplete");
  });

  it("says that a host can't be reached when it refuses", async () => {
    const closed = net.createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as net.AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const error = await failure("/good", "/sum", `http://127.0.0.1:${port}`);
    expect(error.kind).to.equal("unreachable");
    expect(error.message).to.contain(`127.0.0.1:${port}`);
  });

  it("says that a host can't be reached when it accepts and never answers", async () => {
    const silent = net.createServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = silent.address() as net.AddressInfo;
      expect((await failure("/good", "/sum", `http://127.0.0.1:${port}`)).kind).to.equal("unreachable");
    } finally {
      silent.close();
    }
  });
});
