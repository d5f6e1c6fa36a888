import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { checkoutRoot } from "../../../tools/toolchain/cache";
import { recipe, type ToolName } from "../../../tools/toolchain/recipes";

/**
 * The command of the toolchain against an HTTPS server that has the publishers' names, through settings that users have: a proxy
 * (HTTPS_PROXY) and a certificate authority of their own (NODE_EXTRA_CA_CERTS).
 */
describe("toolchain: official downloads", function () {
  this.timeout(120_000);

  type Answer = (request: http.IncomingMessage, response: http.ServerResponse, times: number) => void;
  let dir: string;
  let server: https.Server;
  let proxy: http.Server;
  let answers: Map<string, Answer>;
  let asked: string[];

  before(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-official-"));
    const hosts = ["dl.k8s.io", "nodejs.org", "github.com", "release-assets.githubusercontent.com", "dl.google.com"];
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA");
    openssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=test server");
    fs.writeFileSync(path.join(dir, "names"), `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(",")}\n`);
    const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", ...signed);
  });
  after(() => fs.rmSync(dir, { recursive: true, force: true }));

  beforeEach(async () => {
    answers = new Map();
    asked = [];
    const [cert, serverKey] = ["server.pem", "server.key"].map((name) => fs.readFileSync(path.join(dir, name)));
    server = https.createServer({ cert, key: serverKey }, (request, response) => {
      const url = `https://${request.headers.host}${request.url}`;
      asked.push(url);
      const answer = answers.get(url);
      if (!answer) return response.writeHead(404).end("Not Found");
      answer(request, response, asked.filter((one) => one === url).length);
    });
    proxy = http.createServer();
    proxy.on("connect", (_request, socket, head) => {
      const inner = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        inner.write(head);
        inner.pipe(socket).pipe(inner);
      });
      inner.on("error", () => socket.destroy());
      socket.on("error", () => inner.destroy());
    });
    for (const one of [server, proxy]) await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
    proxy.closeAllConnections();
    proxy.close();
  });

  const send =
    (body: Buffer | string): Answer =>
    (_request, response) =>
      void response.end(body);
  const redirect =
    (location: string): Answer =>
    (_request, response) =>
      void response.writeHead(302, { location }).end();
  const sumOf = (body: Buffer | string): string => createHash("sha256").update(body).digest("hex");
  const platform = { os: "linux", arch: process.arch === "arm64" ? "arm64" : "amd64" } as const;
  const releaseOf = (name: ToolName) => recipe(name).release!(platform)!;
  const binary = Buffer.from(`#!/bin/sh\necho ${"official ".repeat(20_000)}\n`);

  /** A tar archive with one folder that has executables of these names. */
  function archive(folder: string, ...names: string[]): Buffer {
    const root = fs.mkdtempSync(path.join(dir, "archive-"));
    for (const name of names) {
      fs.mkdirSync(path.dirname(path.join(root, folder, name)), { recursive: true });
      fs.writeFileSync(path.join(root, folder, name), `#!/bin/sh\necho ${name}\n`, { mode: 0o755 });
    }
    return execFileSync("tar", ["-cz", "-C", root, folder === "" ? "." : folder.split("/")[0]!]);
  }

  /** GitHub answers a release's file with a redirect to another host, and one file has the sums of all. */
  function onGithub(name: ToolName, body: Buffer, sums: (file: string) => string): void {
    const release = releaseOf(name);
    const file = path.posix.basename(release.url);
    const place = `https://release-assets.githubusercontent.com/production/${file}?sig=a%2Bb`;
    answers.set(release.url, redirect(place));
    answers.set(place, send(body));
    answers.set(release.sums, send(sums(file)));
  }

  async function ensure(...names: ToolName[]): Promise<{ code: number; out: string; errors: string }> {
    const cache = fs.mkdtempSync(path.join(dir, "cache-"));
    const empty = fs.mkdtempSync(path.join(dir, "path-"));
    // Node, tar and the like are there; no Go, no Pulumi, no kubectl.
    for (const name of ["tar", "gzip", "sh"]) {
      fs.symlinkSync(
        execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(),
        path.join(empty, name),
      );
    }
    const child = spawn(
      process.execPath,
      [path.join(checkoutRoot(), "dist/tools/toolchain/cli.js"), "ensure", ...names],
      {
        cwd: checkoutRoot(),
        env: {
          PATH: empty,
          HOME: cache,
          KVMESH_CACHE: cache,
          HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`,
          NODE_EXTRA_CA_CERTS: path.join(dir, "ca.pem"),
        },
      },
    );
    let [out, errors] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    const code = await new Promise<number>((resolve) => child.on("close", (status) => resolve(status ?? -1)));
    return { code, out, errors };
  }

  it("take the files of each publisher's shape, and build nothing", async () => {
    const kubectl = releaseOf("kubectl");
    answers.set(kubectl.url, send(binary));
    answers.set(kubectl.sums, send(sumOf(binary)));
    const etcd = archive(`etcd-v${recipe("etcd").version}-linux-${platform.arch}`, "etcd", "etcdctl", "etcdutl");
    onGithub("etcd", etcd, (file) => `${sumOf("other")}  other.zip\n${sumOf(etcd)}  ${file}\n`);
    const pulumi = archive("pulumi", "pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs");
    onGithub("pulumi", pulumi, (file) => `${sumOf(pulumi)}  ${file}\n`);
    const provider = archive("", "pulumi-resource-kubernetes", "LICENSE");
    onGithub("pulumi-resource-kubernetes", provider, (file) => `${sumOf(provider)}  ${file}\n`);
    const istioctl = archive("", "istioctl");
    onGithub("istioctl", istioctl, (file) => `${sumOf(istioctl)} ${file}\n`);

    const names = ["kubectl", "etcd", "pulumi", "pulumi-resource-kubernetes", "istioctl"] as const;
    const { code, out, errors } = await ensure(...names);
    expect(code, errors).to.equal(0);
    expect(errors).not.to.contain("building");
    for (const name of names) {
      const file = new RegExp(`^${name} (\\S+)$`, "m").exec(out)![1]!;
      const source = JSON.parse(fs.readFileSync(path.join(path.dirname(file), "source.json"), "utf8")) as object;
      expect(source, name).to.include({ how: "release", key: releaseOf(name).url });
      expect(fs.statSync(file).mode & 0o111, name).not.to.equal(0);
    }
    const beside = path.dirname(/^pulumi (\S+)$/m.exec(out)![1]!);
    expect(fs.existsSync(path.join(beside, "pulumi-language-nodejs"))).to.equal(true);
  });

  it("stop at a wrong sum, and leave nothing", async () => {
    const { url, sums } = releaseOf("kubectl");
    answers.set(url, send(Buffer.concat([binary, Buffer.from("!")])));
    answers.set(sums, send(sumOf(binary)));
    const { code, errors } = await ensure("kubectl");
    expect(code).not.to.equal(0);
    expect(errors).to.contain(sumOf(binary)).and.to.contain("it was thrown away");
    expect(errors).not.to.match(/\n\s+at /);
    expect(
      asked.filter((one) => one === url),
      "asked again for a file that is wrong",
    ).to.have.length(1);
  });

  it("try again what was cut off, and what the server is too busy for", async () => {
    const { url, sums } = releaseOf("kubectl");
    answers.set(sums, (_request, response, times) => {
      if (times === 1) response.writeHead(429, { "retry-after": "1" }).end("slow down");
      else response.end(sumOf(binary));
    });
    answers.set(url, (_request, response, times) => {
      response.writeHead(200, { "content-length": binary.length });
      if (times > 1) return void response.end(binary);
      response.write(binary.subarray(0, 50_000));
      setTimeout(() => response.destroy(), 20);
    });
    const { code, errors } = await ensure("kubectl");
    expect(code, errors).to.equal(0);
    expect(asked).to.deep.equal([sums, sums, url, url]);
  });

  it("say which file is missing, and that another way is taken", async () => {
    const { code, errors } = await ensure("kubectl");
    expect(code).not.to.equal(0);
    expect(errors).to.contain(`${releaseOf("kubectl").sums} answers 404`);
    expect(errors).to.contain("getting it in another way");
  });

  it("take nothing from a server whose certificate nobody vouches for", async () => {
    fs.renameSync(path.join(dir, "ca.pem"), path.join(dir, "ca.away"));
    try {
      fs.writeFileSync(path.join(dir, "ca.pem"), "");
      const { code, errors } = await ensure("kubectl");
      expect(code).not.to.equal(0);
      expect(errors).to.contain("dl.k8s.io can't be reached").and.to.contain("certificate");
      expect(asked).to.deep.equal([]);
    } finally {
      fs.renameSync(path.join(dir, "ca.away"), path.join(dir, "ca.pem"));
    }
  });
});
