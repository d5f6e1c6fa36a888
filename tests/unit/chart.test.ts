import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { Header } from "tar";
import { gzipSync } from "node:zlib";
import { chartKindIn } from "../../provider/chart/kind";
import type { ChartInputs } from "../../provider/chart/schema";
import { chartArchive } from "../support/chart-archive";
import { testContext, LocalMachine } from "../support/local-machine";

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** An archive with one entry of any name and type, which no well-meaning tool would write. */
function hostileArchive(entryPath: string, type: "File" | "SymbolicLink" = "File", linkpath?: string): Buffer {
  const content = type === "File" ? Buffer.from("evil") : Buffer.alloc(0);
  const header = new Header({ path: entryPath, type, size: content.length, mode: 0o644, linkpath });
  const block = Buffer.alloc(512);
  header.encode(block, 0);
  const padded = Buffer.alloc(content.length === 0 ? 0 : 512);
  content.copy(padded);
  return gzipSync(Buffer.concat([block, padded, Buffer.alloc(1024)]));
}

describe("chart", () => {
  let machine: LocalMachine;
  let server: http.Server;
  let base: string;
  let checkout: string;
  let chartKind: ReturnType<typeof chartKindIn>;
  /** Path → answer; unknown paths are 404. */
  let routes: Map<string, (request: http.IncomingMessage, response: http.ServerResponse) => void>;
  let requests: string[];

  beforeEach(async () => {
    machine = new LocalMachine();
    routes = new Map();
    requests = [];
    server = http.createServer((request, response) => {
      requests.push(request.url ?? "");
      const route = routes.get((request.url ?? "").replace(/\?.*/, ""));
      if (route) route(request, response);
      else response.writeHead(404).end("nothing here");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    checkout = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-checkout-"));
    chartKind = chartKindIn(checkout);
  });

  afterEach(async () => {
    machine.close();
    fs.rmSync(checkout, { recursive: true, force: true });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const serve = (at: string, body: Buffer | string): void => {
    routes.set(at, (_request, response) => response.end(body));
  };
  const index = (digest: string, file = "base-1.2.3.tgz"): string =>
    `apiVersion: v1\nentries:\n  base:\n  - name: base\n    version: 1.2.3\n    digest: ${digest}\n    urls: [${file}]\n`;
  const inputs = (changes: Partial<ChartInputs> = {}): ChartInputs => {
    const checked = chartKind.check({
      name: "base",
      version: "1.2.3",
      repository: `http://${base}/charts`,
      ...changes,
    });
    expect(checked.failures).to.deep.equal([]);
    return checked.inputs;
  };
  const fetchChart = async (wanted: ChartInputs): ReturnType<typeof chartKind.create> =>
    chartKind.create(testContext(machine), wanted);
  const failure = async (wanted: ChartInputs): Promise<string> => {
    try {
      await fetchChart(wanted);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error("it was accepted");
  };
  const inCheckout = (file: string): string => path.join(checkout, file);
  const left = (): string[] =>
    fs.existsSync(inCheckout(".kvmesh/charts")) ? fs.readdirSync(inCheckout(".kvmesh/charts")) : [];

  async function repositoryWith(archive: Buffer, digest = sha256(archive)): Promise<void> {
    serve("/charts/index.yaml", index(digest));
    serve("/charts/base-1.2.3.tgz", archive);
    return Promise.resolve();
  }

  it("comes from a Helm repository into the checkout, whole, with its digest", async () => {
    const archive = await chartArchive("base", "1.2.3");
    await repositoryWith(archive);
    const { id, outputs } = await fetchChart(inputs());
    expect(id).to.equal("base-1.2.3");
    expect(outputs).to.deep.equal({ path: ".kvmesh/charts/base-1.2.3", resolvedDigest: `sha256:${sha256(archive)}` });
    expect(fs.readFileSync(inCheckout(".kvmesh/charts/base-1.2.3/Chart.yaml"), "utf8")).to.contain("name: base");
    expect(fs.existsSync(inCheckout(".kvmesh/charts/base-1.2.3/templates/cm.yaml"))).to.equal(true);
    expect(left()).to.have.members(["base-1.2.3", "base-1.2.3.sha256"]);
  });

  it("is not fetched again when it is there", async () => {
    await repositoryWith(await chartArchive("base", "1.2.3"));
    const { outputs } = await fetchChart(inputs());
    const asked = requests.length;
    expect((await fetchChart(inputs())).outputs).to.deep.equal(outputs);
    expect(requests).to.have.length(asked);
  });

  it("shows as an update on a machine that has not fetched it, and as nothing on one that has", async () => {
    await repositoryWith(await chartArchive("base", "1.2.3"));
    const state = { ...inputs(), ...(await fetchChart(inputs())).outputs };
    expect(chartKind.diff(state, inputs())).to.deep.equal([]);
    fs.rmSync(inCheckout(".kvmesh"), { recursive: true });
    expect(chartKind.diff(state, inputs())).to.deep.equal([{ property: "path", effect: "live" }]);
    await chartKind.update(testContext(machine), "base-1.2.3", state, inputs());
    expect(chartKind.diff(state, inputs())).to.deep.equal([]);
  });

  it("refuses an archive that is not what the index announces", async () => {
    await repositoryWith(await chartArchive("base", "1.2.3"), "0".repeat(64));
    expect(await failure(inputs())).to.match(/chart base 1.2.3: the archive is sha256:.*announces sha256:000.*refused/);
    expect(left()).to.deep.equal([]);
  });

  it("refuses an archive that is not what is pinned, and a version that was published anew", async () => {
    const archive = await chartArchive("base", "1.2.3");
    await repositoryWith(archive);
    expect(await failure(inputs({ digest: `sha256:${"1".repeat(64)}` }))).to.match(/pinned is sha256:111/);
    const state = { ...inputs(), ...(await fetchChart(inputs())).outputs };
    fs.rmSync(inCheckout(".kvmesh"), { recursive: true });
    await repositoryWith(await chartArchive("base", "1.2.4"));
    await chartKind
      .update(testContext(machine), "base-1.2.3", state, inputs())
      .then(() => expect.fail("accepted"))
      .catch((error: unknown) => expect((error as Error).message).to.match(/published anew/));
  });

  it("refuses a truncated archive, and leaves nothing", async () => {
    const archive = await chartArchive("base", "1.2.3");
    const cut = archive.subarray(0, archive.length / 2);
    await repositoryWith(cut);
    expect(await failure(inputs())).to.match(/can't be unpacked|holds no base\/Chart.yaml/);
    expect(left()).to.deep.equal([]);
  });

  it("says that a connection broke in the middle", async () => {
    serve("/charts/index.yaml", index("0".repeat(64)));
    routes.set("/charts/base-1.2.3.tgz", (_request, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("abc", () => response.destroy());
    });
    expect(await failure(inputs())).to.match(/base-1.2.3.tgz can't be fetched: .+; check/);
  });

  for (const [what, archive] of [
    ["climbs out", hostileArchive("base/../../evil")],
    ["is absolute", hostileArchive("/tmp/kvmesh-evil")],
    ["is a link", hostileArchive("base/templates", "SymbolicLink", "/etc")],
  ] as const) {
    it(`refuses an archive with an entry that ${what}`, async () => {
      await repositoryWith(archive);
      expect(await failure(inputs())).to.match(/its archive holds .* refused/);
      expect(left()).to.deep.equal([]);
      expect(fs.existsSync(inCheckout("evil")) || fs.existsSync("/tmp/kvmesh-evil")).to.equal(false);
    });
  }

  it("names the versions that there are", async () => {
    serve("/charts/index.yaml", index("0".repeat(64)));
    expect(await failure(inputs({ version: "9.9.9" }))).to.match(/no version 9.9.9 of "base"; its newest are 1.2.3/);
    expect(await failure(inputs({ name: "other" }))).to.match(/has no chart "other"/);
  });

  it("says what answered when it is no repository", async () => {
    serve("/charts/index.yaml", "<html>welcome</html>");
    expect(await failure(inputs())).to.match(/is no Helm index|has no chart/);
    expect(await failure(inputs({ repository: `http://${base}/nowhere` }))).to.match(
      /nowhere\/index.yaml answered 404/,
    );
  });

  it("comes from an OCI registry as an anonymous reader with a token", async () => {
    const archive = await chartArchive("base", "1.2.3");
    const digest = `sha256:${sha256(archive)}`;
    const guarded =
      (body: Buffer | string) =>
      (request: http.IncomingMessage, response: http.ServerResponse): void => {
        if (request.headers.authorization === "Bearer t0ken") response.end(body);
        else {
          const realm = `Bearer realm="http://${base}/token",service="registry",scope="repository:istio/charts/base:pull"`;
          response.writeHead(401, { "www-authenticate": realm }).end();
        }
      };
    serve("/token", JSON.stringify({ token: "t0ken" }));
    const layers = [{ mediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", digest }];
    routes.set("/v2/istio/charts/base/manifests/1.2.3", guarded(JSON.stringify({ schemaVersion: 2, layers })));
    routes.set(`/v2/istio/charts/base/blobs/${digest}`, guarded(archive));
    const { outputs } = await fetchChart(inputs({ repository: undefined, oci: `oci://${base}/istio/charts` }));
    expect(outputs.resolvedDigest).to.equal(digest);
    expect(
      requests.some(
        (url) => url.startsWith("/token?") && url.includes("scope=repository%3Aistio%2Fcharts%2Fbase%3Apull"),
      ),
    ).to.equal(true);
  });

  it("says that a version is not in the registry", async () => {
    expect(await failure(inputs({ repository: undefined, oci: `oci://${base}/istio/charts` }))).to.match(
      /there is no such chart or version/,
    );
  });

  it("asks for exactly one source and an exact version", () => {
    const failures = (raw: Record<string, unknown>): string[] =>
      chartKind.check(raw).failures.map(({ property }) => property);
    expect(failures({ name: "base", version: "1.2.3" })).to.deep.equal(["repository"]);
    expect(failures({ name: "base", version: "1.2.3", repository: "https://x.no", oci: "oci://x.no/y" })).to.deep.equal(
      ["repository"],
    );
    expect(failures({ name: "base", version: "^1.2", repository: "https://x.no" })).to.deep.equal(["version"]);
    expect(failures({ name: "../base", version: "1.2.3", repository: "ftp://x.no" })).to.have.members([
      "name",
      "repository",
    ]);
  });
});
